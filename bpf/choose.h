/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Which server a new connection gets. pkg/balance has the same algorithms for the userspace path. */
#pragma once

#include <bpf/bpf_helpers.h>

#include "count.h"
#include "maps.h"

struct choice {
	__u32 target;
	__u32 counter;
	__u32 gauge; /* of the server */
};

/* A schedule, as choose_server finds it. */
struct schedule {
	void *elements;
	__u32 length;
	__u32 algorithm;
	__u32 draws;
	__u32 weighed;
	__u32 avoid; /* gauge of a server not to choose: it has just failed this connection; 0: none */
};

/* Finds a service's schedule. Returns whether there is a slot in it. */
static __always_inline int schedule_find(struct schedule *s, __u32 service)
{
	const union wg_sched_elem *first;
	__u32 zero = 0;

	s->elements = bpf_map_lookup_elem(&wg_sched, &service);
	first = s->elements ? bpf_map_lookup_elem(s->elements, &zero) : 0;
	if (!first)
		return 0;
	s->length = first->head.length;
	s->algorithm = first->head.algorithm;
	s->draws = first->head.draws;
	s->weighed = first->head.weighed;
	return s->length;
}

/* The element that a slot shares with its neighbour. */
static __always_inline const union wg_sched_elem *slots_at(const struct schedule *s, __u32 index)
{
	__u32 at = 1 + index / 2;

	return bpf_map_lookup_elem(s->elements, &at);
}

static __always_inline const struct wg_slot *slot_at(const struct schedule *s, __u32 index)
{
	const union wg_sched_elem *two = slots_at(s, index);

	return two ? &two->slots[index & 1] : 0;
}

/* The slot that is so many behind another one, in a circle, for numbers up to the length. A division at each step would take longer than
 * all the rest of it. */
static __always_inline __u32 slot_behind(const struct schedule *s, __u32 index, __u32 steps)
{
	index += steps;
	return index < s->length ? index : index - s->length;
}

/* The weight of the server of a slot, which has a meaning only beside others of the schedule. */
static __always_inline __u32 slot_weight(const struct schedule *s, __u32 index)
{
	__u32 at = 1 + (s->length + 1) / 2 + index / 4;
	const union wg_sched_elem *four;

	if (!s->weighed)
		return 1;
	four = bpf_map_lookup_elem(s->elements, &at);
	return four ? four->weights[index & 3] : 1;
}

/* The index into wg_loads and wg_gauges of the server of a target: of each server's two targets the first has the same one. */
static __always_inline __u32 target_gauge(__u32 target)
{
	return target % WG_GAUGES_MAX;
}

/* Takes a place at a slot's server. Returns 0, WG_R_SERVERS_FULL if another server may do, or why none will. */
static __always_inline int choose_slot(const struct schedule *s, const struct wg_slot *slot, struct choice *choice)
{
	__u32 index = slot->target, gauge = target_gauge(index);
	const struct wg_target *target;
	int reason;

	if (gauge == s->avoid)
		return WG_R_SERVERS_FULL;
	target = bpf_map_lookup_elem(&wg_targets, &index);
	if (!target)
		return WG_R_NO_SERVER;
	if (!target->sources)
		return WG_R_NO_ROUTE;
	reason = gauge_enter(gauge);
	choice->target = index;
	choice->counter = slot->counter;
	choice->gauge = gauge;
	return reason == WG_R_SERVICE_LIMIT ? WG_R_SERVERS_FULL : reason;
}

/* Walks the schedule from a slot on, past full servers. (The number of rounds is a constant here: before 6.8 the verifier
 * does not see the end of a loop that a variable bounds.) */
static __always_inline int choose_from(const struct schedule *s, __u32 at, struct choice *choice)
{
	const struct wg_slot *slot;
	int reason = WG_R_SERVERS_FULL;
	__u32 i;

	for (i = 0; i < WG_CHOOSE_TRIES && i < s->length; i++) {
		slot = slot_at(s, slot_behind(s, at, i));
		if (!slot)
			return WG_R_NO_SERVER;
		reason = choose_slot(s, slot, choice);
		if (reason != WG_R_SERVERS_FULL)
			break;
	}
	return reason;
}

/* The load of a slot's server, or -1 if it cannot take one more. */
static __always_inline __s64 slot_load(const struct schedule *s, const struct wg_slot *slot)
{
	__u32 gauge = target_gauge(slot->target);
	__u64 *at = load_at(gauge), load;
	struct wg_gauge *g;

	if (!at || gauge == s->avoid)
		return -1;
	load = *at;
	if (load & WG_LIMITED) {
		g = bpf_map_lookup_elem(&wg_gauges, &gauge);
		if (!g || (g->limit && load_taken(load) >= g->limit))
			return -1;
	}
	return load_taken(load);
}

/* Looks at the next WG_SCAN_STEP slots, from the done'th behind start on, and returns the best so far, counted from 1: the least
 * loaded for its weight, or just the first with room; best is that of the steps before. A function of its own, since the
 * verifier of 6.1 does not take a loop of so many rounds as a whole. */
WG_GLOBAL int scan_on(__u32 service, __u32 avoid, __u32 start, __u32 done, __u32 best)
{
	struct schedule s = { .avoid = avoid };
	__u64 best_load = 0, best_weight = 0;
	const union wg_sched_elem *two = 0;
	const struct wg_slot *slot;
	__u32 i, at, from;

	if (!schedule_find(&s, service))
		return best;
	from = (start + done) % s.length;
	if (best) {
		slot = slot_at(&s, best - 1);
		if (slot) {
			best_load = slot_load(&s, slot);
			best_weight = slot_weight(&s, best - 1);
		}
	}
	for (i = 0; i < WG_SCAN_STEP && done + i < s.length; i++) {
		__u32 weight;
		__s64 load;

		at = slot_behind(&s, from, i);
		if (!two || !(at & 1))
			two = slots_at(&s, at);
		if (!two)
			break;
		load = slot_load(&s, &two->slots[at & 1]);
		weight = slot_weight(&s, at);
		/* load / weight < best_load / best_weight, without dividing */
		if (load < 0 || (best_weight && load * best_weight >= best_load * weight))
			continue;
		best = at + 1;
		best_load = load;
		best_weight = weight;
		if (s.algorithm == WG_FIRST)
			break;
	}
	return best;
}

/* Looks at each server: for the one with the fewest open connections on both paths for its weight, or just for the first
 * with room. Of equals the one nearest behind start is taken. */
static __always_inline int choose_scan(const struct schedule *s, __u32 service, __u32 start, struct choice *choice)
{
	const struct wg_slot *slot;
	__u32 done, best = 0;

	for (done = 0; done < WG_SCAN_MAX && done < s->length; done += WG_SCAN_STEP) {
		best = scan_on(service, s->avoid, start, done, best);
		if (best && s->algorithm == WG_FIRST)
			break;
	}
	if (!best)
		return WG_R_SERVERS_FULL;
	slot = slot_at(s, best - 1);
	return slot ? choose_slot(s, slot, choice) : WG_R_NO_SERVER;
}

/* Has the target of a slot's server fetched, which takes as long as to fetch and compare loads: so both go on at once. */
static __always_inline void slot_touch(const struct wg_slot *slot)
{
	__u32 index = slot->target;
	const struct wg_target *target = bpf_map_lookup_elem(&wg_targets, &index);

	if (target)
		(void)*(const volatile __u32 *)&target->server;
}

/* The least loaded of some drawn at random, each in proportion to its weight; if it is full, the next in the schedule
 * that is not. */
static __always_inline int choose_random(const struct schedule *s, struct choice *choice)
{
	__u64 best_load = 0, best_weight = 0;
	__u32 i, at, best = 0, weight;

	for (i = 0; i < WG_DRAWS_MAX && (i < s->draws || !i); i++) {
		const struct wg_slot *slot;
		__s64 load;

		at = (__u64)bpf_get_prandom_u32() * s->length >> 32;
		slot = slot_at(s, at);
		if (!slot)
			return WG_R_NO_SERVER;
		slot_touch(slot);
		load = slot_load(s, slot);
		weight = slot_weight(s, at);
		if (best_weight && (load < 0 || load * best_weight >= best_load * weight))
			continue;
		best = at;
		best_load = load < 0 ? (__u32)-1 : load;
		best_weight = weight;
	}
	return choose_from(s, best, choice);
}

/* The server that the client's address leads to. One that is full is waited for, in userspace; one that has failed this
 * connection is passed by, to the next in the table. */
static __always_inline int choose_source(const struct schedule *s, __u32 source, struct choice *choice)
{
	const __u32 at = source % s->length;
	const struct wg_slot *slot = slot_at(s, at);

	if (!slot)
		return WG_R_NO_SERVER;
	return target_gauge(slot->target) == s->avoid ? choose_from(s, at, choice) : choose_slot(s, slot, choice);
}

/* Chooses a server of a service, whose gauge is given, for the client whose address has the hash source, and takes a place at it.
 * Returns 0 or the reason why there is none.
 * The turns of a service go up by one for each call, so N connections over N slots get one slot each, on any number
 * of CPUs. Setting up a connection costs the same however long the schedule is, except by leastconn and first. */
WG_GLOBAL int choose_server(__u32 service, __u32 gauge, __u32 source, __u32 avoid, struct choice *choice)
{
	struct schedule s = { .avoid = avoid };
	struct wg_gauge *g = bpf_map_lookup_elem(&wg_gauges, &gauge);
	__u32 start = 0;

	if (!schedule_find(&s, service) || !g || !choice)
		return WG_R_NO_SERVER;
	switch (s.algorithm) {
	case WG_LEAST_CONN: /* idle servers take turns */
		start = next_turn(&g->turns) % s.length;
		/* fall through */
	case WG_FIRST:
		return choose_scan(&s, service, start, choice);
	case WG_RANDOM:
		return choose_random(&s, choice);
	case WG_SOURCE:
		return choose_source(&s, source, choice);
	}
	return choose_from(&s, next_turn(&g->turns) % s.length, choice);
}
