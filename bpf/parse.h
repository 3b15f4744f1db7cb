/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* From a packet to what the rest of the program asks about it. */
#pragma once

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include "frame.h"
#include "maps.h"
#include "reasons.h"
#include "types.h"

#define WG_IP_OFF ETH_HLEN
#define WG_TCP4_OFF (WG_IP_OFF + sizeof(struct iphdr))
#define WG_TCP6_OFF (WG_IP_OFF + sizeof(struct ipv6hdr))
#define WG_TCP6_JUMBO_OFF (WG_TCP6_OFF + 8) /* behind the header that notes the length of a jumbo packet */
#define WG_JUMBO_OPTION 0xc2 /* RFC 2675, section 2 */
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
	__u32 tcp; /* offset of the TCP header in the frame */
	__u16 ip_check; /* IPv4 */
	__u8 ttl; /* or hop limit */
	__u8 tcp_flags;
	__u8 tcp_len; /* header with options, bytes */
	__u8 v6;
	__u32 target; /* index into wg_targets of the server that this SYN was just claimed for; 0: of none */
};

enum parse_result {
	PARSE_OK = 0,
	PARSE_OTHER = -1, /* not TCP to this host: none of our business, and not counted */
	PARSE_ICMP = -2, /* perhaps an error about a packet of a flow */
};

static __always_inline int packet_is_opening(const struct packet *p)
{
	return (p->tcp_flags & (WG_SYN | WG_ACK | WG_RST | WG_FIN)) == WG_SYN;
}

/* The length that the IP header claims. */
static __always_inline __u32 ip_length(const struct wg_frame *frame, __be16 field, __u32 fixed)
{
	__u32 joined = field ? 0 : frame_joined(frame);

	return joined ? joined : bpf_ntohs(field) + fixed;
}

/* Whether any packet of ours can have this destination port. */
static __always_inline int port_is_ours(__be16 dport)
{
	__u16 port = bpf_ntohs(dport);
	__u32 word = port / 64;
	__u64 *bits = bpf_map_lookup_elem(&wg_ports, &word);

	return bits && *bits >> port % 64 & 1;
}

/* Takes over the TCP header; len is that of the IP packet, headers before TCP included. */
static __always_inline int parse_tcp(struct wg_frame *frame, const struct tcphdr *tcp, __u32 len, struct packet *p)
{
	__u32 headers = p->tcp - ETH_HLEN + tcp->doff * 4;

	if (!port_is_ours(tcp->dest))
		return PARSE_OTHER;
	if (tcp->doff < 5 || len < headers || len + ETH_HLEN > frame_len(frame))
		return WG_R_LENGTH;
	p->key.sport = tcp->source;
	p->key.dport = tcp->dest;
	p->seq = bpf_ntohl(tcp->seq);
	p->ack = bpf_ntohl(tcp->ack_seq);
	p->payload = len - headers;
	p->tcp_flags = ((const __u8 *)tcp)[13];
	p->tcp_len = tcp->doff * 4;
	return PARSE_OK;
}

static __always_inline int parse_v4(struct wg_frame *frame, struct packet *p)
{
	const __u32 need = WG_TCP4_OFF + sizeof(struct tcphdr);
	const struct iphdr *ip;
	void *data, *end;

	if (frame_pull(frame, need))
		return PARSE_OTHER;
	data = frame_data(frame);
	end = frame_end(frame);
	if (data + need > end)
		return PARSE_OTHER;
	ip = data + WG_IP_OFF;
	if (ip->version != 4)
		return PARSE_OTHER;
	if (ip->protocol != IPPROTO_TCP)
		return ip->protocol == IPPROTO_ICMP && ip->ihl == 5 && !(ip->frag_off & bpf_htons(WG_FRAGMENT)) ? PARSE_ICMP : PARSE_OTHER;
	if (ip->frag_off & bpf_htons(WG_FRAGMENT))
		return WG_R_FRAGMENT;
	if (ip->ihl != 5)
		return WG_R_OPTIONS;
	addr_set_v4(p->key.saddr, ip->saddr);
	addr_set_v4(p->key.daddr, ip->daddr);
	p->ip_check = ip->check;
	p->ttl = ip->ttl;
	p->tcp = WG_TCP4_OFF;
	return parse_tcp(frame, data + WG_TCP4_OFF, ip_length(frame, ip->tot_len, 0), p);
}

/* Why a packet whose IPv6 header is followed by an extension header is not taken: counted if there is TCP in it. */
WG_GLOBAL int parse_extensions(struct wg_frame *frame, __u32 next)
{
	__u32 off = WG_TCP6_OFF;
	__u8 head[2];
	int i;

	for (i = 0; i < WG_EXTENSIONS_MAX; i++) {
		switch (next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
		case IPPROTO_FRAGMENT:
			break;
		default:
			return PARSE_OTHER;
		}
		if (frame_load(frame, off, head, sizeof(head)))
			return PARSE_OTHER;
		if (head[0] == IPPROTO_TCP)
			return next == IPPROTO_FRAGMENT ? WG_R_FRAGMENT : WG_R_OPTIONS;
		off += next == IPPROTO_FRAGMENT ? 8 : (head[1] + 1) * 8;
		next = head[0];
	}
	return PARSE_OTHER;
}

/* What follows from the IPv6 header, with TCP at tcp_off, len bytes of IP. */
static __always_inline int parse_v6_tcp(struct wg_frame *frame, const struct ipv6hdr *ip, __u32 tcp_off, __u32 len, struct packet *p)
{
	addr_copy(p->key.saddr, (const __u8 *)&ip->saddr);
	addr_copy(p->key.daddr, (const __u8 *)&ip->daddr);
	/* A mapped address has no business on the wire (RFC 4291 section 2.5.5.2), and here it would be an IPv4 one. */
	if (addr_is_v4(p->key.saddr) || addr_is_v4(p->key.daddr))
		return PARSE_OTHER;
	p->ttl = ip->hop_limit;
	p->tcp = tcp_off;
	p->v6 = 1;
	return parse_tcp(frame, (const void *)ip + tcp_off - WG_IP_OFF, len, p);
}

/* A packet that was joined to more than 64 kB (BIG TCP, Linux 5.19): until it is cut the kernel notes its length in an extension
 * header (RFC 2675). On the wire there is none, and what has one is not ours. */
WG_GLOBAL int parse_jumbo(struct wg_frame *frame, struct packet *p)
{
	const __u32 need = WG_TCP6_JUMBO_OFF + sizeof(struct tcphdr);
	const __u32 joined = frame_joined(frame);
	const struct ipv6hdr *ip;
	const __u8 *jumbo;

	if (!p || frame_pull(frame, need) || frame_data(frame) + need > frame_end(frame))
		return WG_R_OPTIONS;
	ip = frame_data(frame) + WG_IP_OFF;
	jumbo = (const void *)(ip + 1);
	if (jumbo[0] != IPPROTO_TCP || jumbo[1] != 0 || jumbo[2] != WG_JUMBO_OPTION || jumbo[3] != 4)
		return WG_R_OPTIONS;
	return parse_v6_tcp(frame, ip, WG_TCP6_JUMBO_OFF, joined, p);
}

static __always_inline int parse_v6(struct wg_frame *frame, struct packet *p)
{
	const __u32 need = WG_TCP6_OFF + sizeof(struct tcphdr);
	const struct ipv6hdr *ip;
	void *data, *end;

	if (frame_pull(frame, need))
		return PARSE_OTHER;
	data = frame_data(frame);
	end = frame_end(frame);
	if (data + need > end)
		return PARSE_OTHER;
	ip = data + WG_IP_OFF;
	if (ip->version != 6)
		return PARSE_OTHER;
	if (ip->nexthdr == IPPROTO_ICMPV6)
		return PARSE_ICMP;
	if (ip->nexthdr == IPPROTO_HOPOPTS && !ip->payload_len && frame_joined(frame))
		return parse_jumbo(frame, p);
	if (ip->nexthdr != IPPROTO_TCP)
		return parse_extensions(frame, ip->nexthdr);
	return parse_v6_tcp(frame, ip, WG_TCP6_OFF, ip_length(frame, ip->payload_len, sizeof(*ip)), p);
}

/* Returns PARSE_OK, PARSE_OTHER, or the reason why the packet cannot be ours (enum wg_reason). */
static __always_inline int packet_parse(struct wg_frame *frame, struct packet *p)
{
	switch (frame_protocol(frame)) {
	case bpf_htons(ETH_P_IP):
		return parse_v4(frame, p);
	case bpf_htons(ETH_P_IPV6):
		return parse_v6(frame, p);
	}
	return PARSE_OTHER;
}
