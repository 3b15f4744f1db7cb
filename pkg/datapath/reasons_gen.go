// Code generated from bpf/reasons.h by reasongen; DO NOT EDIT.

package datapath

// Values of enum wg_reason.
const (
	reasonNone = iota
	reasonNoFlow
	reasonSocket
	reasonStale
	reasonQueued
	reasonGlobalLimit
	reasonHalfOpen
	reasonServiceLimit
	reasonNoServer
	reasonServersFull
	reasonNoRoute
	reasonNoPort
	reasonTableFull
	reasonFragment
	reasonIpOptions
	reasonMartian
	reasonBadLength
	reasonTtlSyn
	reasonXdpChecksum
	reasonXdpWay
	reasonTtl
	reasonRace
	reasonRefused
	reasonTombstone
	reasonSmallMtu
	reasonRewrite
	reasonCount
)

// reasonTable is indexed by enum wg_reason.
var reasonTable = [reasonCount]Reason{
	reasonNoFlow:       {Name: "no_flow", Help: "A packet to a service that is no SYN and belongs to no kernel flow; normal for connections that userspace serves.", Drop: false, Expected: true},
	reasonSocket:       {Name: "socket", Help: "A SYN whose connection a local socket already owns, such as the retransmission of one that fell through.", Drop: false, Expected: true},
	reasonStale:        {Name: "stale", Help: "A SYN while the agent has given no sign of life for 3 s.", Drop: false, Expected: false},
	reasonQueued:       {Name: "queued", Help: "A SYN for a service that has connections waiting in userspace; first come is first served.", Drop: false, Expected: true},
	reasonGlobalLimit:  {Name: "global_limit", Help: "A SYN beyond the process-wide maxconn.", Drop: false, Expected: true},
	reasonHalfOpen:     {Name: "half_open", Help: "A SYN while half-open connections hold a quarter of the places of a maxconn; userspace takes the connection once its client proves to be there.", Drop: false, Expected: true},
	reasonServiceLimit: {Name: "service_limit", Help: "A SYN beyond the maxconn of its frontend.", Drop: false, Expected: true},
	reasonNoServer:     {Name: "no_server", Help: "A SYN for a service none of whose servers is usable.", Drop: false, Expected: true},
	reasonServersFull:  {Name: "servers_full", Help: "A SYN while every server is at its maxconn.", Drop: false, Expected: true},
	reasonNoRoute:      {Name: "no_route", Help: "A SYN whose turn was a server that packets cannot be redirected to; userspace connects to it.", Drop: false, Expected: false},
	reasonNoPort:       {Name: "no_port", Help: "A SYN for which no source port towards its server was free.", Drop: false, Expected: false},
	reasonTableFull:    {Name: "table_full", Help: "A SYN while the flow table was full or out of memory.", Drop: false, Expected: false},
	reasonFragment:     {Name: "fragment", Help: "An IP fragment of a TCP packet; the stack reassembles it.", Drop: false, Expected: true},
	reasonIpOptions:    {Name: "ip_options", Help: "A TCP packet with IP options.", Drop: false, Expected: true},
	reasonMartian:      {Name: "martian", Help: "A SYN from an address that nobody can have, or from the address that it is sent to; the stack drops it.", Drop: false, Expected: false},
	reasonBadLength:    {Name: "bad_length", Help: "A TCP packet whose lengths contradict each other.", Drop: false, Expected: false},
	reasonTtlSyn:       {Name: "ttl_syn", Help: "A SYN that arrived with a TTL of 1 and so cannot be sent on.", Drop: false, Expected: true},
	reasonXdpChecksum:  {Name: "xdp_checksum", Help: "A packet of a kernel flow that XDP left to TC, since its sender leaves the checksum to hardware: a veth or virtio peer with tx checksum offload.", Drop: false, Expected: false},
	reasonXdpWay:       {Name: "xdp_way", Help: "A packet of a kernel flow that XDP left to TC: its next hop's MAC is not known yet, or the interface towards it takes no frames from XDP.", Drop: false, Expected: true},
	reasonTtl:          {Name: "ttl", Help: "A packet of a kernel flow that arrived with a TTL of 1; a sign of a routing loop.", Drop: true, Expected: false},
	reasonRace:         {Name: "race", Help: "A SYN that met the deletion of an older flow with the same addresses; the client sends it again.", Drop: true, Expected: true},
	reasonRefused:      {Name: "refused", Help: "A server's refusal of a connection, or an ICMP error that says as much, while retries remain: the client's next SYN is another attempt.", Drop: true, Expected: true},
	reasonTombstone:    {Name: "tombstone", Help: "A late packet of a server whose connection has gone to another one by option redispatch, or has ended, or an ICMP error about one to it.", Drop: true, Expected: true},
	reasonSmallMtu:     {Name: "small_mtu", Help: "An ICMP error about a kernel flow that tells of a path MTU below 552 bytes; it is forged, or of no use.", Drop: true, Expected: false},
	reasonRewrite:      {Name: "rewrite", Help: "A packet whose headers the kernel refused to change.", Drop: true, Expected: false},
}
