package datapath

import (
	"net/netip"
	"time"
)

const (
	// MaxSchedule is the longest schedule of a service, in slots. Callers quantise weights that need more.
	MaxSchedule = 16384
	// MaxScan is the longest schedule of LeastConn and First, which look at every server for each connection.
	MaxScan = 1024
	// MaxDraws is the most servers that Random draws for a connection.
	MaxDraws = 16
	// MaxSources is the most addresses of ours that connections to one server come from.
	MaxSources = 8
)

// Algorithm is how a service chooses among the slots of its schedule. The caller makes the schedule for it.
type Algorithm uint32

// The algorithms; the numbers are those of enum wg_algorithm.
const (
	// RoundRobin gives connections to the slots in turn; a server of twice the weight has twice as many slots.
	RoundRobin Algorithm = iota
	// LeastConn takes the server with the fewest connections for its weight. Each server has one slot.
	LeastConn
	// Random draws slots of a schedule as RoundRobin has it, and takes the least loaded server for its weight.
	Random
	// Source leads from the client's address to a slot: hash modulo length. waggle/pkg/balance has the hash.
	Source
	// First takes the first server with room. Each server has one slot.
	First
)

// Desired is all that the kernel path should do. It is a complete statement: what is absent is taken away.
type Desired struct {
	// Services that the kernel may take connections for. Two services must not share a bind.
	Services []Service
	// Sockets are the binds of listening sockets that no service stands for. Their connections are left to them, although a
	// wildcard of a service covers the address: the more explicit bind wins, as among sockets, and of equals the socket.
	Sockets []Bind
	// GlobalLimit is the number of places for connections over all services and both paths; while they are taken every SYN
	// falls through (HAProxy's global maxconn). 0 means no limit but the size of the flow table.
	GlobalLimit uint32
}

// Service is a frontend, as the kernel sees it.
type Service struct {
	// ID is chosen by the caller, is not 0, and stays with the service for as long as it exists.
	ID uint32
	// Name appears in log lines and in map dumps; the kernel does not use it.
	Name string
	// Binds are the addresses and ports that clients connect to. They share everything: limit, cursor, counters.
	Binds []Bind
	// Algorithm is how a slot of the schedule is chosen; default RoundRobin.
	Algorithm Algorithm
	// Draws is how many servers Random draws, 1 to MaxDraws; others ignore it.
	Draws uint32
	// Schedule lists server IDs as the Algorithm wants them. Empty: no server is usable, and every SYN falls through.
	// At most MaxSchedule slots, MaxScan for LeastConn and First; each ID must be among Servers.
	Schedule []uint32
	// Servers are all servers that the schedule names. More are allowed.
	Servers []Server
	// Limit is the number of places for connections on both paths; while they are taken SYNs fall through (the
	// frontend's maxconn). 0 means no limit.
	Limit uint32
	// Queued makes every SYN fall through: connections already wait for this service in userspace, and first
	// come is first served.
	Queued bool
	// Logged has Options.OnClose called for each session that ends. It holds for flows that begin from then on.
	Logged bool
	// Retries is how many further attempts there are when a server does not take a connection: because it refuses, or
	// because Timeouts.Connect passes without an answer. Each attempt is a SYN of the client, which so comes a
	// retransmission later; while attempts remain the client hears of no refusal.
	Retries uint32
	// Redispatch lets every so manieth of these attempts go to another server, if there is one that is usable; 0: none.
	Redispatch uint32
	// Timeouts after which the collector forgets a flow of this service.
	Timeouts Timeouts
}

// Bind is an address and port that clients connect to. An unspecified address stands for every address of the
// namespace but loopback and link-local ones (0.0.0.0 for IPv4 ones); it is kept current as addresses come and go. A
// bind of an explicit address is preferred on that address, and 0.0.0.0 to [::]. Addresses of another family than
// that of the service's servers are left to userspace, all of them if servers of both families are named.
type Bind struct {
	netip.AddrPort
	// V6Only makes [::] stand for IPv6 addresses only.
	V6Only bool
}

// Server is one address that a service may send connections to.
type Server struct {
	// ID is chosen by the caller and is not 0. The same ID in two services means the same server, with one Limit and
	// one Addr: those named last count.
	// When its Addr changes, new flows go to the new address and flows of the old one go on.
	ID uint32
	// Name is shown by `bpftool map dump name wg_servers`, cut to 31 bytes.
	Name string
	// Addr is where the server listens.
	Addr netip.AddrPort
	// Limit is the number of places for connections on both paths; while they are taken the server is skipped (the
	// server's maxconn). 0 means no limit.
	Limit uint32
	// Sources are the addresses of ours to connect to it from, of the family of Addr; at most MaxSources. Each one has all
	// source ports again. Those that are not addresses of the namespace now are left out; if none is, its connections go
	// through userspace. Empty: the one that the route to the server names, or more by Options.AllSources.
	Sources []netip.Addr
	// Weight is what LeastConn and Random divide the server's load by; 0 counts as 1.
	Weight uint32
}

// Timeouts are HAProxy's, by the same names (manual, section 4.2). Zero means that the configuration says nothing.
// Activity is payload, SYN or FIN in either direction, never a bare ACK.
type Timeouts struct {
	// Connect is how long a server has to answer. A client that no server has answered in as many attempts as Service.Retries allows, or in
	// the time that these would have, is told so by a RST. What else is in its handshake is kept for as long after its last SYN, and for
	// HalfOpenMin at least, so that the client's retransmissions meet the same server.
	Connect time.Duration
	// Client and Server bound the idle time of an established flow: the smaller one counts. When both are zero
	// a flow may be idle for EstablishedDefault.
	Client, Server time.Duration
	// Tunnel takes the place of Client and Server where it is set.
	Tunnel time.Duration
	// ClientFin and ServerFin take the place of the above once the client, or the server, has sent its FIN.
	ClientFin, ServerFin time.Duration

	retries uint32 // of the service
}

const (
	// HalfOpenMin is the least time for which a flow in its handshake is kept since its last SYN.
	HalfOpenMin = 20 * time.Second
	// EstablishedDefault is how long an established flow without configured timeouts may be idle. It is longer than
	// TCP's own keepalive (7200 s, RFC 9293 section 3.8.4), which IPVS's 900 s famously are not.
	EstablishedDefault = 8000 * time.Second
)
