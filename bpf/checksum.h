/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Changes of Internet checksums (RFC 1624): sums in 32 bits with the carry put back, as the kernel's __wsum. */
#pragma once

#include <linux/bpf.h>
#include <linux/errno.h>
#include <bpf/bpf_helpers.h>

#include "addr.h"

/* uapi headers of the build may not know it (kernel 6.16). */
#define WG_F_IPV6 (1ULL << 7)

static __always_inline __u32 csum_plus(__u32 a, __u32 b)
{
	__u32 sum = a + b;

	return sum + (sum < a);
}

static __always_inline __u32 csum_minus(__u32 a)
{
	return ~a;
}

/* What a sum changes by when one of its words does. */
static __always_inline __u32 csum_diff(__u32 from, __u32 to)
{
	return csum_plus(~from, to);
}

static __always_inline __u32 csum_diff_v6(const __u8 *from, const __u8 *to)
{
	__u32 diff = csum_diff(addr_word(from, 0), addr_word(to, 0));

	diff = csum_plus(diff, csum_diff(addr_word(from, 1), addr_word(to, 1)));
	diff = csum_plus(diff, csum_diff(addr_word(from, 2), addr_word(to, 2)));
	return csum_plus(diff, csum_diff(addr_word(from, 3), addr_word(to, 3)));
}

/* The checksum field after its words changed by diff. */
static __always_inline __u16 csum_apply(__u16 check, __u32 diff)
{
	__u32 sum = csum_plus((__u16)~check, diff);

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

#ifndef WG_XDP

/* Changes a checksum that covers an IPv6 pseudo-header. Where a NIC has summed the whole packet (CHECKSUM_COMPLETE) the
 * change of the field and that of the address cancel out. Kernels that refuse the flag do not know, and it is undone. */
static __always_inline long csum_replace_pseudo_v6(struct __sk_buff *skb, __u32 check, __u32 diff)
{
	long err = bpf_l4_csum_replace(skb, check, 0, diff, BPF_F_PSEUDO_HDR | WG_F_IPV6);

	if (err != -EINVAL)
		return err;
	err = bpf_l4_csum_replace(skb, check, 0, diff, BPF_F_PSEUDO_HDR);
	bpf_csum_update(skb, diff);
	return err;
}

#endif
