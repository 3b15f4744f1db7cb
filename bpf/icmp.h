/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* ICMP errors about packets of flows: a router or an end tells the balancer, since its address is on them, and it is
 * the other end that has to know. Without this a path MTU smaller than that of our interfaces is a black hole, for one.
 *
 * The quoted packet is one that we have sent: front to client, or back to task. The entry of the opposite direction
 * knows both tuples, as the quoted packet's receiver would have been answered with it. The error then takes this
 * entry's tuple (RFC 5508 section 4.2 for what a NAT changes), and the quoted packet the tuple that its sender knows. */
#pragma once

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "checksum.h"
#include "count.h"
#include "parse.h"
#include "retry.h"
#include "way.h"

/* Of both families, up to the quoted packet. (linux/icmp.h draws in a libc's headers.) */
struct icmp_head {
	__u8 type;
	__u8 code;
	__sum16 check;
	__be32 rest;
};

enum icmp_error {
	ICMP4_UNREACHABLE = 3,
	ICMP4_TIME_EXCEEDED = 11,
	ICMP4_PARAMETER = 12,
	ICMP4_FRAG_NEEDED = 4, /* a code of the first */
	ICMP6_UNREACHABLE = 1,
	ICMP6_TOO_BIG = 2, /* then: time exceeded */
	ICMP6_PARAMETER = 4,
};

#define WG_ICMP_LEN sizeof(struct icmp_head)
#define WG_QUOTED_TCP 8 /* what every error quotes of it: ports and sequence number (RFC 792) */

struct icmp_quote {
	struct wg_key key; /* of the entry of the opposite direction */
	__u32 ip; /* offsets in the frame: of the quoted packet's headers */
	__u32 tcp;
	__u32 seq; /* of the quoted packet */
	__u16 outer_check;
	__u16 ip_check;
	__u16 mtu; /* that the path has, if it is an IPv4 error of that kind; else as large as can be */
	__u8 ttl;
	__u8 v6;
	__u8 too_long; /* the quoted packet was; any other kind says that it cannot be delivered */
	__u8 pad[3];
	__u8 from[WG_ADDR_LEN] __attribute__((aligned(4))); /* who sends the error */
};

/* Beside the packet's own frame there is no room for it on the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct icmp_quote);
} wg_quote SEC(".maps");

static __always_inline int icmp_is_error(const struct icmp_head *icmp, int v6)
{
	if (v6)
		return icmp->type >= ICMP6_UNREACHABLE && icmp->type <= ICMP6_PARAMETER;
	return icmp->type == ICMP4_UNREACHABLE || icmp->type == ICMP4_TIME_EXCEEDED || icmp->type == ICMP4_PARAMETER;
}

/* Whether the error only asks for shorter packets. */
static __always_inline int icmp_is_too_long(const struct icmp_head *icmp, int v6)
{
	return v6 ? icmp->type == ICMP6_TOO_BIG : icmp->type == ICMP4_UNREACHABLE && icmp->code == ICMP4_FRAG_NEEDED;
}

static __always_inline __u16 icmp_mtu(const struct icmp_head *icmp)
{
	if (!icmp_is_too_long(icmp, 0))
		return 0xffff;
	return bpf_ntohl(icmp->rest);
}

/* Quoted packets with extension headers or options are not ours, since we take none with them. */
static __always_inline int quote_v4(struct __sk_buff *skb, struct icmp_quote *q)
{
	const __u32 icmp_off = WG_TCP4_OFF, ip_off = icmp_off + WG_ICMP_LEN, tcp_off = ip_off + sizeof(struct iphdr);
	void *data, *end;
	const struct iphdr *outer, *ip;
	const struct tcphdr *tcp;

	if (frame_pull(skb, tcp_off + WG_QUOTED_TCP))
		return 0;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (data + tcp_off + WG_QUOTED_TCP > end)
		return 0;
	outer = data + WG_IP_OFF;
	ip = data + ip_off;
	tcp = data + tcp_off;
	if (!icmp_is_error(data + icmp_off, 0) || ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_TCP ||
	    ip->saddr != outer->daddr || ip->frag_off & bpf_htons(0x1fff))
		return 0;
	addr_set_v4(q->key.saddr, ip->daddr);
	addr_set_v4(q->key.daddr, ip->saddr);
	q->key.sport = tcp->dest;
	q->key.dport = tcp->source;
	addr_set_v4(q->from, outer->saddr);
	q->ip = ip_off;
	q->tcp = tcp_off;
	q->outer_check = outer->check;
	q->ip_check = ip->check;
	q->ttl = outer->ttl;
	q->mtu = icmp_mtu(data + icmp_off);
	q->seq = bpf_ntohl(tcp->seq);
	q->too_long = icmp_is_too_long(data + icmp_off, 0);
	q->v6 = 0;
	return 1;
}

static __always_inline int quote_v6(struct __sk_buff *skb, struct icmp_quote *q)
{
	const __u32 icmp_off = WG_TCP6_OFF, ip_off = icmp_off + WG_ICMP_LEN, tcp_off = ip_off + sizeof(struct ipv6hdr);
	void *data, *end;
	const struct ipv6hdr *outer, *ip;
	const struct tcphdr *tcp;

	if (frame_pull(skb, tcp_off + WG_QUOTED_TCP))
		return 0;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (data + tcp_off + WG_QUOTED_TCP > end)
		return 0;
	outer = data + WG_IP_OFF;
	ip = data + ip_off;
	tcp = data + tcp_off;
	if (!icmp_is_error(data + icmp_off, 1) || ip->version != 6 || ip->nexthdr != IPPROTO_TCP)
		return 0;
	addr_copy(q->key.saddr, (const __u8 *)&ip->daddr);
	addr_copy(q->key.daddr, (const __u8 *)&ip->saddr);
	if (!addr_equal(q->key.daddr, (const __u8 *)&outer->daddr))
		return 0;
	q->key.sport = tcp->dest;
	q->key.dport = tcp->source;
	addr_copy(q->from, (const __u8 *)&outer->saddr);
	q->ip = ip_off;
	q->tcp = tcp_off;
	q->ttl = outer->hop_limit;
	q->mtu = 0xffff; /* senders keep to 1280 at least (RFC 8200, section 5) */
	q->seq = bpf_ntohl(tcp->seq);
	q->too_long = icmp_is_too_long(data + icmp_off, 1);
	q->v6 = 1;
	return 1;
}

/* What the addresses add to the sum when from and to become new_from and new_to. */
static __always_inline __u32 icmp_addr_diff(const struct icmp_quote *q, const __u8 *from, const __u8 *to,
					    const __u8 *new_from, const __u8 *new_to)
{
	if (q->v6)
		return csum_plus(csum_diff_v6(from, new_from), csum_diff_v6(to, new_to));
	return csum_plus(csum_diff(addr_v4(from), addr_v4(new_from)), csum_diff(addr_v4(to), addr_v4(new_to)));
}

/* Writes a pair of addresses into an IP header. */
static __always_inline long icmp_write_addrs(struct __sk_buff *skb, const struct icmp_quote *q, __u32 ip, const __u8 *saddr,
					     const __u8 *daddr)
{
	__be32 v4[2] = { addr_v4(saddr), addr_v4(daddr) };
	long err;

	if (!q->v6)
		return bpf_skb_store_bytes(skb, ip + __builtin_offsetof(struct iphdr, saddr), v4, sizeof(v4), 0);
	err = bpf_skb_store_bytes(skb, ip + __builtin_offsetof(struct ipv6hdr, saddr), saddr, WG_ADDR_LEN, 0);
	return err | bpf_skb_store_bytes(skb, ip + __builtin_offsetof(struct ipv6hdr, daddr), daddr, WG_ADDR_LEN, 0);
}

/* Gives the quoted packet the tuple that its sender knows, and returns by how much the sum of the ICMP message changes.
 * The checksum of the quoted TCP header is not there in errors of the shortest kind. */
static __always_inline long icmp_quoted(struct __sk_buff *skb, const struct icmp_quote *q, const struct wg_flow *f, __u32 *change)
{
	const __u32 check_off = q->tcp + __builtin_offsetof(struct tcphdr, check);
	__be16 old_ports[2] = { q->key.dport, q->key.sport }, ports[2] = { f->dport, f->sport };
	__u32 addrs = icmp_addr_diff(q, q->key.daddr, q->key.saddr, f->daddr, f->saddr);
	__u32 diff = csum_plus(addrs, csum_diff(*(__u32 *)old_ports, *(__u32 *)ports));
	__u16 check;
	long err;

	*change = diff;
	err = icmp_write_addrs(skb, q, q->ip, f->daddr, f->saddr);
	err |= bpf_skb_store_bytes(skb, q->tcp, ports, sizeof(ports), 0);
	if (!q->v6) { /* the header's own sum takes the addresses' part */
		check = csum_apply(q->ip_check, addrs);
		*change = csum_plus(*change, csum_minus(addrs));
		err |= bpf_skb_store_bytes(skb, q->ip + __builtin_offsetof(struct iphdr, check), &check, sizeof(check), 0);
	}
	if (!bpf_skb_load_bytes(skb, check_off, &check, sizeof(check))) {
		check = csum_apply(check, diff);
		*change = csum_plus(*change, csum_minus(diff));
		err |= bpf_skb_store_bytes(skb, check_off, &check, sizeof(check), 0);
	}
	return err;
}

/* Sends the error on from our address to the end that the entry leads to. */
static __always_inline long icmp_outer(struct __sk_buff *skb, const struct icmp_quote *q, const struct wg_flow *f, __u32 change)
{
	__u32 diff = icmp_addr_diff(q, q->from, q->key.daddr, f->saddr, f->daddr);
	__u8 ttl = q->ttl - 1;
	__u16 check;
	long err;

	if (q->v6) {
		const __u32 sum = WG_TCP6_OFF + __builtin_offsetof(struct icmp_head, check);

		err = bpf_l4_csum_replace(skb, sum, 0, change, 0);
		err |= csum_replace_pseudo_v6(skb, sum, diff);
		err |= bpf_skb_store_bytes(skb, WG_IP_OFF + __builtin_offsetof(struct ipv6hdr, hop_limit), &ttl, sizeof(ttl), 0);
		bpf_csum_update(skb, csum_minus(bpf_htons(1)));
	} else {
		err = bpf_l4_csum_replace(skb, WG_TCP4_OFF + __builtin_offsetof(struct icmp_head, check), 0, change, 0);
		check = csum_apply(q->outer_check, csum_plus(diff, csum_minus(bpf_htons(0x0100))));
		err |= bpf_skb_store_bytes(skb, WG_IP_OFF + __builtin_offsetof(struct iphdr, ttl), &ttl, sizeof(ttl), 0);
		err |= bpf_skb_store_bytes(skb, WG_IP_OFF + __builtin_offsetof(struct iphdr, check), &check, sizeof(check), 0);
	}
	return err | icmp_write_addrs(skb, q, WG_IP_OFF, f->saddr, f->daddr);
}

/* Sends an ICMP error on to the end whose packet it is about. Returns the verdict. */
WG_GLOBAL int icmp_forward(struct __sk_buff *skb, __u32 v6)
{
	__u32 zero = 0, change;
	struct icmp_quote *q = bpf_map_lookup_elem(&wg_quote, &zero);
	struct wg_flow *f;

	if (!q || !(v6 ? quote_v6(skb, q) : quote_v4(skb, q)))
		return TC_ACT_UNSPEC;
	f = bpf_map_lookup_elem(&wg_flows, &q->key);
	if (!f || f->state == WG_DEAD)
		return TC_ACT_UNSPEC; /* about a packet of the namespace's own */
	if (f->dir == WG_TOMBSTONE) {
		count_reason(WG_R_TOMBSTONE);
		return TC_ACT_SHOT;
	}
	if (q->mtu < WG_PMTU_MIN) {
		count_reason(WG_R_SMALL_MTU);
		return TC_ACT_SHOT;
	}
	if (!q->too_long && unreachable_is_ours(f, q->seq)) {
		count_reason(WG_R_REFUSED);
		return TC_ACT_SHOT;
	}
	if (q->ttl <= 1) {
		count_reason(WG_R_TTL);
		return TC_ACT_SHOT;
	}
	if (icmp_quoted(skb, q, f, &change) || icmp_outer(skb, q, f, change)) {
		count_reason(WG_R_REWRITE);
		return TC_ACT_SHOT;
	}
	return way_send(skb, q->v6, f);
}
