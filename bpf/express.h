/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The part of the way that XDP can go by itself: packets of flows whose handshake is done, to a neighbour whose MAC is known, by
 * an interface that takes frames from XDP. That is nearly all packets, before the kernel has made an skb of them. All others
 * it leaves untouched and, but for what says why, uncounted to TC, which is behind it on the same interface and can do all: take
 * SYNs, ask for neighbours, finish checksums, cut what is too long, drop and say why. */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include "count.h"
#include "flow.h"
#include "nat.h"
#include "partial.h"
#include "way.h"

/* Whether the frame is for the interface that it came in by, and as it was on the wire: in promiscuous mode others come too, and the
 * kernel's generic XDP sees what was joined to more than an MTU, which only TC can send on. */
static __always_inline int frame_is_ours(const struct wg_frame *frame)
{
	const __u16 *mac = frame_data(frame);
	__u32 ifindex = frame->ingress_ifindex;
	const struct wg_iface *in;
	const __u16 *own;

	if ((void *)(mac + 3) > frame_end(frame))
		return 0;
	in = bpf_map_lookup_elem(&wg_ifaces, &ifindex);
	if (!in || frame_end(frame) - frame_data(frame) > in->mtu + ETH_HLEN)
		return 0;
	own = (const __u16 *)in->mac;
	return mac[0] == own[0] && mac[1] == own[1] && mac[2] == own[2];
}

/* Whether XDP follows the flow at this packet: no part of a handshake, and nothing about an end that TC judges. */
static __always_inline int express_takes(const struct wg_flow *f, const struct packet *p)
{
	if ((p->tcp_flags & WG_SYN) || p->ttl <= 1)
		return 0;
	if (f->dir == WG_FORWARD)
		return f->state == WG_ESTABLISHED;
	/* Without the server's SYN it may be a refusal. */
	return f->dir == WG_REVERSE && (f->tcp_flags & WG_SYN);
}

/* Sends a frame to the other end of its flow. XDP_PASS means that it is as it was. */
static __always_inline int express_send(struct wg_frame *frame, const struct packet *p, struct wg_flow *f)
{
	__u32 need = frame_len(frame) > frame_end(frame) - frame_data(frame) ? WG_MAC_XDP_BUFFERS : WG_MAC_KNOWN;
	struct ethhdr *eth = frame_data(frame);
	struct wg_way *way = way_of(f);
	union {
		__u64 word;
		struct wg_mac mac;
	} to;

	if (!way || (void *)(eth + 1) > frame_end(frame))
		return XDP_PASS;
	to.word = *(volatile __u64 *)&way->to;
	if (!(to.mac.known & need))
		return XDP_PASS;
	if (way->ifindex != frame->ingress_ifindex)
		to.mac.known &= ~WG_MAC_XDP_BACK;
	if (!(to.mac.known & (WG_MAC_XDP | WG_MAC_XDP_BACK)))
		return XDP_PASS;
	if (!way->used)
		way->used = 1;
	flow_note(frame, f, p);
	if (nat_rewrite(frame, p, f)) /* cannot be: it was read */
		return XDP_DROP;
	__builtin_memcpy(eth->h_dest, to.mac.addr, ETH_ALEN);
	__builtin_memcpy(eth->h_source, way->from, ETH_ALEN);
	return to.mac.known & WG_MAC_XDP_BACK ? XDP_TX : bpf_redirect(way->ifindex, 0);
}

static __always_inline int express(struct wg_frame *frame)
{
	struct packet p = {};
	struct wg_flow *f;
	int verdict;

	if (packet_parse(frame, &p) != PARSE_OK)
		return XDP_PASS;
	f = bpf_map_lookup_elem(&wg_flows, &p.key);
	if (!f || !express_takes(f, &p) || !frame_is_ours(frame))
		return XDP_PASS;
	if (checksum_is_partial(frame, &p)) {
		count_reason(WG_R_XDP_CHECKSUM);
		return XDP_PASS;
	}
	verdict = express_send(frame, &p, f);
	if (verdict == XDP_PASS)
		count_reason(WG_R_XDP_WAY);
	return verdict;
}
