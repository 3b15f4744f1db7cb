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

static __always_inline long nat_write_v4(struct __sk_buff *skb, const struct packet *p, const struct wg_flow *f, __u32 diff)
{
	void *data = (void *)(long)skb->data;
	struct iphdr *ip = data + WG_IP_OFF;
	struct tcp_ports *ports = data + WG_TCP4_OFF;

	if ((void *)(ports + 1) > (void *)(long)skb->data_end)
		return -1;
	ip->ttl = p->ttl - 1;
	ip->check = csum_apply(p->ip_check, csum_plus(diff, csum_minus(bpf_htons(0x0100))));
	ip->saddr = addr_v4(f->saddr);
	ip->daddr = addr_v4(f->daddr);
	ports->source = f->sport;
	ports->dest = f->dport;
	return 0;
}

static __always_inline long nat_write_v6(struct __sk_buff *skb, const struct packet *p, const struct wg_flow *f)
{
	void *data = (void *)(long)skb->data;
	struct ipv6hdr *ip = data + WG_IP_OFF;
	struct tcp_ports *ports = data + WG_TCP6_OFF;

	if ((void *)(ports + 1) > (void *)(long)skb->data_end)
		return -1;
	ip->hop_limit = p->ttl - 1;
	addr_copy((__u8 *)&ip->saddr, f->saddr);
	addr_copy((__u8 *)&ip->daddr, f->daddr);
	ports->source = f->sport;
	ports->dest = f->dport;
	return 0;
}

/* The TCP checksum is only ever changed through bpf_l4_csum_replace: whether it is a full sum, a partial one that the
 * NIC completes, or covered by skb->csum is not visible from here. An IPv4 header sums to zero before and after, so
 * its own sum may be computed here; an IPv6 header has none, and its hop limit is in skb->csum. */
static __always_inline long nat_rewrite(struct __sk_buff *skb, const struct packet *p, const struct wg_flow *f)
{
	const __u32 check = p->tcp + __builtin_offsetof(struct tcphdr, check);
	const struct tcp_ports old_ports = { p->key.sport, p->key.dport };
	const struct tcp_ports new_ports = { f->sport, f->dport };
	__u32 diff;
	long err;

	if (p->v6) {
		diff = csum_plus(csum_diff_v6(p->key.saddr, f->saddr), csum_diff_v6(p->key.daddr, f->daddr));
		err = csum_replace_pseudo_v6(skb, check, diff);
		bpf_csum_update(skb, csum_minus(bpf_htons(1)));
	} else {
		diff = csum_plus(csum_diff(addr_v4(p->key.saddr), addr_v4(f->saddr)),
				 csum_diff(addr_v4(p->key.daddr), addr_v4(f->daddr)));
		err = bpf_l4_csum_replace(skb, check, 0, diff, BPF_F_PSEUDO_HDR);
	}
	err |= bpf_l4_csum_replace(skb, check, *(const __u32 *)&old_ports, *(const __u32 *)&new_ports, sizeof(__u32));
	if (err)
		return err;
	return p->v6 ? nat_write_v6(skb, p, f) : nat_write_v4(skb, p, f, diff);
}
