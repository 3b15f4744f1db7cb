/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The ring of half-open flows: what bounds a SYN flood. */
#pragma once

#include <bpf/bpf_helpers.h>

#include "flow.h"
#include "maps.h"

/* Slots of wg_ring on each CPU; set by the loader together with the map's size. */
const volatile __u32 wg_ring_size = 1;

/* A number that no other flow has: flows begun by this CPU, with the CPU on top. */
static __always_inline __u64 ring_generation(void)
{
	__u32 zero = 0;
	__u64 *begun = bpf_map_lookup_elem(&wg_begun, &zero);

	if (!begun)
		return 0;
	(*begun)++;
	return ((__u64)bpf_get_smp_processor_id() << 48) | *begun;
}

/* Enters a new half-open flow. The flow whose slot it takes is deleted if it is the same one and half-open still. */
static __always_inline void ring_enter(const struct wg_key *key, __u64 generation)
{
	__u32 index = generation % wg_ring_size;
	struct wg_ring_slot *slot = bpf_map_lookup_elem(&wg_ring, &index);
	struct wg_flow *old;

	if (!slot)
		return;
	if (slot->generation) {
		old = bpf_map_lookup_elem(&wg_flows, &slot->key);
		if (old && old->dir == WG_FORWARD && old->generation == slot->generation)
			flow_forget(&slot->key, old, flow_tag(slot->generation), WG_HALF);
	}
	slot->key = *key;
	slot->generation = generation;
}
