/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Deletes what the collector has found to be over. It reads the table at leisure, and flows live on meanwhile: so the
 * deletion is done here, where the state can be compared and swapped, and only if nothing has happened since. */
#pragma once

#include <bpf/bpf_helpers.h>

#include "flow.h"
#include "maps.h"

/* Whether a flow is still as it was seen; one that is to go by force may have moved on, if only it is the same flow. */
static __always_inline int still_doomed(const struct wg_doomed *d, const struct wg_flow *f, const struct wg_flow *twin)
{
	if (f->dir != WG_FORWARD || f->generation != d->generation || f->state == WG_DEAD) /* whoever has set that deletes it */
		return 0;
	if (d->how == WG_DOOM_FORCED)
		return f->state == WG_HALF || f->state == WG_ESTABLISHED;
	return f->state == d->state && f->seen == d->seen && (!twin || twin->seen == d->twin_seen);
}

/* Whether a session ends here for which a line is due: one whose handshake was completed, or whose server has not
 * answered. A client that does not complete the handshake never had a session. */
static __always_inline int end_is_logged(enum wg_state state, const struct wg_flow *rev)
{
	return state == WG_ESTABLISHED || (state == WG_HALF && !(rev->tcp_flags & WG_SYN));
}

static __always_inline int collect_pair(struct wg_doomed *d)
{
	struct wg_key key = d->key;
	struct wg_flow *f = bpf_map_lookup_elem(&wg_flows, &key);
	struct wg_flow *twin;
	enum wg_state state;

	if (!f)
		return 0;
	twin = flow_twin(f);
	state = f->state;
	if (!still_doomed(d, f, twin) || !flow_shift(f, flow_tag(d->generation), state, WG_DEAD))
		return 0;
	d->state = state;
	d->client_next = f->seq_next;
	d->client_ack = f->ack;
	if (twin) {
		d->server_next = twin->seq_next;
		d->server_ack = twin->ack;
		d->answered = !!(twin->tcp_flags & WG_SYN);
		if (end_is_logged(state, twin))
			event_close(f, twin, d->end);
	}
	flow_delete(&key, f, state);
	return 1;
}

/* A reverse entry whose forward entry is gone or is another flow's by now, or a tombstone. */
static __always_inline int collect_orphan(struct wg_doomed *d)
{
	struct wg_key key = d->key;
	struct wg_flow *f = bpf_map_lookup_elem(&wg_flows, &key);

	if (!f || f->generation != d->generation)
		return 0;
	if (f->dir == WG_TOMBSTONE) {
		if (!flow_shift(f, flow_tag(d->generation), 0, WG_DEAD)) /* a new connection has its port by now, see port_reopen */
			return 0;
		gauge_add(f->server_gauge, -1, 0, 0);
	} else if (f->dir != WG_REVERSE || flow_twin(f))
		return 0;
	return bpf_map_delete_elem(&wg_flows, &key) == 0;
}

/* Deletes one flow. Its state says afterwards whether that was done. */
WG_GLOBAL int collect_one(struct wg_doomed *d)
{
	int deleted;

	if (!d)
		return 0;
	deleted = d->how == WG_DOOM_ORPHAN ? collect_orphan(d) : collect_pair(d);
	if (!deleted)
		d->state = 0;
	return deleted;
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
