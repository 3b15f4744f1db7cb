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
	void *slots; /* slot 0 is the head */
	__u32 length;
	__u32 draws;
	__u32 avoid; /* gauge of a server not to choose: it has just failed this connection; 0: none */
};

static __always_inline const struct wg_slot *slot_at(const struct schedule *s, __u32 index)
{
	index++;
	return bpf_map_lookup_elem(s->slots, &index);
}

/* Takes a place at a slot's server. Returns 0, WG_R_SERVERS_FULL if another server may do, or why none will. */
static __always_inline int choose_slot(const struct schedule *s, const struct wg_slot *slot, struct choice *choice)
{
	__u32 index = slot->target, gauge = slot->gauge;
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
		slot = slot_at(s, (at + i) % s->length);
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
	__u32 gauge = slot->gauge;
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
	struct schedule s = { .slots = bpf_map_lookup_elem(&wg_sched, &service), .avoid = avoid };
	__u64 best_load = 0, best_weight = 0;
	const struct wg_slot *slot;
	__u32 i, at, zero = 0, first;

	slot = s.slots ? bpf_map_lookup_elem(s.slots, &zero) : 0;
	if (!slot || !slot->target)
		return best;
	s.length = slot->target;
	first = slot->counter == WG_FIRST;
	if (best) {
		slot = slot_at(&s, best - 1);
		if (slot) {
			best_load = slot_load(&s, slot);
			best_weight = slot->weight;
		}
	}
	for (i = 0; i < WG_SCAN_STEP && done + i < s.length; i++) {
		__s64 load;

		at = (start + done + i) % s.length;
		slot = slot_at(&s, at);
		if (!slot)
			break;
		load = slot_load(&s, slot);
		/* load / weight < best_load / best_weight, without dividing */
		if (load < 0 || (best_weight && load * best_weight >= best_load * slot->weight))
			continue;
		best = at + 1;
		best_load = load;
		best_weight = slot->weight;
		if (first)
			break;
	}
	return best;
}

/* Looks at each server: for the one with the fewest open connections on both paths for its weight, or just for the first
 * with room. Of equals the one nearest behind start is taken. */
static __always_inline int choose_scan(const struct schedule *s, __u32 service, __u32 start, int first, struct choice *choice)
{
	const struct wg_slot *slot;
	__u32 done, best = 0;

	for (done = 0; done < WG_SCAN_MAX && done < s->length; done += WG_SCAN_STEP) {
		best = scan_on(service, s->avoid, start, done, best);
		if (best && first)
			break;
	}
	if (!best)
		return WG_R_SERVERS_FULL;
	slot = slot_at(s, best - 1);
	return slot ? choose_slot(s, slot, choice) : WG_R_NO_SERVER;
}

/* The least loaded of some drawn at random, each in proportion to its weight; if it is full, the next in the schedule
 * that is not. */
static __always_inline int choose_random(const struct schedule *s, struct choice *choice)
{
	__u64 best_load = 0, best_weight = 0;
	__u32 i, at, best = 0;

	for (i = 0; i < WG_DRAWS_MAX && (i < s->draws || !i); i++) {
		const struct wg_slot *slot;
		__s64 load;

		at = bpf_get_prandom_u32() % s->length;
		slot = slot_at(s, at);
		if (!slot)
			return WG_R_NO_SERVER;
		load = slot_load(s, slot);
		if (best_weight && (load < 0 || load * best_weight >= best_load * slot->weight))
			continue;
		best = at;
		best_load = load < 0 ? (__u32)-1 : load;
		best_weight = slot->weight;
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
	return slot->gauge == s->avoid ? choose_from(s, at, choice) : choose_slot(s, slot, choice);
}

/* Finds a service's schedule. Returns its head, or 0. */
static __always_inline const struct wg_slot *schedule_find(struct schedule *s, __u32 service)
{
	const struct wg_slot *head;
	__u32 zero = 0;

	s->slots = bpf_map_lookup_elem(&wg_sched, &service);
	head = s->slots ? bpf_map_lookup_elem(s->slots, &zero) : 0;
	if (!head || !head->target)
		return 0;
	s->length = head->target;
	s->draws = head->weight;
	return head;
}

/* Chooses a server of a service, whose gauge is given, for the client whose address has the hash source, and takes a place at it.
 * Returns 0 or the reason why there is none.
 * The turns of a service go up by one for each call, so N connections over N slots get one slot each, on any number
 * of CPUs. Setting up a connection costs the same however long the schedule is, except by leastconn and first. */
WG_GLOBAL int choose_server(__u32 service, __u32 gauge, __u32 source, __u32 avoid, struct choice *choice)
{
	struct schedule s = { .avoid = avoid };
	struct wg_gauge *g = bpf_map_lookup_elem(&wg_gauges, &gauge);
	const struct wg_slot *head = schedule_find(&s, service);
	__u32 start = 0;

	if (!head || !g || !choice)
		return WG_R_NO_SERVER;
	switch (head->counter) {
	case WG_LEAST_CONN: /* idle servers take turns */
		start = next_turn(&g->turns) % s.length;
		/* fall through */
	case WG_FIRST:
		return choose_scan(&s, service, start, head->counter == WG_FIRST, choice);
	case WG_RANDOM:
		return choose_random(&s, choice);
	case WG_SOURCE:
		return choose_source(&s, source, choice);
	}
	return choose_from(&s, next_turn(&g->turns) % s.length, choice);
}
