package datapath

import (
	"net/netip"
	"time"
)

// Counts are what the kernel path knows about one service or one server. All but the last three only ever grow.
type Counts struct {
	// Sessions is the number of flows whose handshake was completed.
	Sessions uint64
	// Connections is the number of SYNs taken, retransmissions not counted.
	Connections uint64
	// Retries and Redispatches are attempts that failed and were repeated, at the same server or at another one.
	Retries, Redispatches uint64
	// Failures are attempts that failed and were not repeated: the server refused, or did not answer in time.
	Failures uint64
	// ClientAborts are sessions that the client reset, or let time out.
	ClientAborts uint64
	// ServerResets and ServerTimeouts are those that the server did.
	ServerResets, ServerTimeouts uint64
	// Ended is the number of sessions that are over. Connect is their time from the SYN to the server's answer, Life that
	// to the end.
	Ended         uint64
	Connect, Life Spans
	// BytesIn and BytesOut are TCP payload from and to clients, in bytes.
	BytesIn, BytesOut uint64
	// Current is the number of established flows that have not ended.
	Current uint64
	// HalfOpen is the number of flows in their handshake.
	HalfOpen uint64
	// Entries is the number of flows in the table, those included that have ended and still hold their source port.
	Entries uint64
}

// Spans sums up times. The kernel's coarse clock gives them, which moves once in a few milliseconds.
type Spans struct{ Sum, Longest time.Duration }

// Snapshot is a reading of all counters. The numbers are read one after the other, without stopping the kernel.
type Snapshot struct {
	// Total is over all services.
	Total Counts
	// Services and Servers are by the caller's IDs. One that is no longer desired stays until its last flow has ended.
	Services, Servers map[uint32]Counts
	// Reasons counts packets that fell through to the stack or were dropped, by the name of the reason.
	// Every reason is there, also when it is 0. Reasons() explains them.
	Reasons map[string]uint64
	// Maps is the fill of each bounded map, by its name.
	Maps map[string]MapUse
	// Ports is the number of source ports that each server address can be reached from at the same time, from one address.
	Ports uint32
	// SourcePorts is by the caller's IDs of servers, over all source addresses: how many connections there can be at the same
	// time, those included whose end is less than a minute ago, and how many there are.
	SourcePorts map[uint32]MapUse
	// RunTime is zero unless Options.RunTime asks for it.
	RunTime RunTime
	// LostEvents is the number of ends of sessions that could not be told to Options.OnClose, because it was too slow.
	LostEvents uint64
	// Resets is the number of RSTs sent to ends of flows that timed out or were shut down, ResetsFailed those that could not be.
	Resets, ResetsFailed uint64
}

// MapUse is how full a map is.
type MapUse struct {
	Entries, Max uint32
}

// FlowState is where in its life a flow is.
type FlowState string

// The states of a flow.
const (
	FlowHalfOpen    FlowState = "half-open"
	FlowEstablished FlowState = "established"
	FlowClosed      FlowState = "closed"
)

// Flow is one connection through the kernel path.
type Flow struct {
	// ID is that of no other flow of this Datapath, of the past neither.
	ID              uint64
	Service, Server uint32
	// Client connects to Front; Back, an address and claimed port of ours, connects to Task.
	Client, Front, Back, Task netip.AddrPort
	State                     FlowState
	// Age is the time since the first SYN, Idle that since the last activity (payload, SYN, FIN, RST).
	Age, Idle         time.Duration
	BytesIn, BytesOut uint64
}

// Reason explains why a packet was not taken, or was dropped.
type Reason struct {
	// Name is a metric label: lower case with underscores.
	Name string
	// Help is one sentence for an operator.
	Help string
	// Drop tells that the packet was dropped; otherwise it went on to the stack.
	Drop bool
	// Expected tells that a count above zero belongs to daily life; otherwise it is worth a look.
	Expected bool
}

// Status is how the kernel path stands, for the stats page and a metric.
type Status struct {
	// Mode is ModeXDP if any interface has it, else ModeTC.
	Mode       Mode
	Interfaces []InterfaceStatus
	// PortMin and PortMax is the range of source ports in use.
	PortMin, PortMax uint16
	// Degraded says in words what does not work as it should; empty when all is well.
	Degraded []string
}

// InterfaceStatus is one interface that the program is attached to.
type InterfaceStatus struct {
	Name  string
	Index int
	// Attach is "tcx" or "clsact", with "xdp+" in front where XDP is there too.
	Attach string
	// WithoutXDP says why XDP is not there; empty if it is.
	WithoutXDP string
}
