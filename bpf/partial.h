/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The trap of XDP on interfaces between programs of one machine (veth, virtio): a sender leaves its checksum to hardware that is
 * never reached, and the field holds the sum of the pseudo-header only (CHECKSUM_PARTIAL). A struct __sk_buff knows, and the
 * kernel completes the sum on the way out; a frame that XDP sends off goes as it is, and its receiver throws it away.
 * So a frame whose field is just that sum is left to TC. Of the frames with a whole sum one in 65536 looks the same, and
 * takes the same way to its receiver. */
#pragma once

#include "checksum.h"
#include "parse.h"

/* The sum of the pseudo-header (RFC 9293, section 3.1), folded. */
static __always_inline __u16 pseudo_sum(const struct packet *p)
{
	__u32 sum = csum_plus(bpf_htonl(p->tcp_len + p->payload), bpf_htonl(IPPROTO_TCP));
	int i;

	for (i = p->v6 ? 0 : 3; i < 4; i++)
		sum = csum_plus(csum_plus(sum, addr_word(p->key.saddr, i)), addr_word(p->key.daddr, i));
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static __always_inline int checksum_is_partial(const struct wg_frame *frame, const struct packet *p)
{
	const struct tcphdr *tcp = frame_data(frame) + (p->v6 ? WG_TCP6_OFF : WG_TCP4_OFF);

	return (void *)(tcp + 1) <= frame_end(frame) && tcp->check == pseudo_sum(p);
}
