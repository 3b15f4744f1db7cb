/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the namespace's own sockets have to say about a connection. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "types.h"

/* From the kernel's enumeration of TCP states; UAPI has them for BPF only in this form. */
#define WG_SK_TIME_WAIT BPF_TCP_TIME_WAIT
#define WG_SK_LISTEN BPF_TCP_LISTEN

enum socket_kind {
	SOCKET_NONE,
	SOCKET_LISTENS, /* or waits for old packets to die: a new connection is free to go elsewhere */
	SOCKET_OWNS, /* a connection or a half-open one */
};

/* One connection is not seen: a SYN that fell through and was answered with a SYN cookie leaves no socket before its ACK,
 * so its retransmission may be claimed here. The client then has two SYN-ACKs and resets one of them. */
static __always_inline enum socket_kind socket_for(struct __sk_buff *skb, const struct wg_key *key)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	__u32 state;

	if (addr_is_v4(key->saddr)) {
		tuple.ipv4.saddr = addr_v4(key->saddr);
		tuple.ipv4.daddr = addr_v4(key->daddr);
		tuple.ipv4.sport = key->sport;
		tuple.ipv4.dport = key->dport;
		sk = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	} else {
		addr_copy((__u8 *)tuple.ipv6.saddr, key->saddr);
		addr_copy((__u8 *)tuple.ipv6.daddr, key->daddr);
		tuple.ipv6.sport = key->sport;
		tuple.ipv6.dport = key->dport;
		sk = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	}
	if (!sk)
		return SOCKET_NONE;
	state = sk->state;
	bpf_sk_release(sk);
	return state == WG_SK_LISTEN || state == WG_SK_TIME_WAIT ? SOCKET_LISTENS : SOCKET_OWNS;
}
