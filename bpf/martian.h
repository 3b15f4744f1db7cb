/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Source addresses that nobody can have (RFC 1812, section 5.3.7; RFC 4291, section 2.7). The stack drops packets from them, and TC
 * comes before it. Only a SYN is asked: what follows it belongs to its flow. */
#pragma once

#include <bpf/bpf_endian.h>

#include "addr.h"
#include "types.h"

static __always_inline int source_is_martian(const struct wg_key *key)
{
	__u8 first = key->saddr[12];

	if (addr_equal(key->saddr, key->daddr)) /* the classic LAND attack: a listener that is to talk to itself */
		return 1;
	if (addr_is_v4(key->saddr))
		return first == 0 || first == 127 || first >= 224;
	if (key->saddr[0] == 0xff)
		return 1;
	/* ::/96 holds the unspecified address, the loopback address, and nothing that is in use. */
	return !addr_word(key->saddr, 0) && !addr_word(key->saddr, 1) && !addr_word(key->saddr, 2);
}
