/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* An address of the family that this object is built for. All that depends on its length is here, in parse.h
 * and in nat.h. Addresses are byte arrays so that a dump of a map reads as an address does. */
#pragma once

#include <linux/types.h>

#define WG_ADDR_LEN 4

static __always_inline void addr_copy(__u8 *to, const __u8 *from)
{
	*(__be32 *)to = *(const __be32 *)from;
}

static __always_inline int addr_is_zero(const __u8 *addr)
{
	return *(const __be32 *)addr == 0;
}
