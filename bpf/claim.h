/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A SYN becomes a flow, or falls through with a reason. */
#pragma once

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "choose.h"
#include "count.h"
#include "flow.h"
#include "martian.h"
#include "port.h"
#include "ring.h"
#include "socket.h"
#include "way.h"

#define CLAIM_OTHER -1

static __always_inline struct wg_service *service_for(const struct wg_key *key)
{
	struct wg_service_key at = { .port = bpf_ntohs(key->dport) };

	addr_copy(at.addr, key->daddr);
	return bpf_map_lookup_elem(&wg_services, &at);
}

/* The largest MSS that fits the MTU of both legs, or 0 when they are alike and nothing needs to be done: the ends go by the MTU of their
 * own interfaces, and of a smaller one that a route of ours has they know nothing. f is
 * the entry of the way back; mtu is that towards the server, small whether it is a route's. */
WG_GLOBAL int mss_for(const struct wg_flow *f, __u32 headers, __u32 mtu, __u32 small)
{
	struct wg_route_key to = { .bits = 8 * WG_ADDR_LEN };
	__u32 zero = 0, ifindex;
	const struct wg_settings *settings = bpf_map_lookup_elem(&wg_settings, &zero);
	const struct wg_route *route = 0;
	const struct wg_iface *in;

	if (!f || !settings)
		return 0;
	ifindex = f->ifindex;
	in = bpf_map_lookup_elem(&wg_ifaces, &ifindex);
	if (!in)
		return 0;
	if (settings->small) {
		addr_copy(to.addr, f->daddr);
		route = bpf_map_lookup_elem(&wg_routes, &to);
	}
	if (route && route->mtu && route->mtu < in->mtu && route->mtu < mtu)
		mtu = route->mtu;
	else if (in->mtu == mtu && !small)
		return 0;
	else if (in->mtu < mtu)
		mtu = in->mtu;
	return mtu > headers ? mtu - headers : 0;
}

/* Builds the entry of the way back: what comes from the server to the claimed port becomes front to client. */
static __always_inline void reverse_init(struct wg_flow *f, struct __sk_buff *skb, const struct packet *p,
					 const struct wg_service *svc, const struct choice *choice, const struct wg_target *server)
{
	f->server = server->server;
	f->counter = choice->counter;
	f->server_gauge = choice->gauge;
	addr_copy(f->saddr, p->key.daddr);
	addr_copy(f->daddr, p->key.saddr);
	f->sport = p->key.dport;
	f->dport = p->key.sport;
	f->ifindex = skb->ifindex;
	f->way = way_find(f);
	f->mss = mss_for(f, p->tcp - ETH_HLEN + sizeof(struct tcphdr), server->mtu, server->small);
	f->dir = WG_REVERSE;
	f->service = svc->id;
	f->service_gauge = svc->gauge;
	f->flags = svc->flags & WG_LOGGED ? WG_FLOW_LOGGED : WG_FLOW_PLAIN;
	f->generation = ring_generation();
	f->tag = flow_tag(f->generation);
	f->created = bpf_ktime_get_coarse_ns();
	f->seen = f->created;
}

/* Makes the same structure the entry of the way there; back is the key of the way back. */
static __always_inline void forward_init(struct wg_flow *f, const struct wg_key *back, const struct wg_target *server)
{
	addr_copy(f->saddr, back->daddr);
	addr_copy(f->daddr, back->saddr);
	f->sport = back->dport;
	f->dport = back->sport;
	f->way = server->way;
	f->ifindex = server->ifindex;
	f->dir = WG_FORWARD;
	f->state = WG_HALF;
}

/* Inserts both entries. Returns 0 or the reason; leaving the gauges is up to the caller. */
WG_GLOBAL int flow_insert(struct __sk_buff *skb, const struct packet *p, const struct wg_service *svc,
			  const struct choice *choice, struct wg_target *server)
{
	__u32 zero = 0;
	struct wg_flow *f = bpf_map_lookup_elem(&wg_draft, &zero);
	struct wg_key *back = bpf_map_lookup_elem(&wg_draft_key, &zero);
	int err; /* no long: before 6.4 the upper half of what updating a map returns is not the sign's */
	int reason;

	if (!f || !back || !p || !svc || !choice || !server)
		return WG_R_TABLE_FULL;
	__builtin_memset(f, 0, sizeof(*f));
	if (!wg_dry_run)
		reverse_init(f, skb, p, svc, choice, server);
	addr_copy(back->saddr, server->addr);
	back->sport = bpf_htons(server->port);
	reason = port_claim(skb, p, server);
	if (reason || wg_dry_run)
		return reason;
	forward_init(f, back, server);
	f->retries = svc->retries;
	*back = p->key;
	err = bpf_map_update_elem(&wg_flows, back, f, BPF_NOEXIST);
	if (err) {
		flow_twin_key(f, back);
		bpf_map_delete_elem(&wg_flows, back);
		return err == -EEXIST ? WG_R_RACE : WG_R_TABLE_FULL;
	}
	count_connection(f);
	ring_enter(&p->key, f->generation);
	return 0;
}

static __always_inline int claim_with_server(struct __sk_buff *skb, struct packet *p, const struct wg_service *svc)
{
	struct choice choice = {};
	struct wg_target *server;
	int reason = choose_server(svc->id, svc->gauge, addr_hash(p->key.saddr), 0, &choice);

	if (reason)
		return reason;
	server = bpf_map_lookup_elem(&wg_targets, &choice.target);
	if (!server)
		return WG_R_NO_SERVER;
	if (wg_dry_run)
		skb->cb[WG_DRY_SERVER] = server->server;
	reason = flow_insert(skb, p, svc, &choice, server);
	if (reason)
		gauge_leave(choice.gauge);
	else
		p->target = choice.target;
	return reason;
}

/* Takes the SYN of a packet that belongs to no flow. Returns 0, and the flow is in the table, or the reason why not, and all is as
 * before; CLAIM_OTHER if there is no such service. */
WG_GLOBAL int claim(struct __sk_buff *skb, struct packet *p)
{
	__u32 zero = 0;
	struct wg_settings *settings = bpf_map_lookup_elem(&wg_settings, &zero);
	const struct wg_service *svc;
	__u32 service_gauge;
	int reason;

	if (!p)
		return CLAIM_OTHER;
	svc = service_for(&p->key);
	if (!svc)
		return CLAIM_OTHER;
	if (!packet_is_opening(p))
		return WG_R_NO_FLOW;
	if (source_is_martian(&p->key))
		return WG_R_MARTIAN;
	if (wg_dry_run)
		skb->cb[WG_DRY_SERVICE] = svc->id;
	service_gauge = svc->gauge;
	if (!settings || bpf_ktime_get_coarse_ns() > settings->heartbeat + WG_STALE_NS)
		return WG_R_STALE;
	if ((svc->flags & WG_QUEUED) || gauge_awaited(service_gauge))
		return WG_R_QUEUED;
	if (p->ttl <= 1)
		return WG_R_TTL_SYN;
	if (socket_for(skb, &p->key) == SOCKET_OWNS)
		return WG_R_SOCKET;
	reason = gauge_enter(0);
	if (reason)
		return reason == WG_R_SERVICE_LIMIT ? WG_R_GLOBAL_LIMIT : reason;
	reason = gauge_enter(service_gauge);
	if (reason) {
		gauge_leave(0);
		return reason;
	}
	reason = claim_with_server(skb, p, svc);
	if (reason) {
		gauge_leave(service_gauge);
		gauge_leave(0);
	}
	return reason;
}
