/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Deletes what the collector has found to be over. It reads the table at leisure, and flows live on meanwhile: so the
 * deletion is done here, where the state can be compared and swapped, and only if nothing has happened since. */
#pragma once

#include <bpf/bpf_helpers.h>

#include "flow.h"
#include "maps.h"

static __always_inline int collect_pair(const struct wg_doomed *d)
{
	struct wg_key key = d->key;
	struct wg_flow *f = bpf_map_lookup_elem(&wg_flows, &key);
	struct wg_flow *twin;

	if (!f || f->dir != WG_FORWARD || f->generation != d->generation || f->seen != d->seen)
		return 0;
	twin = flow_twin(f);
	if (twin && twin->seen != d->twin_seen)
		return 0;
	return flow_forget(&key, f, d->state);
}

/* A reverse entry whose forward entry is gone or is another flow's by now. */
static __always_inline int collect_orphan(const struct wg_doomed *d)
{
	struct wg_key key = d->key;
	struct wg_flow *f = bpf_map_lookup_elem(&wg_flows, &key);

	if (!f || f->dir != WG_REVERSE || f->generation != d->generation || flow_twin(f))
		return 0;
	return bpf_map_delete_elem(&wg_flows, &key) == 0;
}

WG_GLOBAL int collect_one(const struct wg_doomed *d)
{
	if (!d)
		return 0;
	return d->orphan ? collect_orphan(d) : collect_pair(d);
}

/* Goes through the first count entries of wg_doomed and returns how many were deleted. */
static __always_inline int collect(__u32 count)
{
	int deleted = 0;
	__u32 i;

	for (i = 0; i < WG_DOOMED_MAX && i < count; i++) {
		__u32 index = i;
		struct wg_doomed *d = bpf_map_lookup_elem(&wg_doomed, &index);

		if (!d)
			break;
		deleted += collect_one(d);
	}
	return deleted;
}
