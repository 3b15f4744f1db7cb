/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Keeps segments small enough for both legs of a flow: no ICMP error of the far leg reaches the sender in time
 * to help, and the first full segment would be lost. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "option.h"

/* Lowers the MSS option of a SYN or SYN-ACK to max. Without the option the peer assumes 536 (IPv6: 1220), which
 * fits. tcp is the offset of the TCP header, tcp_len its length. */
WG_GLOBAL int mss_clamp(struct __sk_buff *skb, __u32 tcp, __u32 tcp_len, __u32 max)
{
	const __u32 check = tcp + __builtin_offsetof(struct tcphdr, check);
	__u32 off = tcp_option(skb, tcp, tcp_len, TCP_OPTION_MSS, 4);
	__be16 old, new = bpf_htons(max);

	if (!off)
		return 0;
	if (bpf_skb_load_bytes(skb, off + 2, &old, sizeof(old)) || bpf_ntohs(old) <= max)
		return 0;
	if (bpf_skb_store_bytes(skb, off + 2, &new, sizeof(new), 0))
		return -1;
	if (off & 1) /* the value straddles two words of the sum: its bytes count the other way round */
		return bpf_l4_csum_replace(skb, check, __builtin_bswap16(old), __builtin_bswap16(new), 2);
	return bpf_l4_csum_replace(skb, check, old, new, 2);
}
