/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Which server a new connection gets. */
#pragma once

#include <bpf/bpf_helpers.h>

#include "count.h"
#include "maps.h"

struct choice {
	__u32 server;
	__u32 counter;
};

/* Walks the schedule of a service from its cursor on, past full servers, and enters the gauge of the server it finds.
 * Returns 0 or the reason why there is none.
 * The cursor moves by one for each call, so N connections over N slots get one slot each, on any number of CPUs. */
WG_GLOBAL int choose_server(__u32 service, struct choice *choice)
{
	void *slots = bpf_map_lookup_elem(&wg_sched, &service);
	__u64 *cursor = bpf_map_lookup_elem(&wg_cursors, &service);
	__u32 zero = 0, length, tries, at, i;
	struct wg_slot *slot;

	if (!slots || !cursor || !choice)
		return WG_R_NO_SERVER;
	slot = bpf_map_lookup_elem(slots, &zero);
	if (!slot || !slot->server)
		return WG_R_NO_SERVER;
	length = slot->server;
	at = __sync_fetch_and_add(cursor, 1) % length;
	tries = length < WG_CHOOSE_TRIES ? length : WG_CHOOSE_TRIES;

	for (i = 0; i < WG_CHOOSE_TRIES; i++) {
		__u32 index = 1 + (at + i) % length;
		struct wg_server *server;

		if (i >= tries)
			break;
		slot = bpf_map_lookup_elem(slots, &index);
		if (!slot)
			return WG_R_NO_SERVER;
		choice->server = slot->server;
		choice->counter = slot->counter;
		server = bpf_map_lookup_elem(&wg_servers, &choice->server);
		if (!server)
			return WG_R_NO_SERVER;
		if (server->state != WG_SERVER_READY)
			return WG_R_NO_ROUTE;
		if (gauge_enter(server->gauge, server->limit))
			return 0;
	}
	return WG_R_SERVERS_FULL;
}
