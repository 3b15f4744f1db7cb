/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Tells the agent that a session is over, for its log. */
#pragma once

#include <bpf/bpf_helpers.h>

#include "count.h"
#include "maps.h"
#include "parse.h"

static __always_inline __u32 established_now(__u32 index)
{
	struct wg_gauge *g = bpf_map_lookup_elem(&wg_gauges, &index);

	return g ? g->established : 0;
}

static __always_inline void event_lost(void)
{
	__u32 zero = 0;
	__u64 *lost = bpf_map_lookup_elem(&wg_lost, &zero);

	if (lost)
		(*lost)++;
}

/* Counts a flow that has just ended, and sends the event of it if it is logged; call it before the gauges go down. The ring
 * is bounded: an event that finds no room is counted and gone, since a packet must not wait for a log. */
WG_GLOBAL int event_close(const struct wg_flow *fwd, const struct wg_flow *rev, __u32 end)
{
	struct wg_event *e;

	if (!fwd || !rev)
		return 0;
	count_end(fwd, rev, end);
	if (!(fwd->flags & WG_FLOW_LOGGED))
		return 0;
	e = bpf_ringbuf_reserve(&wg_events, sizeof(*e), 0);
	if (!e) {
		event_lost();
		return 0;
	}
	addr_copy(e->client, rev->daddr);
	addr_copy(e->front, rev->saddr);
	addr_copy(e->back, fwd->saddr);
	addr_copy(e->task, fwd->daddr);
	e->client_port = rev->dport;
	e->front_port = rev->sport;
	e->back_port = fwd->sport;
	e->task_port = fwd->dport;
	e->service = fwd->service;
	e->server = fwd->server;
	e->end = end;
	e->connect = rev->tcp_flags & WG_SYN ? rev->connect : WG_NO_TIME;
	e->total_open = established_now(0);
	e->service_open = established_now(fwd->service_gauge);
	e->server_open = established_now(fwd->server_gauge);
	e->retries = fwd->retries;
	e->moved = !!(fwd->flags & WG_FLOW_MOVED);
	e->created = fwd->created;
	e->ended = bpf_ktime_get_coarse_ns();
	e->bytes_in = fwd->bytes;
	e->bytes_out = rev->bytes;
	bpf_ringbuf_submit(e, 0);
	return 0;
}
