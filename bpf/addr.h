/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Addresses of both families in one form: 16 bytes, IPv4 as ::ffff:a.b.c.d. So there is one table of flows and one code
 * for both. Byte arrays, so that a dump of a map reads as an address does.
 * One table for each family was the alternative. The longer key costs an IPv4 packet 5 ns of some 140 (a lookup takes
 * 34.6 ns instead of 29.7, medians of 7; go test -bench Lookup ./pkg/datapath). */
#pragma once

#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define WG_ADDR_LEN 16

static __always_inline void addr_copy(__u8 *to, const __u8 *from)
{
	__builtin_memcpy(to, from, WG_ADDR_LEN);
}

/* The 32-bit words of an address; the last one is all of an IPv4 address. Addresses are aligned to 4 bytes everywhere. */
static __always_inline __be32 addr_word(const __u8 *addr, int i)
{
	return ((const __be32 *)addr)[i];
}

static __always_inline __be32 addr_v4(const __u8 *addr)
{
	return addr_word(addr, 3);
}

static __always_inline void addr_set_v4(__u8 *addr, __be32 v4)
{
	__be32 *words = (__be32 *)addr;

	words[0] = 0;
	words[1] = 0;
	words[2] = bpf_htonl(0xffff);
	words[3] = v4;
}

static __always_inline int addr_is_v4(const __u8 *addr)
{
	return addr_word(addr, 0) == 0 && addr_word(addr, 1) == 0 && addr_word(addr, 2) == bpf_htonl(0xffff);
}

/* What `balance source` makes of a client's address: the exclusive or of its words, as HAProxy does, then mixed so that
 * neighbours go different ways (the finaliser of MurmurHash3). pkg/balance.SourceHash is the same function. */
static __always_inline __u32 addr_hash(const __u8 *addr)
{
	__be32 words = addr_word(addr, 3);
	__u32 h;

	if (!addr_is_v4(addr))
		words ^= addr_word(addr, 0) ^ addr_word(addr, 1) ^ addr_word(addr, 2);
	h = bpf_ntohl(words);
	h = (h ^ (h >> 16)) * 0x85ebca6b;
	h = (h ^ (h >> 13)) * 0xc2b2ae35;
	return h ^ (h >> 16);
}

static __always_inline int addr_equal(const __u8 *a, const __u8 *b)
{
	return addr_word(a, 0) == addr_word(b, 0) && addr_word(a, 1) == addr_word(b, 1) && addr_word(a, 2) == addr_word(b, 2) &&
	       addr_word(a, 3) == addr_word(b, 3);
}
