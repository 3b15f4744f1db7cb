/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The source port towards a server. */
#pragma once

#include <linux/errno.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "count.h"
#include "dryrun.h"
#include "flow.h"
#include "maps.h"
#include "option.h"
#include "socket.h"

/* Whether the server of a connection that ended takes this SYN of another one from the same port: by RFC 1122 (4.2.2.13) and
 * RFC 6191 if it is newer than all that the server remembers in TIME_WAIT, where next comes next and stamp was the last
 * timestamp. Linux asks only one of the two to be newer; with both, stacks that do not know timestamps in TIME_WAIT agree.
 * A SYN that is refused there costs its client a second. */
static __always_inline int port_takes(struct __sk_buff *skb, const struct packet *p, __u32 next, __u32 stamp)
{
	__u32 ours;

	if ((__s32)(p->seq - next) <= 0)
		return 0;
	if (!stamp)
		return 1;
	ours = tcp_stamp(skb, p->tcp, p->tcp_len);
	return !ours || (__s32)(ours - stamp) > 0;
}

/* The same for the entry that holds the port in wg_draft_key. Returns 1 if the port is the caller's now: then nobody else
 * deletes the entry, which the draft is to replace. */
static __always_inline int port_wrest(struct __sk_buff *skb, const struct packet *p, struct wg_flow *rev, __u32 tag)
{
	__u32 one = 1;
	struct wg_key *key = bpf_map_lookup_elem(&wg_draft_key, &one);
	struct wg_flow *f;
	__u64 now = bpf_ktime_get_coarse_ns();

	if (rev->dir == WG_TOMBSTONE) {
		if (!(rev->flags & WG_FLOW_WAITS) || now < rev->seen + WG_REOPEN_NS ||
		    !port_takes(skb, p, rev->syn_next, rev->stamp))
			return 0;
		if (wg_dry_run)
			return 1;
		if (!flow_shift(rev, tag, 0, WG_DEAD))
			return 0;
		gauge_add(rev->server_gauge, -1, 0, 0);
		return 1;
	}
	if (!key)
		return 0;
	flow_twin_key(rev, key);
	f = bpf_map_lookup_elem(&wg_flows, key);
	if (!f || f->state != WG_CLOSED || f->generation != rev->generation || !flow_waits(f, rev))
		return 0;
	if (now < f->seen + WG_REOPEN_NS || now < rev->seen + WG_REOPEN_NS || !port_takes(skb, p, f->seq_next, f->stamp))
		return 0;
	if (wg_dry_run)
		return 1;
	if (!flow_shift(f, tag, WG_CLOSED, WG_DEAD))
		return 0;
	gauges_add(f->service_gauge, f->server_gauge, -1, 0, 0);
	bpf_map_delete_elem(&wg_flows, key);
	return 1;
}

/* Claims a port that a connection which has ended still holds, if the server is known to take the SYN. Returns 0,
 * WG_R_NO_PORT if not, or why none can be had. */
WG_GLOBAL int port_reopen(struct __sk_buff *skb, const struct packet *p)
{
	__u32 zero = 0, tag;
	struct wg_flow *draft = bpf_map_lookup_elem(&wg_draft, &zero);
	struct wg_key *key = bpf_map_lookup_elem(&wg_draft_key, &zero);
	struct wg_flow *rev;

	if (!draft || !key || !p)
		return WG_R_TABLE_FULL;
	rev = flow_hold(key, &tag);
	if (!rev || rev->dir == WG_FORWARD || !port_wrest(skb, p, rev, tag))
		return WG_R_NO_PORT;
	if (wg_dry_run)
		return 0;
	if (!bpf_map_update_elem(&wg_flows, key, draft, BPF_EXIST))
		return 0;
	bpf_map_delete_elem(&wg_flows, key); /* no memory: the entry is nobody's now */
	return WG_R_TABLE_FULL;
}

/* Writes our n'th address to connect to a server from, one behind the first, into wg_draft_key. A function of its own, since few
 * servers have several. */
WG_GLOBAL int source_write(const struct wg_target *server, __u32 n)
{
	__u32 zero = 0, id;
	struct wg_key *key = bpf_map_lookup_elem(&wg_draft_key, &zero);
	struct wg_server *all;

	if (!server || !key)
		return WG_R_TABLE_FULL;
	id = server->server;
	all = bpf_map_lookup_elem(&wg_servers, &id);
	if (all && n < all->sources) /* else they have just changed: the first one, which is written, does */
		addr_copy(key->daddr, all->source[n & (WG_SOURCES_MAX - 1)]);
	return 0;
}

/* Claims the port that it is the turn of, by inserting the draft, which is a reverse entry. Returns 0, WG_R_NO_PORT if a
 * socket would answer on it, WG_R_RACE if a flow has it, or why none can be had. */
WG_GLOBAL int port_try(struct __sk_buff *skb, const struct wg_target *server, __u32 turn)
{
	__u32 zero = 0, range;
	struct wg_flow *reverse = bpf_map_lookup_elem(&wg_draft, &zero);
	struct wg_key *key = bpf_map_lookup_elem(&wg_draft_key, &zero);
	struct wg_settings *settings = bpf_map_lookup_elem(&wg_settings, &zero);
	int reason, err = 0; /* no long: before 6.4 the upper half of what updating a map returns is not the sign's */

	if (!reverse || !key || !server || !settings)
		return WG_R_TABLE_FULL;
	if (settings->port_max < settings->port_min)
		return WG_R_NO_PORT;
	range = settings->port_max - settings->port_min + 1;
	addr_copy(key->daddr, server->source);
	if (server->sources > 1) {
		reason = source_write(server, turn / range % server->sources);
		if (reason)
			return reason;
	}
	key->dport = bpf_htons(settings->port_min + turn % range);
	if (socket_for(skb, key) != SOCKET_NONE)
		return WG_R_NO_PORT;
	if (!wg_dry_run)
		err = bpf_map_update_elem(&wg_flows, key, reverse, BPF_NOEXIST);
	else if (bpf_map_lookup_elem(&wg_flows, key))
		err = -EEXIST;
	if (!err)
		return 0;
	return err == -EEXIST ? WG_R_RACE : WG_R_TABLE_FULL;
}

/* Claims a port for the reverse entry in wg_draft, whose key is in wg_draft_key, by inserting it, which fails if another
 * flow has the port: no list of free ports is kept. The key's daddr and dport are set to our address and port.
 * Ports of one server are tried in rising order, one of our addresses after the other, whichever CPU asks, so that the time
 * until a port is used again is as long as can be. A port that a local socket would answer on is left alone.
 * Returns 0 or the reason why there is none. */
static __always_inline int port_claim(struct __sk_buff *skb, const struct packet *p, struct wg_target *server)
{
	int i, reason = WG_R_NO_PORT;

	for (i = 0; i < WG_PORT_TRIES && reason == WG_R_NO_PORT; i++) {
		reason = port_try(skb, server, wg_dry_run ? server->ports + i : __sync_fetch_and_add(&server->ports, 1));
		if (reason == WG_R_RACE)
			reason = port_reopen(skb, p);
	}
	return reason;
}
