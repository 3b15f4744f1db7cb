/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Sends a translated packet on its way. */
#pragma once

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "mss.h"
#include "nat.h"
#include "way.h"

/* Translates a packet of a flow and returns the verdict; *reason is set when it is dropped. */
static __attribute__((noinline)) int forward(struct __sk_buff *skb, const struct packet *p, struct wg_flow *f, __u32 *reason)
{
	int verdict;

	if (p->ttl <= 1) {
		*reason = WG_R_TTL;
		return TC_ACT_SHOT;
	}
	flow_note(skb, f, p);
	if ((p->tcp_flags & WG_SYN) && f->mss && mss_clamp(skb, p->tcp, p->tcp_len, f->mss)) {
		*reason = WG_R_REWRITE;
		return TC_ACT_SHOT;
	}
	if (nat_rewrite(skb, p, f)) {
		*reason = WG_R_REWRITE;
		return TC_ACT_SHOT;
	}
	verdict = p->target ? way_send_first(skb, p->target) : 0;
	return verdict ? verdict : way_send(skb, p->v6, f);
}
