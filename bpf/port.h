/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The source port towards a server. */
#pragma once

#include <linux/errno.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "dryrun.h"
#include "maps.h"
#include "socket.h"

/* Claims one port by inserting the draft, which is a reverse entry. Returns 0, WG_R_NO_PORT if it is in use, or why none
 * can be had. */
WG_GLOBAL int port_try(struct __sk_buff *skb, __u32 port)
{
	__u32 zero = 0;
	struct wg_flow *reverse = bpf_map_lookup_elem(&wg_draft, &zero);
	struct wg_key *key = bpf_map_lookup_elem(&wg_draft_key, &zero);
	int err; /* no long: before 6.4 the upper half of what updating a map returns is not the sign's */

	if (!reverse || !key)
		return WG_R_TABLE_FULL;
	key->dport = bpf_htons(port);
	if (socket_for(skb, key) != SOCKET_NONE)
		return WG_R_NO_PORT;
	if (wg_dry_run)
		return bpf_map_lookup_elem(&wg_flows, key) ? WG_R_NO_PORT : 0;
	err = bpf_map_update_elem(&wg_flows, key, reverse, BPF_NOEXIST);
	if (!err)
		return 0;
	return err == -EEXIST ? WG_R_NO_PORT : WG_R_TABLE_FULL;
}

/* Claims a port for the reverse entry in wg_draft, whose key is in wg_draft_key, by inserting it, which fails if another
 * flow has the port: no list of free ports is kept. The key's dport is set to the port.
 * Ports of one server are tried in rising order, whichever CPU asks, so that the time until a port is used
 * again is as long as can be. A port that a local socket would answer on is left alone.
 * Returns 0 or the reason why there is none. */
static __always_inline int port_claim(struct __sk_buff *skb, __u32 server_gauge)
{
	__u32 zero = 0, range;
	struct wg_gauge *g = bpf_map_lookup_elem(&wg_gauges, &server_gauge);
	struct wg_settings *settings = bpf_map_lookup_elem(&wg_settings, &zero);
	int i, reason = WG_R_NO_PORT;

	if (!g || !settings || settings->port_max < settings->port_min)
		return WG_R_NO_PORT;
	range = settings->port_max - settings->port_min + 1;
	for (i = 0; i < WG_PORT_TRIES && reason == WG_R_NO_PORT; i++) {
		__u64 turn = wg_dry_run ? g->ports + i : next_turn(&g->ports);

		reason = port_try(skb, settings->port_min + turn % range);
	}
	return reason;
}
