/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the maps hold. pkg/datapath has the same types, generated from these by bpf2go. */
#pragma once

#include <linux/types.h>

#include "addr.h"
#include "limits.h"

/* A direction's addresses and ports as they are on the wire before translation. */
struct wg_key {
	__u8 saddr[WG_ADDR_LEN];
	__u8 daddr[WG_ADDR_LEN];
	__be16 sport;
	__be16 dport;
} __attribute__((aligned(4)));

enum wg_dir {
	WG_FORWARD = 0, /* client to server */
	WG_REVERSE = 1, /* server to client */
	WG_TOMBSTONE = 2, /* a reverse entry without a flow: the server may yet speak, or be in TIME_WAIT */
};

/* The life of a flow, kept in its forward entry only and changed by compare-and-swap only, so that each
 * transition, and the counting that goes with it, happens once however many CPUs see the packets. */
enum wg_state {
	WG_HALF = 1, /* a SYN was seen */
	WG_ESTABLISHED = 2, /* the client has acknowledged the server's SYN */
	WG_CLOSED = 3, /* FIN both ways or RST; the entry still translates and holds the port */
	WG_DEAD = 4, /* being deleted by whoever set this */
};

enum wg_flow_flag {
	WG_FLOW_PLAIN = 0,
	WG_FLOW_LOGGED = 1 << 0, /* its end is told to the agent; set in both entries */
	WG_FLOW_MOVED = 1 << 1, /* by option redispatch, to another server than its first; set in both entries */
	WG_FLOW_WAITS = 1 << 2, /* of a tombstone: its server is in TIME_WAIT, see port_reopen */
};

/* How a flow ended, as far as the kernel can tell; the agent gives the reasons of what it ended itself. */
enum wg_end {
	WG_END_NONE = 0,
	WG_END_FIN = 1, /* both sides have closed */
	WG_END_CLIENT_RST = 2,
	WG_END_SERVER_RST = 3,
	WG_END_REFUSED = 4, /* the server answered the SYN with a RST */
	WG_END_CONNECT_TIMEOUT = 5, /* from here on: by the collector, as the agent told it */
	WG_END_CLIENT_TIMEOUT = 6,
	WG_END_SERVER_TIMEOUT = 7,
	WG_END_SERVER_DOWN = 8, /* on-marked-down shutdown-sessions */
	WG_END_KILLED = 9, /* by an operator */
};

/* One direction of a flow, with all that its packets need. The entry of the other direction is found by swapping
 * the written tuple. Packets of one direction come on one CPU as a rule, but a sender's thread and what answers ACKs may be on two: each
 * byte is counted by one of them, see flow_advance. What else is counted and noted are plain stores; the worst outcome is a lost count.
 * An entry that is freed may be reused at once, while another CPU still is at it. Only ended or expired flows are deleted, so
 * what that CPU sends is a stray packet, and TCP's sequence numbers refuse it; what it notes is lost, or some number of the other
 * flow. The state of this it leaves alone: that is swapped together with the tag, see flow_shift.
 * The order is that of cache lines: with 1M flows each line is a miss. An element of the table begins 8 bytes into its
 * memory and has 48 bytes and the key before this: 32 bytes share a line with the end of the key, the next 64 are one. */
struct wg_flow {
	/* What the collector looks at of every flow, */
	__u64 seen; /* last payload, SYN, FIN or RST */
	enum wg_state state; /* in the forward entry */
	__u32 tag; /* flow_tag of the generation; right behind the state */
	__u8 dir; /* enum wg_dir */
	__u8 closer; /* 1 + direction of the first FIN; in the forward entry */
	__u16 mss; /* largest MSS that fits both legs; 0: leave it alone */
	__u32 service;
	__u32 tcp_flags; /* of all packets of this direction, or-ed */
	__u32 ack; /* last acknowledgement number of this direction */
	/* what else a packet of an established flow needs, */
	__u8 saddr[WG_ADDR_LEN]; /* the tuple to write */
	__u8 daddr[WG_ADDR_LEN];
	__be16 sport;
	__be16 dport;
	__u32 way; /* identity of the way to daddr; 0: none is known */
	__u32 counter; /* index into wg_counters */
	__u32 seq_next; /* highest sequence number sent in this direction, plus one */
	__u64 packets;
	__u64 bytes; /* TCP payload */
	/* and the rest. */
	__u64 generation; /* the same in both entries, and in no other flow */
	__u64 created; /* CLOCK_MONOTONIC, ns; in the reverse entry that of the attempt at this server */
	__u32 ifindex; /* interface to leave by where the routing table is asked */
	__u32 service_gauge; /* indices into wg_loads and wg_gauges */
	__u32 server_gauge;
	__u32 syn_next; /* sequence number of the SYN, plus one; in the reverse entry */
	enum wg_flow_flag flags;
	__u32 connect; /* time from the SYN to the server's answer, us; in the reverse entry */
	__u32 retries; /* attempts that are left if the server does not take the connection; in the forward entry */
	__u32 refused; /* the server has refused this attempt; in the forward entry */
	__u32 stamp; /* the client's last timestamp, see tcp_stamp; in the forward entry once closed, and in tombstones */
	__u32 server;
};
_Static_assert(sizeof(struct wg_key) == 4 + 2 * WG_ADDR_LEN, "a key has no padding");
_Static_assert(__builtin_offsetof(struct wg_flow, state) % 8 == 0, "state and tag are one word");
_Static_assert(sizeof(struct wg_flow) == 120 + 2 * WG_ADDR_LEN, "a flow has no padding");

/* Address and port of a frontend. The port is in host order, for readers of dumps. */
struct wg_service_key {
	__u8 addr[WG_ADDR_LEN];
	__u16 port;
	__u16 pad;
} __attribute__((aligned(4)));

enum wg_service_flag {
	WG_NO_FLAG = 0,
	WG_QUEUED = 1 << 0, /* connections wait in userspace: first come, first served */
	WG_LOGGED = 1 << 1, /* the end of its flows is told to the agent */
};

struct wg_service {
	__u32 id;
	__u32 gauge;
	enum wg_service_flag flags;
	__u32 retries; /* further attempts when a server does not take a connection */
	__u32 redispatch; /* every so manieth of them goes to another server; 0: none */
	__u32 pad;
	__u64 connect; /* how long a server has to answer, ns; 0: for ever */
	char name[WG_NAME_LEN];
};

enum wg_server_state {
	WG_SERVER_READY = 0,
	WG_SERVER_NO_ROUTE = 1, /* local to this namespace, or unreachable: only userspace can connect */
};

/* A server as people see it, and all of our addresses that connect to it. */
struct wg_server {
	__u8 addr[WG_ADDR_LEN];
	__u16 port; /* host order */
	__u16 target; /* index into wg_targets: gauge, or the other entry that this server may have */
	enum wg_server_state state;
	__u32 ifindex;
	__u32 gauge;
	__u32 sources;
	__u8 source[WG_SOURCES_MAX][WG_ADDR_LEN];
	char name[WG_NAME_LEN];
};

/* What is known of the way to a neighbour. */
enum wg_mac_known {
	WG_MAC_KNOWN = 1 << 0, /* its MAC */
	WG_MAC_XDP = 1 << 1, /* the interface takes frames from XDP, */
	WG_MAC_XDP_BUFFERS = 1 << 2, /* also in several buffers, */
	WG_MAC_XDP_BACK = 1 << 3, /* and those that have come in by it (XDP_TX) */
};

/* The MAC of a neighbour. Read and written at once, so that no half of another one is ever used. */
struct wg_mac {
	__u8 addr[6];
	__u16 known; /* enum wg_mac_known; 0: the kernel's neighbour code is asked, and finds out */
} __attribute__((aligned(8)));

/* The MAC of one of our interfaces. */
struct wg_own_mac {
	__u8 addr[6];
	__u16 pad;
};

/* What setting up a connection to a server takes, in one cache line: with a thousand servers, each line that only connections to
 * this one touch has to be fetched anew. Written before a schedule refers to it, and never changed but for ports and what the way
 * gives. */
struct wg_target {
	__u32 server; /* its id; 0: free */
	__u32 ports; /* source ports tried so far: the next one to try */
	struct wg_mac to; /* what the way has as its MAC, for the first SYN of a connection */
	__u8 addr[WG_ADDR_LEN];
	__u8 source[WG_ADDR_LEN]; /* the first of our addresses that connect to it; wg_servers has all */
	__u32 ifindex;
	__u32 way; /* identity of the way to it; 0: none is known */
	__u16 port; /* host order */
	__u16 mtu; /* of the route to it */
	__u8 sources; /* how many of our addresses connect to it; 0: it has no route, see enum wg_server_state */
	__u8 used; /* as that of the way */
	__u8 own; /* index into wg_own_macs of our interface's; 0: none */
	__u8 small; /* mtu is smaller than that of the interface, so that the server does not know */
};
_Static_assert(sizeof(struct wg_target) == 64, "a target fills a cache line");

/* A neighbour that packets are sent to. It keeps its identity as long as the routes stay as they are and it stays in the
 * agent's list; what refers to an identity that is gone asks anew. */
struct wg_way {
	struct wg_mac to;
	__u8 from[6]; /* of the interface */
	__u16 used; /* set by packets, taken back by the agent, which then has the kernel look after the neighbour */
	__u8 nexthop[WG_ADDR_LEN];
	__u32 ifindex;
	__u32 id; /* the index in the lower WG_WAY_BITS; 0: free */
};

/* A route of the main table, for the way back to clients. */
struct wg_route_key {
	__u32 bits; /* IPv4 prefixes are 96 longer */
	__u8 addr[WG_ADDR_LEN];
} __attribute__((aligned(4)));

struct wg_route {
	__u32 ifindex; /* 0: ask the routing table */
	__u32 way; /* to the gateway; 0: the address is on-link */
	__u32 mtu; /* that the route has; 0: that of the interface */
};

/* An on-link address. The value is the identity of the way to it. */
struct wg_neigh_key {
	__u8 addr[WG_ADDR_LEN];
	__u32 ifindex;
} __attribute__((aligned(4)));

/* How a service chooses among the slots of its schedule, see choose.h. */
enum wg_algorithm {
	WG_ROUND_ROBIN = 0, /* slots in turn; a server has as many as its weight asks for */
	WG_LEAST_CONN = 1, /* one slot for each server: the least loaded for its weight */
	WG_RANDOM = 2, /* slots as for round robin: the least loaded of some drawn */
	WG_SOURCE = 3, /* a Maglev table: by the client's address */
	WG_FIRST = 4, /* one slot for each server: the first with room */
};

/* What a schedule is: its head, then its slots, two in an element, and behind them, if they differ, their weights, four in one. */
struct wg_head {
	__u16 length; /* slots */
	__u16 algorithm;
	__u16 draws; /* servers that WG_RANDOM compares */
	__u16 weighed; /* there are weights; else all are alike, or the algorithm does not ask for them */
};

/* All that a SYN reads of a server before it is the one. Small, so that a long schedule stays in the caches: what a slot leads to can
 * then be fetched at once. The index of the load follows from that of the target, see target_gauge. */
struct wg_slot {
	__u16 target; /* index into wg_targets */
	__u16 counter; /* index into wg_counters for this service and server */
};

union wg_sched_elem {
	struct wg_head head;
	struct wg_slot slots[2];
	__u16 weights[4];
};
_Static_assert(sizeof(union wg_sched_elem) == 8, "the kernel rounds an array's elements up to 8 bytes");
_Static_assert(WG_SCHED_MAX < 1 << 16 && WG_TARGETS_MAX <= 1 << 16 && WG_COUNTERS_MAX <= 1 << 16, "a slot holds any index");

/* The load of a service or server; index 0 is over all. Read and changed as one word, so a SYN takes one atomic instruction for
 * each; the agent has it mapped and counts the sessions of the userspace path in taken, so that a limit is one limit, whichever path a
 * connection takes. Apart from the other numbers, since random and leastconn compare many: eight share a cache line. */
struct wg_load {
	__u32 taken; /* places taken: open flows and the sessions of userspace */
	__u32 open; /* flows that have not ended, and WG_LIMITED */
} __attribute__((aligned(8)));

/* Bits of a load's word. */
#define WG_LIMITED (1ULL << 63) /* there is a wg_gauge.limit; pkg/datapath.loadLimited is the same number */
#define WG_PLACE ((1ULL << 32) | 1) /* what a flow adds to it */

/* The other current numbers of a service or server; index 0 is over all. Shared by all CPUs. A SYN touches that of its service, and
 * that of its server only if this has a limit. */
struct wg_gauge {
	__u32 established; /* open flows that are past their handshake */
	__u32 held; /* entries of flows that have ended; with the open ones all that there are in the table */
	__u64 limit; /* places there are; 0: as many as you like */
	__u64 waiting; /* connections that wait for a place in userspace: first come, first served */
	__u64 turns; /* of a service: connections that it has chosen a server for by turns; a change of servers does not set it back */
};
_Static_assert(sizeof(struct wg_gauge) == 32, "two gauges fill a cache line");

/* Growing numbers of one service at one server. */
struct wg_counter {
	__u64 connections;
	__u64 sessions;
	__u64 packets_in;
	__u64 packets_out;
	__u64 bytes_in;
	__u64 bytes_out;
	__u64 retries; /* attempts that failed and were repeated at this server */
	__u64 redispatches; /* attempts that failed here and were repeated elsewhere */
	/* Touched once, at the end of a flow: */
	__u64 failures; /* attempts that failed and were not repeated */
	__u64 client_aborts; /* sessions that the client reset, or let time out */
	__u64 server_resets;
	__u64 server_timeouts;
	__u64 ended; /* sessions that are over, with the sums of their times, us, and the longest ones: */
	__u64 connect_sum; /* from the SYN to the server's answer */
	__u64 life_sum; /* from the SYN to the end */
	__u32 connect_max; /* us */
	__u32 life_max; /* ms: longer than an hour is nothing unusual */
};
_Static_assert(sizeof(struct wg_counter) == 128, "a counter has one cache line for packets and one for ends");

/* What the collector asks wg_look for: the latest wg_flow.seen of an entry that may be over, by what it is; CLOCK_MONOTONIC, ns. */
struct wg_lives {
	__u64 half;
	__u64 established;
	__u64 reset; /* closed by a RST */
	__u64 client_first; /* closed by FINs, the client's first */
	__u64 server_first;
	__u64 tombstone;
	__u64 orphan; /* a reverse entry, by created; 0: they are not asked for */
	__u64 looked; /* entries that wg_look has looked at */
};

struct wg_settings {
	__u64 heartbeat; /* CLOCK_MONOTONIC, ns, of the agent's last sign of life */
	__u32 small; /* whether any of wg_routes has an MTU of its own, so that a SYN of others need not ask */
	__u16 port_min;
	__u16 port_max; /* inclusive */
};

/* Of which families an interface has a default route. */
enum wg_home {
	WG_HOME_V4 = 1 << 0,
	WG_HOME_V6 = 1 << 1,
};

struct wg_iface {
	__u32 mtu;
	__u8 mac[6];
	__u16 home; /* enum wg_home */
} __attribute__((aligned(4)));

/* A half-open flow, remembered so that it can be recycled. */
struct wg_ring_slot {
	struct wg_key key;
	__u32 pad;
	__u64 generation;
};

enum wg_doom {
	WG_DOOM_IDLE = 0, /* if nothing has happened since the collector looked */
	WG_DOOM_ORPHAN = 1, /* a reverse entry without its forward entry */
	WG_DOOM_FORCED = 2, /* whatever has happened since */
};

/* A flow that the agent wants deleted, and what it was when that was done. */
struct wg_doomed {
	struct wg_key key; /* of the forward entry, or of an orphan */
	enum wg_state state; /* as it was seen; as it was when deleted, 0 if it was not */
	enum wg_doom how;
	enum wg_end end; /* why, for the log */
	__u64 generation;
	__u64 seen;
	__u64 twin_seen;
	/* What the program answers: all that resetting both ends takes. */
	__u32 client_next; /* what comes next from the client */
	__u32 client_ack; /* what the client was last known to expect */
	__u32 server_next;
	__u32 server_ack;
	__u32 answered; /* the server has sent its SYN */
	__u32 pad;
};

#define WG_NO_TIME 0xffffffff

/* The end of a session, for the log. Ports are in network order, as everywhere but in wg_servers and wg_services. */
struct wg_event {
	__u8 client[WG_ADDR_LEN];
	__u8 front[WG_ADDR_LEN];
	__u8 back[WG_ADDR_LEN];
	__u8 task[WG_ADDR_LEN];
	__be16 client_port;
	__be16 front_port;
	__be16 back_port;
	__be16 task_port;
	__u32 service;
	__u32 server;
	enum wg_end end;
	__u32 connect; /* us; WG_NO_TIME: the server never answered */
	__u32 total_open; /* established flows, this one among them: over all, */
	__u32 service_open; /* of its service */
	__u32 server_open; /* and of its server */
	__u16 retries; /* attempts that were left */
	__u16 moved; /* to another server than the first */
	__u64 created; /* CLOCK_MONOTONIC, ns */
	__u64 ended;
	__u64 bytes_in; /* TCP payload from the client */
	__u64 bytes_out;
};
_Static_assert(sizeof(struct wg_event) == 72 + 4 * WG_ADDR_LEN, "an event has no padding");
