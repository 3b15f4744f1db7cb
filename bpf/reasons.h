/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Why a packet was not taken. This is the one list: pkg/datapath/reasons_gen.go is made from it.
 * PASS: the packet goes on to the stack, and a SYN reaches the listening socket. DROP: it does not.
 * NORMAL: a count above zero belongs to daily life. ODD: it is worth a look. */
#pragma once

#define WG_REASONS(PASS, DROP)                                                                                             \
	PASS(NO_FLOW, "no_flow", NORMAL, "A packet to a service that is no SYN and belongs to no kernel flow; normal for connections that userspace serves.") \
	PASS(SOCKET, "socket", NORMAL, "A SYN whose connection a local socket already owns, such as the retransmission of one that fell through.") \
	PASS(STALE, "stale", ODD, "A SYN while the agent has given no sign of life for 3 s.") \
	PASS(QUEUED, "queued", NORMAL, "A SYN for a service that has connections waiting in userspace; first come is first served.") \
	PASS(GLOBAL_LIMIT, "global_limit", NORMAL, "A SYN beyond the process-wide maxconn.") \
	PASS(HALF_OPEN, "half_open", NORMAL, "A SYN while half-open connections hold a quarter of the places of a maxconn; userspace takes the connection once its client proves to be there.") \
	PASS(SERVICE_LIMIT, "service_limit", NORMAL, "A SYN beyond the maxconn of its frontend.") \
	PASS(NO_SERVER, "no_server", NORMAL, "A SYN for a service none of whose servers is usable.") \
	PASS(SERVERS_FULL, "servers_full", NORMAL, "A SYN while every server is at its maxconn.") \
	PASS(NO_ROUTE, "no_route", ODD, "A SYN whose turn was a server that packets cannot be redirected to; userspace connects to it.") \
	PASS(NO_PORT, "no_port", ODD, "A SYN for which no source port towards its server was free.") \
	PASS(TABLE_FULL, "table_full", ODD, "A SYN while the flow table was full or out of memory.") \
	PASS(FRAGMENT, "fragment", NORMAL, "An IP fragment of a TCP packet; the stack reassembles it.") \
	PASS(OPTIONS, "ip_options", NORMAL, "A TCP packet with IP options.") \
	PASS(MARTIAN, "martian", ODD, "A SYN from an address that nobody can have, or from the address that it is sent to; the stack drops it.") \
	PASS(LENGTH, "bad_length", ODD, "A TCP packet whose lengths contradict each other.") \
	PASS(TTL_SYN, "ttl_syn", NORMAL, "A SYN that arrived with a TTL of 1 and so cannot be sent on.") \
	PASS(XDP_CHECKSUM, "xdp_checksum", ODD, "A packet of a kernel flow that XDP left to TC, since its sender leaves the checksum to hardware: a veth or virtio peer with tx checksum offload.") \
	PASS(XDP_WAY, "xdp_way", NORMAL, "A packet of a kernel flow that XDP left to TC: its next hop's MAC is not known yet, or the interface towards it takes no frames from XDP.") \
	DROP(TTL, "ttl", ODD, "A packet of a kernel flow that arrived with a TTL of 1; a sign of a routing loop.") \
	DROP(RACE, "race", NORMAL, "A SYN that met the deletion of an older flow with the same addresses; the client sends it again.") \
	DROP(REFUSED, "refused", NORMAL, "A server's refusal of a connection, or an ICMP error that says as much, while retries remain: the client's next SYN is another attempt.") \
	DROP(TOMBSTONE, "tombstone", NORMAL, "A late packet of a server whose connection has gone to another one by option redispatch, or has ended, or an ICMP error about one to it.") \
	DROP(SMALL_MTU, "small_mtu", ODD, "An ICMP error about a kernel flow that tells of a path MTU below 552 bytes; it is forged, or of no use.") \
	DROP(REWRITE, "rewrite", ODD, "A packet whose headers the kernel refused to change.")

#define WG_REASON_ENUM(name, label, normal, help) WG_R_##name,
enum wg_reason {
	WG_R_NONE = 0,
	WG_REASONS(WG_REASON_ENUM, WG_REASON_ENUM)
	WG_R_COUNT,
};
