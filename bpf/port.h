/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The source port towards a server. */
#pragma once

#include <linux/errno.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "dryrun.h"
#include "maps.h"
#include "socket.h"

/* Claims a port by inserting the reverse entry, which fails if another flow has it: no list of free ports is kept.
 * key is that of the reverse entry; its dport is set to the port.
 * Ports of one server are tried in rising order, whichever CPU asks, so that the time until a port is used
 * again is as long as can be. A port that a local socket would answer on is left alone.
 * Returns 0 or the reason why there is none. */
WG_GLOBAL int port_claim(struct __sk_buff *skb, __u32 server_gauge, struct wg_key *key, const struct wg_flow *reverse)
{
	__u32 zero = 0, range;
	struct wg_gauge *g = bpf_map_lookup_elem(&wg_gauges, &server_gauge);
	struct wg_settings *settings = bpf_map_lookup_elem(&wg_settings, &zero);
	int i;

	if (!g || !settings || !key || !reverse || settings->port_max < settings->port_min)
		return WG_R_NO_PORT;
	range = settings->port_max - settings->port_min + 1;
	for (i = 0; i < WG_PORT_TRIES; i++) {
		__u64 turn = wg_dry_run ? g->ports + i : next_turn(&g->ports);
		int err; /* no long: before 6.4 the upper half of what updating a map returns is not the sign's */

		key->dport = bpf_htons(settings->port_min + turn % range);
		if (socket_for(skb, key) != SOCKET_NONE)
			continue;
		if (wg_dry_run)
			err = bpf_map_lookup_elem(&wg_flows, key) ? -EEXIST : 0;
		else
			err = bpf_map_update_elem(&wg_flows, key, reverse, BPF_NOEXIST);
		if (!err)
			return 0;
		if (err != -EEXIST)
			return WG_R_TABLE_FULL;
	}
	return WG_R_NO_PORT;
}
