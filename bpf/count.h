/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Counters and gauges. */
#pragma once

#include <bpf/bpf_helpers.h>

#include "dryrun.h"
#include "maps.h"
#include "parse.h"

static __always_inline void count_reason(__u32 reason)
{
	__u64 *n = bpf_map_lookup_elem(&wg_reasons, &reason);

	if (n)
		(*n)++;
}

/* This CPU's counters of an index. */
static __always_inline struct wg_counter *counter_at(__u32 index)
{
	__u32 at = bpf_get_smp_processor_id() * WG_COUNTERS_MAX + index;

	return bpf_map_lookup_elem(&wg_counters, &at);
}

/* bytes is what the packet adds to the stream, see flow_advance. */
static __always_inline void count_packet(struct wg_flow *f, __u32 bytes)
{
	struct wg_counter *c = counter_at(f->counter);

	f->packets++;
	if (bytes)
		__sync_fetch_and_add(&f->bytes, bytes);
	if (!c)
		return;
	if (f->dir == WG_FORWARD) {
		c->packets_in++;
		c->bytes_in += bytes;
	} else {
		c->packets_out++;
		c->bytes_out += bytes;
	}
}

static __always_inline void count_connection(const struct wg_flow *f)
{
	struct wg_counter *c = counter_at(f->counter);

	if (c)
		c->connections++;
}

/* Counts a failed attempt at the server of f: one that is repeated there, or elsewhere. */
static __always_inline void count_retry(const struct wg_flow *f, int elsewhere)
{
	struct wg_counter *c = counter_at(f->counter);

	if (!c)
		return;
	if (elsewhere)
		c->redispatches++;
	else
		c->retries++;
}

static __always_inline void count_session(const struct wg_flow *f)
{
	struct wg_counter *c = counter_at(f->counter);

	if (c)
		c->sessions++;
}

/* Counts the end of a flow: of a session, or of an attempt that the server did not take. */
static __always_inline void count_end(const struct wg_flow *fwd, const struct wg_flow *rev, __u32 end)
{
	struct wg_counter *c = counter_at(fwd->counter);
	__u64 life;

	if (!c)
		return;
	if (!(rev->tcp_flags & WG_SYN)) {
		if (end == WG_END_REFUSED || end == WG_END_CONNECT_TIMEOUT)
			c->failures++;
		return;
	}
	if (end == WG_END_CLIENT_RST || end == WG_END_CLIENT_TIMEOUT)
		c->client_aborts++;
	if (end == WG_END_SERVER_RST)
		c->server_resets++;
	if (end == WG_END_SERVER_TIMEOUT)
		c->server_timeouts++;
	c->ended++;
	c->connect_sum += rev->connect;
	if (rev->connect > c->connect_max)
		c->connect_max = rev->connect;
	life = (bpf_ktime_get_coarse_ns() - fwd->created) / 1000;
	c->life_sum += life;
	if (life / 1000 > c->life_max)
		c->life_max = life / 1000;
}

/* The word of an index into wg_loads, see struct wg_load. */
static __always_inline __u64 *load_at(__u32 index)
{
	return bpf_map_lookup_elem(&wg_loads, &index);
}

static __always_inline __u32 load_taken(__u64 load)
{
	return load;
}

/* Whether the half-open flows hold as many places of a limit as they may. They prove nothing: a flood of SYNs from made-up
 * addresses would hold all places for as long as a handshake may take. What falls through meanwhile is left to the stack,
 * which hands over only who has answered, so real clients come in by userspace. The bound is approximate, since the two
 * numbers are not read at once. */
static __always_inline int gauge_guarded(const struct wg_gauge *g, __u64 load)
{
	__s64 half = ((load & ~WG_LIMITED) >> 32) - g->established;
	__s64 share = g->limit / WG_HALF_SHARE;

	return half >= (share ? share : 1);
}

/* Takes one of the places of a limit, see gauge_enter. */
static __always_inline int gauge_enter_limited(__u32 index, __u64 *at)
{
	struct wg_gauge *g = bpf_map_lookup_elem(&wg_gauges, &index);
	__u64 load = *at, limit, seen;
	int i;

	if (!g)
		return WG_R_SERVICE_LIMIT;
	limit = g->limit;
	if (limit && load_taken(load) >= limit)
		return WG_R_SERVICE_LIMIT;
	if (limit && gauge_guarded(g, load))
		return WG_R_HALF_OPEN;
	if (wg_dry_run)
		return 0;
	for (i = 0; i < WG_PLACE_TRIES && (!limit || load_taken(load) < limit); i++) {
		seen = __sync_val_compare_and_swap(at, load, load + WG_PLACE);
		if (seen == load)
			return 0;
		load = seen;
	}
	return WG_R_SERVICE_LIMIT;
}

/* Takes a place for one more open flow, unless all are taken. Exact across CPUs and against the userspace path, which
 * takes places in the same way: nobody adds before it has seen that there is room, so the count never passes
 * the limit, and nobody is refused by another's mistake that is about to be taken back. A place that is
 * fought for too long counts as refused: userspace decides then.
 * Returns 0 or the reason: WG_R_SERVICE_LIMIT, or WG_R_HALF_OPEN. */
WG_GLOBAL int gauge_enter(__u32 index)
{
	__u64 *at = load_at(index);

	if (!at)
		return WG_R_SERVICE_LIMIT;
	if (*at & WG_LIMITED)
		return gauge_enter_limited(index, at);
	if (!wg_dry_run)
		__sync_fetch_and_add(at, WG_PLACE);
	return 0;
}

static __always_inline void gauge_leave(__u32 index)
{
	__u64 *at = load_at(index);

	if (at && !wg_dry_run)
		__sync_fetch_and_add(at, -WG_PLACE);
}

/* Whether connections wait for a place in userspace, which come first. */
static __always_inline int gauge_awaited(__u32 index)
{
	struct wg_gauge *g = bpf_map_lookup_elem(&wg_gauges, &index);

	return g && g->waiting;
}

/* Adds to the numbers of entries that are held, of open and of established flows: in this order, so that a flow that has just ended is
 * always one or the other. */
static __always_inline void gauge_add(__u32 index, int held, int open, int established)
{
	struct wg_gauge *g;
	__u64 *at;

	if (held || established) {
		g = bpf_map_lookup_elem(&wg_gauges, &index);
		if (g && held)
			__sync_fetch_and_add(&g->held, held);
		if (g && established)
			__sync_fetch_and_add(&g->established, established);
	}
	if (open) {
		at = load_at(index);
		if (at)
			__sync_fetch_and_add(at, open * WG_PLACE);
	}
}

/* Changes the numbers of a flow's service, of its server and of all flows. Not given the flow itself: who makes it closed or established
 * reads the two before, since from there on another CPU may delete it, and its memory be another flow's. */
WG_GLOBAL int gauges_add(__u32 service_gauge, __u32 server_gauge, int held, int open, int established)
{
	gauge_add(0, held, open, established);
	gauge_add(service_gauge, held, open, established);
	gauge_add(server_gauge, held, open, established);
	return 0;
}
