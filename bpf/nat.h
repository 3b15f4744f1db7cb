/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Writes a flow's tuple into a packet. */
#pragma once

#include <linux/bpf.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "checksum.h"
#include "parse.h"
#include "types.h"

struct tcp_ports {
	__be16 source;
	__be16 dest;
};

static __always_inline long nat_write_v4(struct wg_frame *frame, const struct packet *p, const struct wg_flow *f, __u32 diff)
{
	void *data = frame_data(frame);
	struct iphdr *ip = data + WG_IP_OFF;
	struct tcp_ports *ports = data + WG_TCP4_OFF;

	if ((void *)(ports + 1) > frame_end(frame))
		return -1;
	ip->ttl = p->ttl - 1;
	ip->check = csum_apply(p->ip_check, csum_plus(diff, csum_minus(bpf_htons(0x0100))));
	ip->saddr = addr_v4(f->saddr);
	ip->daddr = addr_v4(f->daddr);
	ports->source = f->sport;
	ports->dest = f->dport;
	return 0;
}

static __always_inline long nat_write_v6(struct wg_frame *frame, const struct packet *p, const struct wg_flow *f)
{
	void *data = frame_data(frame);
	struct ipv6hdr *ip = data + WG_IP_OFF;
	struct tcp_ports *ports = data + (p->tcp == WG_TCP6_OFF ? WG_TCP6_OFF : WG_TCP6_JUMBO_OFF);

	if ((void *)(ports + 1) > frame_end(frame))
		return -1;
	ip->hop_limit = p->ttl - 1;
	addr_copy((__u8 *)&ip->saddr, f->saddr);
	addr_copy((__u8 *)&ip->daddr, f->daddr);
	ports->source = f->sport;
	ports->dest = f->dport;
	return 0;
}

/* What the change of the addresses adds to sums over them. */
static __always_inline __u32 nat_addr_diff(const struct packet *p, const struct wg_flow *f)
{
	if (p->v6)
		return csum_plus(csum_diff_v6(p->key.saddr, f->saddr), csum_diff_v6(p->key.daddr, f->daddr));
	return csum_plus(csum_diff(addr_v4(p->key.saddr), addr_v4(f->saddr)), csum_diff(addr_v4(p->key.daddr), addr_v4(f->daddr)));
}

#ifdef WG_XDP

/* XDP sees a checksum as it is on the wire; whoever calls this has seen to it, see partial.h. */
static __always_inline long nat_rewrite(struct wg_frame *frame, const struct packet *p, const struct wg_flow *f)
{
	const struct tcp_ports old_ports = { p->key.sport, p->key.dport };
	const struct tcp_ports new_ports = { f->sport, f->dport };
	__u32 addrs = nat_addr_diff(p, f);
	__u32 diff = csum_plus(addrs, csum_diff(*(const __u32 *)&old_ports, *(const __u32 *)&new_ports));
	struct tcphdr *tcp = frame_data(frame) + (p->v6 ? WG_TCP6_OFF : WG_TCP4_OFF);

	if ((void *)(tcp + 1) > frame_end(frame))
		return -1;
	tcp->check = csum_apply(tcp->check, diff);
	return p->v6 ? nat_write_v6(frame, p, f) : nat_write_v4(frame, p, f, addrs);
}

#else

/* The TCP checksum is only ever changed through bpf_l4_csum_replace: whether it is a full sum, a partial one that the
 * NIC completes, or covered by skb->csum is not visible from here. An IPv4 header sums to zero before and after, so
 * its own sum may be computed here; an IPv6 header has none, and its hop limit is in skb->csum. */
static __always_inline long nat_rewrite(struct wg_frame *skb, const struct packet *p, const struct wg_flow *f)
{
	const __u32 check = p->tcp + __builtin_offsetof(struct tcphdr, check);
	const struct tcp_ports old_ports = { p->key.sport, p->key.dport };
	const struct tcp_ports new_ports = { f->sport, f->dport };
	__u32 diff = nat_addr_diff(p, f);
	long err;

	if (p->v6) {
		err = csum_replace_pseudo_v6(skb, check, diff);
		bpf_csum_update(skb, csum_minus(bpf_htons(1)));
	} else {
		err = bpf_l4_csum_replace(skb, check, 0, diff, BPF_F_PSEUDO_HDR);
	}
	err |= bpf_l4_csum_replace(skb, check, *(const __u32 *)&old_ports, *(const __u32 *)&new_ports, sizeof(__u32));
	if (err)
		return err;
	return p->v6 ? nat_write_v6(skb, p, f) : nat_write_v4(skb, p, f, diff);
}

#endif
