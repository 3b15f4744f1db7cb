/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What becomes of a connection whose server does not take it: `retries`, `option redispatch` and `timeout connect`.
 * There is nothing to send again but what the client sends again, so each attempt is a SYN of the client. */
#pragma once

#include <bpf/bpf_helpers.h>

#include "claim.h"
#include "flow.h"

/* Takes note of a server's refusal of a SYN. Returns 1 while attempts remain: the client then must not hear of it. */
WG_GLOBAL int refusal_is_ours(const struct wg_flow *f, const struct packet *p)
{
	struct wg_flow *fwd;

	if (!f || !p || f->dir != WG_REVERSE || (f->tcp_flags & WG_SYN))
		return 0;
	fwd = flow_twin(f);
	if (!fwd || fwd->state != WG_HALF || !fwd->retries || !rst_is_credible(f, fwd, p))
		return 0;
	fwd->refused = 1;
	return 1;
}

/* The same for an ICMP error about a packet of ours to the server, whose sequence number it quotes. Only our SYN is not
 * acknowledged before the server has answered, and an error about that ends the attempt, as it does that of a socket (RFC 1122,
 * 4.2.3.9, calls some of them passing; Linux makes no difference in SYN_SENT). Without a retry the flow is over, too, and
 * the client hears of it: a new SYN begins anew. */
WG_GLOBAL int unreachable_is_ours(struct wg_flow *f, __u32 seq)
{
	struct wg_flow *fwd;
	__u32 tag;

	if (!f || f->dir != WG_REVERSE || (f->tcp_flags & WG_SYN))
		return 0;
	tag = flow_tag_of(f);
	fwd = flow_twin(f);
	if (!fwd || fwd->state != WG_HALF || seq + 1 != fwd->syn_next)
		return 0;
	if (fwd->retries) {
		fwd->refused = 1;
		return 1;
	}
	__sync_fetch_and_or(&fwd->tcp_flags, WG_RST);
	flow_refused(fwd, f, tag);
	return 0;
}

/* What a further attempt is decided by. */
struct attempt {
	__u32 tag; /* of the flow */
	__u32 left; /* attempts, this one among them */
};

/* Gives a half-open flow another server, at which the caller has taken a place. The forward entry is replaced whole; the
 * generation stays, so the ring still finds the flow. If the old server may answer yet, its entry stays as a tombstone
 * that drops what it says; it keeps the port. Returns 0, or the reason why all is as before. */
WG_GLOBAL int flow_move(struct __sk_buff *skb, const struct packet *p, const struct wg_service *svc,
			const struct choice *choice, const struct attempt *attempt)
{
	__u32 zero = 0, target = choice ? choice->target : 0, old_gauge;
	struct wg_flow *draft = bpf_map_lookup_elem(&wg_draft, &zero);
	struct wg_target *server = bpf_map_lookup_elem(&wg_targets, &target);
	struct wg_key *back = bpf_map_lookup_elem(&wg_draft_key, &zero);
	struct wg_flow *f, *rev;
	int reason;

	if (!draft || !back || !choice || !server || !p || !svc || !attempt)
		return WG_R_NO_SERVER;
	*back = p->key;
	f = bpf_map_lookup_elem(&wg_flows, back);
	if (!f || f->dir != WG_FORWARD)
		return WG_R_RACE;
	flow_twin_key(f, back);
	rev = bpf_map_lookup_elem(&wg_flows, back);
	if (!rev || rev->generation != f->generation)
		return WG_R_RACE;
	__builtin_memset(draft, 0, sizeof(*draft));
	reverse_init(draft, skb, p, svc, choice, server);
	draft->generation = f->generation;
	draft->tag = attempt->tag;
	draft->flags |= WG_FLOW_MOVED;
	addr_copy(back->saddr, server->addr);
	back->sport = bpf_htons(server->port);
	if (!flow_shift(f, attempt->tag, WG_HALF, WG_DEAD)) /* another CPU is at it */
		return WG_R_RACE;
	/* Another CPU may have begun this attempt just before. No other begins it from now on, not even one that has found this entry. */
	if (__sync_val_compare_and_swap(&f->retries, attempt->left, 0) != attempt->left) {
		f->state = WG_HALF;
		return WG_R_RACE;
	}
	reason = port_claim(skb, p, server);
	if (!reason) {
		forward_init(draft, back, server);
		draft->created = f->created;
		draft->retries = attempt->left - 1;
		*back = p->key;
		if (bpf_map_update_elem(&wg_flows, back, draft, BPF_EXIST)) {
			flow_twin_key(draft, back);
			bpf_map_delete_elem(&wg_flows, back);
			reason = WG_R_TABLE_FULL;
		}
	}
	if (reason) {
		f->retries = attempt->left;
		f->state = WG_HALF;
		return reason;
	}
	old_gauge = f->server_gauge; /* replaced, but not freed before this program ends */
	count_connection(draft);
	if (f->refused) {
		flow_twin_key(f, back);
		bpf_map_delete_elem(&wg_flows, back);
	} else {
		gauge_add(old_gauge, 1, 0, 0);
		rev->dir = WG_TOMBSTONE;
		rev->seen = bpf_ktime_get_coarse_ns();
	}
	gauge_leave(old_gauge);
	return 0;
}

/* Finds another server for a half-open flow, if its own is not to be avoided perhaps the same one at another address. Returns 0 if
 * it has one. */
static __always_inline int redispatch(struct __sk_buff *skb, const struct packet *p, __u32 avoid, const struct wg_service *svc,
				      const struct attempt *attempt)
{
	struct choice choice = {};
	int reason = choose_server(svc->id, svc->gauge, addr_hash(p->key.saddr), avoid, &choice);

	if (reason)
		return reason;
	reason = flow_move(skb, p, svc, &choice, attempt);
	if (reason)
		gauge_leave(choice.gauge);
	return reason;
}

/* Whether the server of a flow may still be chosen, and is where it was: one that is down, in maintenance or gone is in no map. */
static __always_inline int server_stays(const struct wg_flow *f)
{
	__u32 id = f->server;
	const struct wg_server *server = bpf_map_lookup_elem(&wg_servers, &id);

	if (!server)
		return 0;
	return server->port == bpf_ntohs(f->dport) && addr_equal(server->addr, f->daddr);
}

/* Lets go of a half-open flow whose server has left and that no other one takes, so that its client's SYN begins anew: it falls through as
 * any other, and userspace has it wait in a queue or ends it, as HAProxy. If the old server may answer yet, a tombstone drops what it
 * says. Returns 0 if another CPU is at it. */
WG_GLOBAL int flow_abandon(const struct packet *p, struct wg_flow *f, struct wg_flow *rev, __u32 tag)
{
	struct wg_key key;

	if (!p || !f || !rev || !flow_shift(f, tag, WG_HALF, WG_DEAD))
		return 0;
	count_retry(f, 1);
	key = p->key;
	if (f->refused) {
		flow_delete(&key, f, WG_HALF);
	} else {
		rev->seen = bpf_ktime_get_coarse_ns();
		flow_bury(&key, f, rev, WG_HALF);
	}
	return 1;
}

/* Called with a client's SYN that comes again. When the attempt at the flow's server has failed, because the server
 * refused it or `timeout connect` has passed without an answer, the next one begins: at another server with `option
 * redispatch` if there is one, else at the same; also without it if the server has left meanwhile, as in userspace (HAProxy would
 * stay there and fail). In all other cases the SYN is an ordinary retransmission. Returns 1 if it belongs to no flow any more. */
WG_GLOBAL int retry(struct __sk_buff *skb, const struct packet *p)
{
	struct wg_service *svc;
	struct wg_flow *f, *rev;
	__u64 now = bpf_ktime_get_coarse_ns();
	__u32 zero = 0, left;
	struct attempt attempt = {};
	struct wg_key *key = bpf_map_lookup_elem(&wg_draft_key, &zero);
	int stays, reason;

	if (!p || !key)
		return 0;
	*key = p->key;
	f = flow_hold(key, &attempt.tag);
	if (!f || f->dir != WG_FORWARD || f->state != WG_HALF)
		return 0;
	left = *(volatile __u32 *)&f->retries;
	if (!left)
		return 0;
	attempt.left = left;
	rev = flow_twin(f);
	svc = service_for(&p->key);
	if (!rev || (rev->tcp_flags & WG_SYN) || !svc)
		return 0;
	if (!f->refused && (!svc->connect || now - rev->created < svc->connect))
		return 0;
	stays = server_stays(f);
	/* svc->retries may have changed since: then it is any number, and no harm is done. */
	if (!stays || (svc->redispatch && (svc->retries + 1 - left) % svc->redispatch == 0)) {
		reason = redispatch(skb, p, stays ? f->server_gauge : 0, svc, &attempt);
		if (!reason) {
			count_retry(f, 1);
			return 0;
		}
		if (reason == WG_R_RACE)
			return 0;
		if (!stays)
			return flow_abandon(p, f, rev, attempt.tag);
	}
	if (__sync_val_compare_and_swap(&f->retries, left, left - 1) != left)
		return 0; /* another CPU has begun this attempt */
	f->refused = 0;
	rev->created = now;
	count_retry(f, 0);
	return 0;
}
