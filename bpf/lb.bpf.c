// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Entry points for TC: wg_ingress on the ingress of every interface, wg_collect run by the agent. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "claim.h"
#include "collect.h"
#include "count.h"
#include "dryrun.h"
#include "flow.h"
#include "forward.h"
#include "icmp.h"
#include "look.h"
#include "parse.h"
#include "retry.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* A packet that no flow knows: a SYN for a service is claimed, all else goes on. Returns the flow, or 0 and the verdict. */
static __always_inline struct wg_flow *on_miss(struct __sk_buff *skb, struct packet *p, __u32 *reason, int *verdict)
{
	int claimed = claim(skb, p);
	struct wg_flow *f;

	*verdict = TC_ACT_UNSPEC;
	if (claimed && claimed != WG_R_RACE) {
		*reason = claimed == CLAIM_OTHER ? WG_R_NONE : claimed;
		return 0;
	}
	/* Found: claimed just now, by this CPU or, in a race, by another one for the same SYN. */
	f = bpf_map_lookup_elem(&wg_flows, &p->key);
	if (f && f->state != WG_DEAD)
		return f;
	*reason = WG_R_RACE;
	*verdict = TC_ACT_SHOT;
	return 0;
}

/* Returns f if this packet belongs to it, and promotes it on the way; 0 if there is no such flow (any more). */
static __always_inline struct wg_flow *flow_usable(struct wg_flow *f, const struct packet *p)
{
	if (!f || f->dir == WG_REVERSE || f->state == WG_ESTABLISHED)
		return f;
	if (f->state == WG_DEAD)
		return 0;
	if (f->state == WG_CLOSED && packet_is_opening(p)) {
		/* The client uses its port again for a new connection. */
		flow_recycle(p);
		return 0;
	}
	if (f->state == WG_HALF && (p->tcp_flags & (WG_ACK | WG_RST)) == WG_ACK)
		flow_promote(f, p);
	return f;
}

/* Whether all that a packet asks for is to be sent on: one of an established flow that neither begins nor ends anything. */
static __always_inline int flow_is_plain(const struct wg_flow *f, const struct packet *p)
{
	return f && !(p->tcp_flags & (WG_SYN | WG_RST)) && (f->dir == WG_REVERSE || f->state == WG_ESTABLISHED);
}

/* Any other packet. Returns the flow if it is to be sent on, or 0, and then *verdict and *reason. */
static __always_inline struct wg_flow *on_event(struct __sk_buff *skb, struct wg_flow *f, struct packet *p, __u32 *reason,
						int *verdict)
{
	f = flow_usable(f, p);
	if (!f || (f->dir == WG_FORWARD && packet_is_opening(p) && retry(skb, p)))
		return on_miss(skb, p, reason, verdict);
	*verdict = TC_ACT_SHOT;
	if (f->dir == WG_TOMBSTONE) {
		*reason = WG_R_TOMBSTONE;
		return 0;
	}
	if ((p->tcp_flags & WG_RST) && refusal_is_ours(f, p)) {
		*reason = WG_R_REFUSED;
		return 0;
	}
	if (!packet_is_opening(p))
		return f;
	f = bpf_map_lookup_elem(&wg_flows, &p->key); /* it may have moved */
	if (!f)
		*reason = WG_R_RACE;
	return f;
}

/* The dry run of a packet that is whole and may be ours. */
static __always_inline int on_dry_run(struct __sk_buff *skb, struct packet *p, __u32 *reason)
{
	struct wg_flow *f = bpf_map_lookup_elem(&wg_flows, &p->key);
	int claimed;

	if (f && f->state != WG_DEAD && f->state != WG_CLOSED) {
		skb->cb[WG_DRY_OUTCOME] = WG_OUTCOME_FLOW;
		skb->cb[WG_DRY_SERVICE] = f->service;
		skb->cb[WG_DRY_SERVER] = f->server;
		return TC_ACT_UNSPEC;
	}
	claimed = claim(skb, p);
	if (claimed == CLAIM_OTHER)
		return TC_ACT_UNSPEC;
	*reason = claimed;
	skb->cb[WG_DRY_OUTCOME] = claimed ? WG_OUTCOME_LEFT : WG_OUTCOME_TAKEN;
	return TC_ACT_UNSPEC;
}

static __always_inline int on_packet(struct __sk_buff *skb, __u32 *reason)
{
	struct packet p = {};
	struct wg_flow *f;
	int parsed = packet_parse(skb, &p);
	int verdict;

	if (parsed == PARSE_ICMP)
		return icmp_forward(skb, skb->protocol == bpf_htons(ETH_P_IPV6));
	if (parsed != PARSE_OK) {
		if (parsed > 0)
			*reason = parsed;
		return TC_ACT_UNSPEC;
	}
	if (wg_dry_run)
		return on_dry_run(skb, &p, reason);
	f = bpf_map_lookup_elem(&wg_flows, &p.key);
	if (!flow_is_plain(f, &p)) {
		f = on_event(skb, f, &p, reason, &verdict);
		if (!f)
			return verdict;
	}
	return forward(skb, &p, f, reason);
}

SEC("tc")
int wg_ingress(struct __sk_buff *skb)
{
	__u32 reason = WG_R_NONE;
	int verdict = on_packet(skb, &reason);

	if (wg_dry_run)
		skb->cb[WG_DRY_REASON] = reason;
	else if (reason)
		count_reason(reason);
	return verdict;
}

/* Run by BPF_PROG_RUN; the number of doomed flows is in cb[0]. */
SEC("tc")
int wg_collect(struct __sk_buff *skb)
{
	return collect(skb->cb[0]);
}

/* Run by the kernel for each entry of wg_flows, while the agent reads it. */
SEC("iter/bpf_map_elem")
int wg_look(struct bpf_iter__bpf_map_elem *ctx)
{
	return look(ctx->meta->seq, ctx->key, ctx->value);
}
