/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A packet as the hook hands it over: TC has a struct __sk_buff, XDP (with WG_XDP defined) a struct xdp_md. What both programs
 * ask of it is here, so that all that follows a flow is one code. */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* The kernel's own name of the type, since a global function's context is known by it. */
#ifdef WG_XDP
#define wg_frame xdp_md
#else
#define wg_frame __sk_buff
#endif

static __always_inline void *frame_data(const struct wg_frame *frame)
{
	return (void *)(long)frame->data;
}

static __always_inline void *frame_end(const struct wg_frame *frame)
{
	return (void *)(long)frame->data_end;
}

#ifdef WG_XDP

/* Returns 0 if the first need bytes can be read. Of a frame in several buffers only the first one can be. */
static __always_inline int frame_pull(struct wg_frame *frame, __u32 need)
{
	return frame_data(frame) + need <= frame_end(frame) ? 0 : -1;
}

/* All bytes of the frame. */
static __always_inline __u32 frame_len(struct wg_frame *frame)
{
	return bpf_xdp_get_buff_len(frame);
}

static __always_inline long frame_load(struct wg_frame *frame, __u32 off, void *to, __u32 len)
{
	return bpf_xdp_load_bytes(frame, off, to, len);
}

/* The EtherType of a frame that may be for this host, else 0. One with a VLAN tag comes again, to TC on the VLAN's
 * interface. (A tag that the driver has taken off does no harm: a flow is known by its tuple, whichever interface it comes in by.) */
static __always_inline __be16 frame_protocol(struct wg_frame *frame)
{
	const struct ethhdr *eth = frame_data(frame);

	if ((void *)(eth + 1) > frame_end(frame) || eth->h_dest[0] & 1)
		return 0;
	return eth->h_proto;
}

/* Bytes of IP in a packet whose IP header leaves its length open. */
static __always_inline __u32 frame_joined(const struct wg_frame *frame)
{
	return 0;
}

#else

/* Makes the first need bytes of the frame readable, unless the frame is shorter. */
static __always_inline int frame_pull(struct wg_frame *frame, __u32 need)
{
	if (frame_data(frame) + need <= frame_end(frame))
		return 0;
	return bpf_skb_pull_data(frame, need);
}

static __always_inline __u32 frame_len(const struct wg_frame *frame)
{
	return frame->len;
}

static __always_inline long frame_load(const struct wg_frame *frame, __u32 off, void *to, __u32 len)
{
	return bpf_skb_load_bytes(frame, off, to, len);
}

/* Not for our MAC: seen in promiscuous mode only. With a VLAN tag: comes again, on the VLAN's interface. */
static __always_inline __be16 frame_protocol(const struct wg_frame *frame)
{
	return frame->pkt_type != PACKET_HOST || frame->vlan_present ? 0 : frame->protocol;
}

/* A BIG TCP packet: the field of its length is 0, and it is as long as what was joined in it. */
static __always_inline __u32 frame_joined(const struct wg_frame *frame)
{
	return frame->gso_size ? frame->len - ETH_HLEN : 0;
}

#endif
