/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Writes a flow's tuple into a packet. */
#pragma once

#include <linux/bpf.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "parse.h"
#include "types.h"

/* The part of an IPv4 header that changes: one load, one store. */
struct ip_tail {
	__u8 ttl;
	__u8 protocol;
	__be16 check;
	__be32 saddr;
	__be32 daddr;
};
_Static_assert(sizeof(struct ip_tail) == 12, "the last 12 bytes of the header");

struct tcp_ports {
	__be16 source;
	__be16 dest;
};

static __always_inline __u16 csum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* The TCP checksum is only ever changed through bpf_l4_csum_replace: whether it is a full sum, a partial one that the
 * NIC completes, or covered by skb->csum is not visible from here. The IP header sums to zero before and after, so
 * its own sum may be computed here. */
static __always_inline long nat_rewrite(struct __sk_buff *skb, const struct packet *p, const struct wg_flow *f)
{
	const __u32 check = WG_TCP_OFF + __builtin_offsetof(struct tcphdr, check);
	struct ip_tail old = {
		.ttl = p->ttl,
		.protocol = IPPROTO_TCP,
		.saddr = *(const __be32 *)p->key.saddr,
		.daddr = *(const __be32 *)p->key.daddr,
	};
	struct ip_tail new = {
		.ttl = p->ttl - 1,
		.protocol = IPPROTO_TCP,
		.saddr = *(const __be32 *)f->saddr,
		.daddr = *(const __be32 *)f->daddr,
	};
	struct tcp_ports old_ports = { p->key.sport, p->key.dport };
	struct tcp_ports new_ports = { f->sport, f->dport };
	__s64 diff = bpf_csum_diff(&old.saddr, 8, &new.saddr, 8, 0);
	long err;

	new.check = csum_fold(bpf_csum_diff((__be32 *)&old, sizeof(old), (__be32 *)&new, sizeof(new), (__u16)~p->ip_check));
	err = bpf_l4_csum_replace(skb, check, 0, diff, BPF_F_PSEUDO_HDR);
	err |= bpf_l4_csum_replace(skb, check, *(__u32 *)&old_ports, *(__u32 *)&new_ports, sizeof(__u32));
	err |= bpf_skb_store_bytes(skb, WG_IP_OFF + __builtin_offsetof(struct iphdr, ttl), &new, sizeof(new), 0);
	err |= bpf_skb_store_bytes(skb, WG_TCP_OFF, &new_ports, sizeof(new_ports), 0);
	return err;
}
