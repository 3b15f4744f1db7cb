/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Where a translated packet goes: to a MAC that the agent knows to be right, or else through the kernel's routing and
 * neighbour code.
 *
 * The agent follows routes and neighbours by netlink and writes what it learns into wg_ways, where it takes effect for
 * all flows at once. Whatever it is not certain of it leaves out. Neither way of sending needs ip_forward.
 *
 * From interface to interface a packet takes 5.39 us by a known MAC, 5.42 through the neighbour code, and 5.88 where the
 * routing table is asked as well, as for each packet to a client without this (go test -bench Send ./pkg/datapath). */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "maps.h"
#include "parse.h"

#ifndef AF_INET
#define AF_INET 2
#define AF_INET6 10
#endif

/* Whether a flow leaves its interface for another one that the route leads to. A client is answered where its SYN came in, as long as
 * that interface is there and leads to all addresses; else as the stack would answer, by the routing table. */
static __always_inline int way_moves(const struct wg_flow *f, __u32 to)
{
	__u32 own = f->ifindex;
	const struct wg_iface *in = bpf_map_lookup_elem(&wg_ifaces, &own);

	if (in && in->home & (addr_is_v4(f->daddr) ? WG_HOME_V4 : WG_HOME_V6))
		return 0;
	return to && bpf_map_lookup_elem(&wg_ifaces, &to) != 0;
}

/* The identity of the way to where the flow's packets go, or 0. On the way the flow's interface is made the right one. */
WG_GLOBAL int way_find(struct wg_flow *f)
{
	struct wg_route_key to = { .bits = 8 * WG_ADDR_LEN };
	struct wg_neigh_key neigh = {};
	struct wg_route *route;
	__u32 *way;

	if (!f)
		return 0;
	addr_copy(to.addr, f->daddr);
	route = bpf_map_lookup_elem(&wg_routes, &to);
	if (!route)
		return 0;
	if (route->ifindex != f->ifindex) {
		if (!way_moves(f, route->ifindex))
			return 0;
		f->ifindex = route->ifindex;
	}
	if (route->way)
		return route->way;
	addr_copy(neigh.addr, f->daddr);
	neigh.ifindex = f->ifindex;
	way = bpf_map_lookup_elem(&wg_neighs, &neigh);
	return way ? *way : 0;
}

/* Whether a flow's interface is still there. */
static __always_inline int way_stays(const struct wg_flow *f)
{
	__u32 own = f->ifindex;

	return bpf_map_lookup_elem(&wg_ifaces, &own) != 0;
}

/* The way of a flow, or 0 if none is known. */
static __always_inline struct wg_way *way_of(struct wg_flow *f)
{
	__u32 index = f->way & (WG_WAY_MAX - 1);
	struct wg_way *way = bpf_map_lookup_elem(&wg_ways, &index);

	if (way && f->way && way->id == f->way)
		return way;
	if (!f->way && f->packets % WG_WAY_AGAIN && way_stays(f))
		return 0;
	f->way = way_find(f);
	index = f->way & (WG_WAY_MAX - 1);
	way = bpf_map_lookup_elem(&wg_ways, &index);
	return way && f->way && way->id == f->way ? way : 0;
}

/* Through the kernel's neighbour code; without a next hop through its routing as well, for the given interface. */
WG_GLOBAL int way_ask(const struct wg_flow *f, const struct wg_way *way, __u32 v6)
{
	struct bpf_redir_neigh hop = { .nh_family = AF_INET };

	if (!f)
		return TC_ACT_SHOT;
	if (!way)
		return bpf_redirect_neigh(f->ifindex, 0, 0, 0);
	if (v6) {
		hop.nh_family = AF_INET6;
		addr_copy((__u8 *)hop.ipv6_nh, way->nexthop);
	} else {
		hop.ipv4_nh = addr_v4(way->nexthop);
	}
	return bpf_redirect_neigh(way->ifindex, &hop, sizeof(hop), 0);
}

/* Writes the MACs of a way into a packet, unless the one that it goes to is unknown. The agent may change to meanwhile. */
static __always_inline int way_write(struct __sk_buff *skb, const struct wg_mac *way, const __u16 *from)
{
	struct ethhdr *eth = (void *)(long)skb->data;
	union {
		__u64 word;
		struct wg_mac mac;
	} to = { .word = *(volatile const __u64 *)way };

	if (!to.mac.known || (void *)(eth + 1) > (void *)(long)skb->data_end)
		return 0;
	__builtin_memcpy(eth->h_dest, to.mac.addr, ETH_ALEN);
	__builtin_memcpy(eth->h_source, from, ETH_ALEN);
	return 1;
}

/* Sends the packet of a flow away. */
static __always_inline int way_send(struct __sk_buff *skb, int v6, struct wg_flow *f)
{
	struct wg_way *way = way_of(f);

	if (!way)
		return way_ask(f, 0, v6);
	if (!way->used)
		way->used = 1;
	return way_write(skb, &way->to, (const __u16 *)way->from) ? bpf_redirect(way->ifindex, 0) : way_ask(f, way, v6);
}

/* Sends the first SYN of a connection to its server, by what is in the line that setting it up has just read. Returns the verdict, or 0 if
 * that does not do. */
static __always_inline int way_send_first(struct __sk_buff *skb, __u32 index)
{
	struct wg_target *target = bpf_map_lookup_elem(&wg_targets, &index);
	struct wg_own_mac *from;

	if (!target || !target->own)
		return 0;
	index = target->own;
	from = bpf_map_lookup_elem(&wg_own_macs, &index);
	if (!from || !way_write(skb, &target->to, (const __u16 *)from->addr))
		return 0;
	if (!target->used)
		target->used = 1;
	return bpf_redirect(target->ifindex, 0);
}
