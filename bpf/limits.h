/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Every number that bounds the program. Sizes of maps that depend on options are set by the loader. */
#pragma once

/* Functions with a loop or many branches are global ones: the verifier then walks them once, by themselves, and not
 * once for each path that leads to them (since 5.13 they may take pointers to memory). Such pointers may be null, it thinks.
 * Before 6.2 what they lead to is no key or value of a map: it is copied first. Stack frames of a chain of calls add up, each
 * rounded up to 32 bytes, to 512 at most. TestVerifierIsNotPressed and make test-kernel tell. */
#define WG_GLOBAL __attribute__((noinline))

/* Longest schedule of a service; pkg/datapath.MaxSchedule is the same number. */
#define WG_SCHED_MAX 16384

/* Servers that leastconn and first look at for one SYN; pkg/datapath.MaxScan is the same number. */
#define WG_SCAN_MAX 1024
#define WG_SCAN_STEP 64

/* Servers drawn at most by random; pkg/datapath.MaxDraws is the same number. */
#define WG_DRAWS_MAX 16

/* Entries of wg_loads and wg_gauges, a power of two; and of wg_targets: each server has two, one of which takes what it is to be while
 * the other one is still read. */
#define WG_GAUGES_MAX 16384
#define WG_TARGETS_MAX (2 * WG_GAUGES_MAX)

/* Entries of wg_own_macs; servers behind further interfaces are sent to as by any packet of theirs. */
#define WG_OWN_MACS_MAX 256

/* Entries of wg_counters for each CPU; pkg/datapath.counterMax is the same number. */
#define WG_COUNTERS_MAX 4096

/* How often the end of a flow's stream is fought for before another CPU's packet has it. */
#define WG_ADVANCE_TRIES 4

/* How often a place under a limit is fought for before it is left to others. */
#define WG_PLACE_TRIES 32

/* Slots of the schedule looked at for one SYN. When all of them hold full servers the SYN falls through,
 * and userspace, which can queue, decides: that is right however long the schedule is. */
#define WG_CHOOSE_TRIES 64

/* Source ports tried for one SYN. At 90 % of the ports in use 32 tries fail in 3 % of the cases. */
#define WG_PORT_TRIES 32

/* Our addresses that connections to one server come from; pkg/datapath.MaxSources is the same number. A power of two. */
#define WG_SOURCES_MAX 8

/* How long a closed connection is left in peace before its source port is used again: whatever was lost of its end has been
 * sent again by then. */
#define WG_REOPEN_NS 1000000000ULL

/* Of the places of a limit, half-open flows hold at most one in this many (but one at least): the others stay for who
 * proves to be there. */
#define WG_HALF_SHARE 4

/* Without a heartbeat of the agent for this long no new connection is taken. */
#define WG_STALE_NS 3000000000ULL

/* Bytes that a packet can be ahead of the last one of its direction. */
#define WG_WINDOW_MAX (64 << 20)

/* Bytes that may have been lost right before a FIN: where more are missing it is not believed, and the flow ends by a timeout. Of the
 * numbers that who sees no packet can make up, one in 4096 is as near as that. */
#define WG_FIN_HOLE (1 << 20)

/* Flows that one run of the collector's program can delete. */
#define WG_DOOMED_MAX 128

/* Of so many entries wg_look shows one that is not asked for, so that the agent's read() of it returns now and then: it runs under
 * rcu_read_lock. A power of two. */
#define WG_LOOK_STEP 512

/* Ends of sessions that wait for the agent: about 8000 of them. A power of two and a multiple of the page size. */
#define WG_EVENTS_BYTES (1 << 20)

/* Room for names in map values, for people who read a dump. */
#define WG_NAME_LEN 32

/* TCP options looked at for one of them; padding counts as well. */
#define WG_TCP_OPTIONS_MAX 8

/* Extension headers of an IPv6 packet looked through for TCP. */
#define WG_EXTENSIONS_MAX 4

/* Neighbours whose MACs are known: the index is in the lower bits of a way's identity, above it a number that makes an
 * index that is used again another way. */
#define WG_WAY_BITS 13
#define WG_WAY_MAX (1 << WG_WAY_BITS)

/* The smallest path MTU of IPv4 that an ICMP error is believed to tell of. It is Linux's net.ipv4.route.min_pmtu: for a smaller one
 * a sender gives up "do not fragment", and fragments do not find their flow. Nothing real is that small (RFC 1191, section 7). */
#define WG_PMTU_MIN 552

/* A flow without a way asks for one again after this many packets. */
#define WG_WAY_AGAIN 32
