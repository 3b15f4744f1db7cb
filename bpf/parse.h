/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* From a packet to what the rest of the program asks about it. */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "reasons.h"
#include "types.h"

#define WG_IP_OFF ETH_HLEN
#define WG_TCP_OFF (ETH_HLEN + sizeof(struct iphdr))
#define WG_FRAGMENT 0x3fff /* more fragments, or an offset */

enum wg_tcp_flag {
	WG_FIN = 1 << 0,
	WG_SYN = 1 << 1,
	WG_RST = 1 << 2,
	WG_PSH = 1 << 3,
	WG_ACK = 1 << 4,
};

struct packet {
	struct wg_key key;
	__u32 seq;
	__u32 ack;
	__u32 payload; /* bytes of TCP payload; of all segments when GSO has joined them */
	__u16 ip_check;
	__u8 ttl;
	__u8 tcp_flags;
	__u8 tcp_len; /* header with options, bytes */
};

enum parse_result {
	PARSE_OK = 0,
	PARSE_OTHER = -1, /* not IPv4 TCP to this host: none of our business, and not counted */
};

static __always_inline int packet_is_opening(const struct packet *p)
{
	return (p->tcp_flags & (WG_SYN | WG_ACK | WG_RST | WG_FIN)) == WG_SYN;
}

/* The length that the IP header claims; the aggregated length of a BIG TCP packet, whose field is 0. */
static __always_inline __u32 ip_length(const struct __sk_buff *skb, const struct iphdr *ip)
{
	__u32 len = bpf_ntohs(ip->tot_len);

	if (len == 0 && skb->gso_size)
		len = skb->len - ETH_HLEN;
	return len;
}

/* Returns PARSE_OK, PARSE_OTHER, or the reason why the packet cannot be ours (enum wg_reason). */
static __always_inline int packet_parse(struct __sk_buff *skb, struct packet *p)
{
	const __u32 need = WG_TCP_OFF + sizeof(struct tcphdr);
	void *data, *end;
	struct iphdr *ip;
	struct tcphdr *tcp;
	__u32 len, headers;

	/* Not for our MAC: seen in promiscuous mode only. With a VLAN tag: comes again, on the VLAN's interface. */
	if (skb->protocol != bpf_htons(ETH_P_IP) || skb->pkt_type != PACKET_HOST || skb->vlan_present)
		return PARSE_OTHER;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (data + need > end) {
		/* Headers outside of the linear part; or a short packet, for which this fails. */
		if (bpf_skb_pull_data(skb, need))
			return PARSE_OTHER;
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
		if (data + need > end)
			return PARSE_OTHER;
	}
	ip = data + WG_IP_OFF;
	if (ip->version != 4 || ip->protocol != IPPROTO_TCP)
		return PARSE_OTHER;
	if (ip->frag_off & bpf_htons(WG_FRAGMENT))
		return WG_R_FRAGMENT;
	if (ip->ihl != 5)
		return WG_R_OPTIONS;
	tcp = data + WG_TCP_OFF;
	len = ip_length(skb, ip);
	headers = sizeof(*ip) + tcp->doff * 4;
	if (tcp->doff < 5 || len < headers || len + ETH_HLEN > skb->len)
		return WG_R_LENGTH;

	*(__be32 *)p->key.saddr = ip->saddr;
	*(__be32 *)p->key.daddr = ip->daddr;
	p->key.sport = tcp->source;
	p->key.dport = tcp->dest;
	p->seq = bpf_ntohl(tcp->seq);
	p->ack = bpf_ntohl(tcp->ack_seq);
	p->payload = len - headers;
	p->ip_check = ip->check;
	p->ttl = ip->ttl;
	p->tcp_flags = ((__u8 *)tcp)[13];
	p->tcp_len = tcp->doff * 4;
	return PARSE_OK;
}
