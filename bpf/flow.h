/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The life of a flow: how it is found, promoted, closed and forgotten. */
#pragma once

#include <bpf/bpf_helpers.h>

#include "count.h"
#include "events.h"
#include "maps.h"
#include "option.h"
#include "parse.h"

/* What tells a flow from others that have had, or will have, the same memory: no two of a CPU's 2^24 flows in a row have the same. */
static __always_inline __u32 flow_tag(__u64 generation)
{
	return generation ^ generation >> 24;
}

/* Changes the state of the flow that has the tag: f may be another one's by now, whose state is the same. So who calls this has the tag from
 * before it looked at what it decides by. */
static __always_inline int flow_shift(struct wg_flow *f, __u32 tag, enum wg_state from, enum wg_state to)
{
	typedef __u64 __attribute__((may_alias)) word;
	__u64 old = (__u64)tag << 32 | from;

	return __sync_val_compare_and_swap((word *)&f->state, old, (__u64)tag << 32 | to) == old;
}

static __always_inline __u32 flow_tag_of(const struct wg_flow *f)
{
	return *(const volatile __u32 *)&f->tag;
}

/* Finds an entry and the tag of its flow. It is looked up again once the tag is read: what was found first may be another flow's by then. */
static __always_inline struct wg_flow *flow_hold(const struct wg_key *key, __u32 *tag)
{
	struct wg_flow *f = bpf_map_lookup_elem(&wg_flows, key);

	if (!f)
		return 0;
	*tag = flow_tag_of(f);
	return bpf_map_lookup_elem(&wg_flows, key);
}

static __always_inline void flow_twin_key(const struct wg_flow *f, struct wg_key *key)
{
	addr_copy(key->saddr, f->daddr);
	addr_copy(key->daddr, f->saddr);
	key->sport = f->dport;
	key->dport = f->sport;
}

static __always_inline struct wg_flow *flow_twin(const struct wg_flow *f)
{
	struct wg_key key;
	struct wg_flow *twin;

	flow_twin_key(f, &key);
	twin = bpf_map_lookup_elem(&wg_flows, &key);
	return twin && twin->generation == f->generation ? twin : 0;
}

/* Deletes both entries of a flow that the caller has made WG_DEAD; from is what it was before, f the forward entry. */
static __always_inline void flow_delete(const struct wg_key *key, const struct wg_flow *f, enum wg_state from)
{
	struct wg_key twin;

	gauges_add(f->service_gauge, f->server_gauge, from == WG_CLOSED ? -1 : 0, from == WG_CLOSED ? 0 : -1,
		   from == WG_ESTABLISHED ? -1 : 0);
	flow_twin_key(f, &twin);
	bpf_map_delete_elem(&wg_flows, &twin);
	bpf_map_delete_elem(&wg_flows, key);
}

/* Deletes both entries of a flow if it is still in the state from; f is the forward entry. */
static __always_inline int flow_forget(const struct wg_key *key, struct wg_flow *f, __u32 tag, enum wg_state from)
{
	if (!flow_shift(f, tag, from, WG_DEAD))
		return 0;
	flow_delete(key, f, from);
	return 1;
}

/* Deletes the forward entry of a flow that the caller has made WG_DEAD; from is what it was before. The other one stays as a
 * tombstone, which holds the port. */
static __always_inline void flow_bury(const struct wg_key *key, const struct wg_flow *f, struct wg_flow *rev, enum wg_state from)
{
	rev->dir = WG_TOMBSTONE;
	gauge_add(f->server_gauge, 1, 0, 0);
	gauges_add(f->service_gauge, f->server_gauge, from == WG_CLOSED ? -1 : 0, from == WG_CLOSED ? 0 : -1, 0);
	bpf_map_delete_elem(&wg_flows, key);
}

/* Whether the server of a closed flow is in TIME_WAIT, or was: it has sent the first FIN and acknowledged the client's, and
 * the client has acknowledged all that it sent. What it has received ends right before f->seq_next then. */
static __always_inline int flow_waits(const struct wg_flow *f, const struct wg_flow *rev)
{
	return f->closer == 1 + WG_REVERSE && !((f->tcp_flags | rev->tcp_flags) & WG_RST) && rev->ack == f->seq_next &&
	       f->ack == rev->seq_next;
}

/* Makes room for a new connection of the same client from the same port. If the server closed first it is in TIME_WAIT, so
 * the source port towards it stays taken, by a tombstone. */
WG_GLOBAL int flow_recycle(const struct packet *p)
{
	struct wg_flow *f, *rev;
	struct wg_key key;
	__u32 tag;

	if (!p)
		return 0;
	key = p->key;
	f = flow_hold(&key, &tag);
	if (!f)
		return 0;
	rev = flow_twin(f);
	if (f->closer != 1 + WG_REVERSE || !rev || ((f->tcp_flags | rev->tcp_flags) & WG_RST)) {
		flow_forget(&key, f, tag, WG_CLOSED);
		return 0;
	}
	if (!flow_shift(f, tag, WG_CLOSED, WG_DEAD))
		return 0;
	if (flow_waits(f, rev)) {
		rev->syn_next = f->seq_next;
		rev->stamp = f->stamp;
		rev->flags |= WG_FLOW_WAITS;
	}
	flow_bury(&key, f, rev, WG_CLOSED);
	return 0;
}

/* Makes a flow established when the client acknowledges the server's SYN: only someone who has received the
 * SYN-ACK can, so a flood from made-up addresses never leaves the half-open ring. A server that has taken data from the SYN (fast
 * open, RFC 7413) may send its own at once, and when the first acknowledgement is lost the next one is of these as well. */
WG_GLOBAL int flow_promote(struct wg_flow *f, const struct packet *p)
{
	struct wg_flow *twin;
	__u32 tag, service, server;

	if (!f || !p)
		return 0;
	tag = flow_tag_of(f);
	service = f->service_gauge;
	server = f->server_gauge;
	twin = flow_twin(f);
	if (!twin || !(twin->tcp_flags & WG_SYN) || p->ack - twin->syn_next > twin->seq_next - twin->syn_next)
		return 0;
	if (flow_shift(f, tag, WG_HALF, WG_ESTABLISHED)) {
		gauges_add(service, server, 0, 0, 1);
		count_session(f);
	}
	return 0;
}

/* Whether a RST can be of this flow: its sequence number is what the other end expects, as far as it has told, or the end of what
 * this end has sent, or it refuses the SYN. Any other may be forged, also one in between, of which there are enough for guesses
 * while much is in flight; its receiver takes none but what it expects (RFC 5961, section 3), and asks back for that. */
static __always_inline int rst_is_credible(const struct wg_flow *f, const struct wg_flow *twin, const struct packet *p)
{
	if (f->dir == WG_REVERSE && !(f->tcp_flags & WG_SYN))
		return p->ack == twin->seq_next;
	return p->seq == twin->ack || p->seq == f->seq_next;
}

/* Whether a FIN can be of this flow, whose direction had come to before: it follows what was sent so far, or not much that was lost on
 * the way here, or comes again, or stands where the other end expects it. Any other may be forged. To believe it would give the flow
 * the shorter life of one that is half closed, and let the other side's FIN end it. */
static __always_inline int fin_is_credible(const struct wg_flow *twin, const struct packet *p, __u32 before)
{
	__u32 at = p->seq + p->payload;

	if (p->tcp_flags & WG_SYN)
		return 0;
	if (at == twin->ack || at + 1 == twin->ack)
		return 1;
	return (__s32)(p->seq - before) <= WG_FIN_HOLE && (__s32)(at + 1 - before) >= 0;
}

/* Ends a flow whose server has not taken the connection. */
static __always_inline void flow_refused(struct wg_flow *fwd, struct wg_flow *rev, __u32 tag)
{
	__u32 service = fwd->service_gauge, server = fwd->server_gauge;

	if (!flow_shift(fwd, tag, WG_HALF, WG_CLOSED))
		return;
	event_close(fwd, rev, WG_END_REFUSED);
	gauges_add(service, server, 1, -1, 0);
}

/* Follows a FIN or RST; the second credible FIN or the first credible RST closes the flow. before is what f->seq_next was before this
 * packet. The atomic or orders the two directions: of two FINs that cross on two CPUs at least one sees the other. */
WG_GLOBAL int flow_end(struct wg_flow *f, const struct packet *p, __u32 before)
{
	struct wg_flow *twin, *fwd, *rev;
	enum wg_end end = WG_END_FIN;
	__u32 tag, service, server;
	int closed = 0;

	if (!f || !p)
		return 0;
	tag = flow_tag_of(f);
	service = f->service_gauge;
	server = f->server_gauge;
	twin = flow_twin(f);
	if (!twin)
		return 0;
	fwd = f->dir == WG_FORWARD ? f : twin;
	rev = f->dir == WG_FORWARD ? twin : f;
	if (p->tcp_flags & WG_RST) {
		if (!rst_is_credible(f, twin, p))
			return 0;
		__sync_fetch_and_or(&fwd->tcp_flags, WG_RST); /* whoever sent it: the collector then need not look up the other one */
		end = f->dir == WG_FORWARD ? WG_END_CLIENT_RST : WG_END_SERVER_RST;
		closed = 1;
	} else {
		if (!fin_is_credible(twin, p, before))
			return 0;
		__sync_fetch_and_or(&f->tcp_flags, WG_FIN);
		closed = (twin->tcp_flags & WG_FIN) != 0;
		if (!closed && !fwd->closer)
			fwd->closer = 1 + f->dir;
	}
	if (!closed)
		return 0;
	if (flow_shift(fwd, tag, WG_ESTABLISHED, WG_CLOSED)) {
		event_close(fwd, rev, end);
		gauges_add(service, server, 1, -1, -1);
	} else if (flow_shift(fwd, tag, WG_HALF, WG_CLOSED)) {
		if (end == WG_END_SERVER_RST && !(rev->tcp_flags & WG_SYN))
			event_close(fwd, rev, WG_END_REFUSED);
		gauges_add(service, server, 1, -1, 0);
	}
	return 0;
}

/* Whether a SYN sets where the sequence numbers of its direction begin: not when it comes again, when data may have come behind it,
 * nor in an established flow, where a client's SYN is a forgery or a mistake that the server answers with a challenge ACK (RFC 5961,
 * section 4). */
static __always_inline int flow_begins(const struct wg_flow *f, const struct packet *p)
{
	if (!(p->tcp_flags & WG_SYN) || ((f->tcp_flags & WG_SYN) && f->syn_next == p->seq + 1))
		return 0;
	return f->dir == WG_REVERSE || f->state == WG_HALF;
}

/* Moves the end of the stream in this direction and returns by how many bytes of payload, each of them to one of the CPUs that have packets
 * of the same direction at once: a sender's thread and what answers the ACKs that it gets may be on two. So retransmissions are not
 * counted, and what was lost on the way here and comes later is counted once: the sum is what the receiver reads.
 * A leap beyond any window is a forgery or garbage, and moves nothing. Neither does a bare ACK: where it stands behind something
 * that was lost, that may have been a FIN, whose number is no byte. */
static __always_inline __u32 flow_advance(struct wg_flow *f, const struct packet *p)
{
	__u32 end = p->seq + p->payload + !!(p->tcp_flags & WG_SYN);
	__u32 fin = !!(p->tcp_flags & WG_FIN);
	__u32 next, seen;
	__s32 ahead;

	if (flow_begins(f, p)) {
		f->syn_next = p->seq + 1;
		f->seq_next = p->seq + 1;
	} else if (p->tcp_flags & (WG_SYN | WG_RST)) {
		return 0;
	}
	next = *(volatile __u32 *)&f->seq_next;
	for (int i = 0; i < WG_ADVANCE_TRIES; i++) {
		ahead = end - next;
		if (!(p->payload + fin) || ahead > (p->payload ? WG_WINDOW_MAX : WG_FIN_HOLE) || (__s32)(ahead + fin) <= 0)
			return 0;
		seen = __sync_val_compare_and_swap(&f->seq_next, next, end + fin);
		if (seen == next)
			return ahead;
		next = seen;
	}
	return 0; /* the next packet brings these bytes with it */
}

/* Notes what the server that is in TIME_WAIT remembers of the client, see port_reopen. */
WG_GLOBAL int flow_remember(struct wg_frame *frame, struct wg_flow *f, const struct packet *p)
{
	__u32 stamp;

	if (!f || !p)
		return 0;
	stamp = tcp_stamp(frame, p->tcp, p->tcp_len);
	if (stamp && (!f->stamp || (__s32)(stamp - f->stamp) > 0))
		f->stamp = stamp;
	return 0;
}

/* Notes what a packet tells about its flow. Activity is payload, SYN, FIN or RST; a bare ACK is not. */
static __always_inline void flow_note(struct wg_frame *frame, struct wg_flow *f, const struct packet *p)
{
	__u32 before = f->seq_next;
	__u32 bytes = flow_advance(f, p);

	if ((p->tcp_flags & WG_SYN) && f->dir == WG_REVERSE && !(f->tcp_flags & WG_SYN))
		f->connect = (bpf_ktime_get_coarse_ns() - f->created) / 1000;
	count_packet(f, bytes);
	if (p->tcp_flags & (WG_FIN | WG_RST))
		flow_end(f, p, before);
	if (p->payload || (p->tcp_flags & (WG_SYN | WG_FIN | WG_RST)))
		f->seen = bpf_ktime_get_coarse_ns();
	if (p->tcp_flags & WG_SYN)
		__sync_fetch_and_or(&f->tcp_flags, WG_SYN);
	if (p->tcp_flags & WG_ACK)
		f->ack = p->ack;
	if (f->state == WG_CLOSED) /* so it is a forward entry */
		flow_remember(frame, f, p);
}
