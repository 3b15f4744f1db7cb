package datapath

import (
	"net/netip"
	"time"
)

// MaxSchedule is the longest schedule of a service, in slots. Callers quantise weights that need more.
const MaxSchedule = 4096

// Desired is all that the kernel path should do. It is a complete statement: what is absent is taken away.
type Desired struct {
	// Services that the kernel may take connections for. Two services must not share a bind.
	Services []Service
	// GlobalLimit is the number of concurrent flows over all services from which on every SYN falls through
	// (HAProxy's global maxconn). 0 means no limit but the size of the flow table.
	GlobalLimit uint32
}

// Service is one bind line of a frontend, as the kernel sees it.
type Service struct {
	// ID is chosen by the caller, is not 0, and stays with the service for as long as it exists.
	ID uint32
	// Name appears in log lines and in map dumps; the kernel does not use it.
	Name string
	// Bind is the address and port that clients connect to. An unspecified address stands for every address of the
	// namespace but loopback and link-local ones (0.0.0.0 for IPv4 ones); it is kept current as addresses come and
	// go. A service that binds an address explicitly is preferred on that address, and 0.0.0.0 to [::].
	// Addresses of another family than that of the servers are left to userspace, all of them if servers of
	// both families are named.
	Bind netip.AddrPort
	// V6Only makes [::] stand for IPv6 addresses only.
	V6Only bool
	// Schedule lists server IDs in the order in which connections get them; a cursor walks over it forever.
	// Weights are already in it (a server of twice the weight appears twice as often). Empty: no server is
	// usable, and every SYN falls through. At most MaxSchedule slots; each ID must be among Servers.
	Schedule []uint32
	// Servers are all servers that the schedule names. More are allowed.
	Servers []Server
	// Limit is the number of concurrent flows from which on SYNs fall through (the frontend's maxconn).
	// 0 means no limit.
	Limit uint32
	// Queued makes every SYN fall through: connections already wait for this service in userspace, and first
	// come is first served.
	Queued bool
	// Logged has Options.OnClose called for each session that ends. It holds for flows that begin from then on.
	Logged bool
	// Timeouts after which the collector forgets a flow of this service.
	Timeouts Timeouts
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
	// Limit is the number of concurrent flows from which on the server is skipped (the server's maxconn).
	// 0 means no limit.
	Limit uint32
}

// Timeouts are HAProxy's, by the same names (manual, section 4.2). Zero means that the configuration says nothing.
// Activity is payload, SYN or FIN in either direction, never a bare ACK.
type Timeouts struct {
	// Connect bounds a flow whose handshake has not finished; at least HalfOpenMin is granted, so that
	// the client's retransmissions meet the same server.
	Connect time.Duration
	// Client and Server bound the idle time of an established flow: the smaller one counts. When both are zero
	// a flow may be idle for EstablishedDefault.
	Client, Server time.Duration
	// Tunnel takes the place of Client and Server where it is set.
	Tunnel time.Duration
	// ClientFin and ServerFin take the place of the above once the client, or the server, has sent its FIN.
	ClientFin, ServerFin time.Duration
}

const (
	// HalfOpenMin is the least time for which a flow in its handshake is kept since its last SYN.
	HalfOpenMin = 20 * time.Second
	// EstablishedDefault is how long an established flow without configured timeouts may be idle. It is longer than
	// TCP's own keepalive (7200 s, RFC 9293 section 3.8.4), which IPVS's 900 s famously are not.
	EstablishedDefault = 8000 * time.Second
)
