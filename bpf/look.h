/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Reads the table of flows for the collector, and shows it the entries that may be over. To read all of them by system calls
 * copies every entry, twice as many as there are flows, and nearly all of them live on. This is an iterator over the elements of a
 * map (kernel 5.8); of most entries it touches the cache lines of the key and of the first fields. */
#pragma once

#include <bpf/bpf_helpers.h>

#include "maps.h"
#include "parse.h"

/* The kernel's context of such a program; uapi headers do not have it. Its layout is the same on every 64-bit machine. */
struct bpf_iter_meta {
	__bpf_md_ptr(struct seq_file *, seq);
	__u64 session_id;
	__u64 seq_num;
};

struct bpf_iter__bpf_map_elem {
	__bpf_md_ptr(struct bpf_iter_meta *, meta);
	__bpf_md_ptr(struct bpf_map *, map);
	__bpf_md_ptr(struct wg_key *, key);
	__bpf_md_ptr(struct wg_flow *, value);
};

/* Whether a flow may be over, by its forward entry alone: there may be activity in the other direction. */
static __always_inline int forward_is_due(const struct wg_flow *f, const struct wg_lives *lives)
{
	switch (f->state) {
	case WG_HALF:
		return f->seen <= lives->half;
	case WG_CLOSED:
		if (f->tcp_flags & WG_RST)
			return f->seen <= lives->reset;
		return f->seen <= (f->closer == 1 + WG_FORWARD ? lives->client_first : lives->server_first);
	default:
		return f->seen <= lives->established;
	}
}

static __always_inline int entry_is_due(const struct wg_flow *f, const struct wg_lives *lives)
{
	switch (f->dir) {
	case WG_FORWARD:
		return forward_is_due(f, lives);
	case WG_TOMBSTONE:
		return f->seen <= lives->tombstone;
	default:
		return lives->orphan && f->created <= lives->orphan;
	}
}

/* Shows an entry, as its key and its value, one behind the other; key and f are 0 behind the last one. */
static __always_inline int look(struct seq_file *seq, const struct wg_key *key, const struct wg_flow *f)
{
	__u32 zero = 0;
	struct wg_lives *lives = bpf_map_lookup_elem(&wg_lives, &zero);

	if (!lives || !key || !f)
		return 0;
	if (++lives->looked % WG_LOOK_STEP && !entry_is_due(f, lives))
		return 0;
	bpf_seq_write(seq, key, sizeof(*key));
	bpf_seq_write(seq, f, sizeof(*f));
	return 0;
}
