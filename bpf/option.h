/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* TCP options. */
#pragma once

#include <linux/tcp.h>

#include "frame.h"
#include "limits.h"

enum tcp_option {
	TCP_OPTION_END = 0,
	TCP_OPTION_NOP = 1,
	TCP_OPTION_MSS = 2,
	TCP_OPTION_STAMP = 8,
};

/* The offset of an option that is size bytes long, 0 if there is none. tcp is the offset of the TCP header, tcp_len its
 * length. */
WG_GLOBAL int tcp_option(struct wg_frame *frame, __u32 tcp, __u32 tcp_len, __u32 kind, __u32 size)
{
	const __u32 end = tcp + tcp_len;
	__u32 off = tcp + sizeof(struct tcphdr);
	__u8 head[2];
	int i;

	for (i = 0; i < WG_TCP_OPTIONS_MAX && off + size <= end; i++) {
		if (frame_load(frame, off, head, sizeof(head)) || head[0] == TCP_OPTION_END)
			return 0;
		if (head[0] == kind)
			return head[1] == size ? off : 0;
		if (head[0] != TCP_OPTION_NOP && head[1] < 2)
			return 0;
		off += head[0] == TCP_OPTION_NOP ? 1 : head[1];
	}
	return 0;
}

/* The timestamp of a packet (RFC 7323, section 3), 0 if it has none. A timestamp of 0 comes out as 1: whoever compares
 * takes it for newer than it is by one, and an older one never for a newer one. */
static __always_inline __u32 tcp_stamp(struct wg_frame *frame, __u32 tcp, __u32 tcp_len)
{
	__u32 off = tcp_option(frame, tcp, tcp_len, TCP_OPTION_STAMP, 10);
	__be32 value;

	if (!off || frame_load(frame, off + 2, &value, sizeof(value)))
		return 0;
	return value ? bpf_ntohl(value) : 1;
}
