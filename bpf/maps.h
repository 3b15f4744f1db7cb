/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* All maps. Sizes written as 1 are set by the loader. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "limits.h"
#include "reasons.h"
#include "types.h"

/* Frontends that the kernel may serve. Not preallocated: freed elements of a preallocated map are reused
 * without waiting for readers. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct wg_service_key);
	__type(value, struct wg_service);
} wg_services SEC(".maps");

/* Servers by id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct wg_server);
} wg_servers SEC(".maps");

/* What slots of schedules lead to. 0 is none. To be mapped into memory its values begin with a page, and so each with a cache line. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WG_TARGETS_MAX);
	__type(key, __u32);
	__type(value, struct wg_target);
} wg_targets SEC(".maps");

/* What targets refer to. 0 is none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WG_OWN_MACS_MAX);
	__type(key, __u32);
	__type(value, struct wg_own_mac);
} wg_own_macs SEC(".maps");

struct wg_sched_slots {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, union wg_sched_elem);
};

/* clang describes a type in BTF if a variable needs it; those of an inner map it overlooks. */
const union wg_sched_elem *wg_sched_elem_in_btf __attribute__((unused));

/* The schedule of each service, swapped whole. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__array(values, struct wg_sched_slots);
} wg_sched SEC(".maps");

/* Both directions of every flow from its SYN on. Not preallocated: a table for the worst hour would be charged to
 * the container's memory from the start (512 bytes a flow), and a SYN for which memory is lacking only falls through.
 * Preallocated, a SYN takes 0.95 of the time (median of 7 rounds of BenchmarkSYN, quartiles 0.79 to 0.95, on a busy
 * machine), and for other packets no difference shows. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct wg_key);
	__type(value, struct wg_flow);
} wg_flows SEC(".maps");

/* Where an entry is put together: it is too large for the stack, and nothing interrupts the program on its CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wg_flow);
} wg_draft SEC(".maps");

/* The key of a flow's way back while it is made, for the same reason; and behind it that of the connection whose port it
 * takes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct wg_key);
} wg_draft_key SEC(".maps");

/* Half-open flows of each CPU in order of arrival: the oldest makes room for the newest. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wg_ring_slot);
} wg_ring SEC(".maps");

/* How many flows each CPU has begun: its place in wg_ring and the source of generation numbers. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} wg_begun SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WG_GAUGES_MAX);
	__type(key, __u32);
	__type(value, struct wg_load);
} wg_loads SEC(".maps");

/* By the indices of wg_loads. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WG_GAUGES_MAX);
	__type(key, __u32);
	__type(value, struct wg_gauge);
} wg_gauges SEC(".maps");

/* WG_COUNTERS_MAX entries of one CPU behind those of another. An array for each CPU would do the same, but its list of pointers
 * is one more cache line for each counter, and the agent could not have it mapped. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wg_counter);
} wg_counters SEC(".maps");

/* Packets not taken, by enum wg_reason. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WG_R_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} wg_reasons SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wg_settings);
} wg_settings SEC(".maps");

/* Interfaces that the program is attached to, by index. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct wg_iface);
} wg_ifaces SEC(".maps");

/* Ends of sessions whose frontend logs. Full when the agent does not read; see wg_lost. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, WG_EVENTS_BYTES);
} wg_events SEC(".maps");

/* A ring has no type of its own in BTF. */
const struct wg_event *wg_event_in_btf __attribute__((unused));

/* Events that found no room in wg_events. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} wg_lost SEC(".maps");

/* Neighbours with their MACs, by index. 0 is nobody. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WG_WAY_MAX);
	__type(key, __u32);
	__type(value, struct wg_way);
} wg_ways SEC(".maps");

/* The identity of the way to an on-link address. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, WG_WAY_MAX);
	__type(key, struct wg_neigh_key);
	__type(value, __u32);
} wg_neighs SEC(".maps");

/* The main routing table, empty where rules or its size make it unfit. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct wg_route_key);
	__type(value, struct wg_route);
} wg_routes SEC(".maps");

/* One bit for each port that a packet to us may have: of services, past ones included, and source ports. All other
 * packets are done with before any other map is asked. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 65536 / 64);
	__type(key, __u32);
	__type(value, __u64);
} wg_ports SEC(".maps");

/* The collector's list for one run of wg_collect. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WG_DOOMED_MAX);
	__type(key, __u32);
	__type(value, struct wg_doomed);
} wg_doomed SEC(".maps");

/* What wg_look shows. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wg_lives);
} wg_lives SEC(".maps");
