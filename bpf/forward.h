/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Sends a translated packet on its way. */
#pragma once

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "mss.h"
#include "nat.h"

#ifndef AF_INET
#define AF_INET 2
#endif

/* Towards a server the next hop is known, since the agent resolved its route. Towards a client the routing table
 * is asked, restricted to the interface that the client's SYN came in by: a client may be behind any router, and its
 * route may change in the life of a flow. Neither needs ip_forward. */
static __always_inline int redirect(const struct wg_flow *f)
{
	struct bpf_redir_neigh hop = { .nh_family = AF_INET };

	if (addr_is_zero(f->nexthop))
		return bpf_redirect_neigh(f->ifindex, 0, 0, 0);
	hop.ipv4_nh = *(const __be32 *)f->nexthop;
	return bpf_redirect_neigh(f->ifindex, &hop, sizeof(hop), 0);
}

/* Translates a packet of a flow and returns the verdict; *reason is set when it is dropped. */
static __always_inline int forward(struct __sk_buff *skb, const struct packet *p, struct wg_flow *f, __u32 *reason)
{
	if (p->ttl <= 1) {
		*reason = WG_R_TTL;
		return TC_ACT_SHOT;
	}
	flow_note(f, p);
	if ((p->tcp_flags & WG_SYN) && f->mss && mss_clamp(skb, p->tcp_len, f->mss)) {
		*reason = WG_R_REWRITE;
		return TC_ACT_SHOT;
	}
	if (nat_rewrite(skb, p, f)) {
		*reason = WG_R_REWRITE;
		return TC_ACT_SHOT;
	}
	return redirect(f);
}
