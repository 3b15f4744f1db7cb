package stats

import (
	"time"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// Source gives a view of the balancer. It is called once for each report, from any goroutine.
type Source interface {
	// Snapshot returns a view that the caller may keep. The pool in it is live: its counters move on
	// while they are read, as HAProxy's do.
	Snapshot() *Snapshot
}

// Snapshot is all that a report is made of.
type Snapshot struct {
	Now       time.Time
	Process   Process
	Pool      *pool.Pool // nil is taken for an empty pool
	Proxies   []Proxy    // in file order
	Datapath  Datapath
	Resolvers []Resolvers
	Tables    []StickTable
	// Certificates are those that are shown to clients, by bind line.
	Certificates []Certificates
	// Warnings are conditions that an operator should know of, each one sentence. Surplus tasks and
	// degradations of the kernel path need not be repeated here: they are found in their own places.
	Warnings []string
}

// Process describes the running process. Zero values are shown as unknown or left out.
type Process struct {
	PID       int
	Version   string // waggle's own, e.g. "0.3.0"
	Revision  string // the commit it was built from
	GoVersion string
	Released  time.Time // date of the sources

	Node        string // name of this node: `node` of the global section, or the host's name
	Description string

	Started  time.Time
	Stopping bool

	Loops        int // event loops (`nbthread`)
	MaxConn      int // of the whole process
	MaxFiles     int // RLIMIT_NOFILE
	Listeners    int
	Pipes        Pipes
	Goroutines   int    // all of them
	Runnable     int    // those that wait for a processor
	BusyPercent  int    // share of the last second in which the event loops worked
	Spliced      uint64 // bytes to clients and servers that were never copied
	Memory       Memory
	DroppedLogs  uint64
	WarningCount uint64 // warnings logged since the start

	Config       Config
	Certificates CertificateReloads
	Shortages    Shortages
}

// Shortages tells how often a connection could not be opened for want of descriptors, memory or source ports.
type Shortages struct {
	Accepts  uint64 // times that a client had to wait in the accept queue
	Connects uint64 // connections to servers
	Last     time.Time
}

// CertificateReloads tells how often certificates have changed on disk.
type CertificateReloads struct {
	Loaded, Failed uint64 // Failed: they could not be loaded, and the old ones stay in use
}

// Certificates are those of a bind line.
type Certificates struct {
	Proxy, Bind string
	Count       int
	Expires     time.Time // the first of them
}

// Pipes are what data is spliced through. Each has two open files.
type Pipes struct{ Max, Made, Used int }

// Memory is in bytes.
type Memory struct {
	Total uint64 // that the Go runtime has from the system
	Used  uint64 // of objects on the heap, those included that the collector has not found dead yet
}

// Config tells how the last attempt to load a configuration went.
type Config struct {
	Files    []string
	LoadedAt time.Time // of the last attempt; zero leaves the metrics about it out
	Failed   bool      // the last attempt failed, the configuration before it stays in use
	Failure  string    // what was wrong with it, in one line
}

// Proxy is one section of the configuration with its state. A listen section has both sides.
type Proxy struct {
	Config   *config.Proxy
	Frontend *pool.Frontend // nil if it is a backend
	Backend  *pool.Backend  // nil if it is a frontend
}

// Datapath is the state of the kernel path.
type Datapath struct {
	Mode       string // "tc", "xdp", "xdp-generic" or "off"
	Interfaces []Interface
	Degraded   []string // what does not work as it should, each a sentence
	Reasons    []Reason
	Maps       []MapUse
	// SourcePorts is the budget of each server that the kernel path may connect to.
	SourcePorts []SourcePorts
	// Runs is how often the program has run since it was measured, RunTime how long that took; zero: it is not measured.
	Runs    uint64
	RunTime time.Duration
}

// Interface is a network interface that the program is attached to.
type Interface struct {
	Name   string
	Attach string // "tcx" or "clsact", with "xdp+" in front where XDP is there too
	// WithoutXDP says why XDP is not there; "" if it is.
	WithoutXDP string
}

// Reason counts packets that the program gave to the stack, or dropped, for one named reason.
type Reason struct {
	Name     string // a metric label: lower case, with underscores
	Text     string // one sentence for people
	Count    uint64
	Expected bool // a count above zero is nothing to look into
}

// SourcePorts is how many connections the kernel path can have to a server at the same time, from all its addresses, and how
// many it has, those included that hold their port for up to a minute after their end.
type SourcePorts struct {
	Proxy, Server string
	Used, Max     uint32
}

// MapUse is how full a map of the kernel path is.
type MapUse struct {
	Name         string
	Entries, Max uint64
}

// Resolvers is a resolvers section with the counters of its nameservers.
type Resolvers struct {
	Name        string
	Nameservers []Nameserver
	Events      []NamedCount // what was done beyond HAProxy, each a metric label
}

// StickTable is how full a stick table is.
type StickTable struct {
	Name, Type string
	Used, Size int
}

// Nameserver counts what one nameserver was asked and how it answered.
type Nameserver struct {
	Name                                         string
	Sent, SendErrors, Valid, Update, CNAME       uint64
	CNAMEErrors, AnyErrors, NX, Timeout, Refused uint64
	Other, Invalid, TooBig, Truncated, Outdated  uint64
}

// NamedCount is a counter with the name HAProxy has for it.
type NamedCount struct {
	Name  string
	Value uint64
}

// Counts lists the nameserver's counters in the order and by the names of HAProxy's `show resolvers`.
func (n *Nameserver) Counts() []NamedCount {
	return []NamedCount{
		{"sent", n.Sent}, {"snd_error", n.SendErrors}, {"valid", n.Valid}, {"update", n.Update},
		{"cname", n.CNAME}, {"cname_error", n.CNAMEErrors}, {"any_err", n.AnyErrors}, {"nx", n.NX},
		{"timeout", n.Timeout}, {"refused", n.Refused}, {"other", n.Other}, {"invalid", n.Invalid},
		{"too_big", n.TooBig}, {"truncated", n.Truncated}, {"outdated", n.Outdated},
	}
}

// uptime is how long the process has run.
func (s *Snapshot) uptime() time.Duration {
	if s.Process.Started.IsZero() {
		return 0
	}
	return max(0, s.Now.Sub(s.Process.Started))
}

// ClaimedVersion is the version of HAProxy whose statistics and commands this package speaks.
const ClaimedVersion = "3.2"

// HAProxyVersion is what is said to tools that ask HAProxy for its version: the claimed version first,
// since they parse it from the left, then who is really there.
func (p *Process) HAProxyVersion() string {
	v := ClaimedVersion + "-waggle"
	if p.Version != "" {
		v += "-" + p.Version
	}
	return v
}

// Surplus is a name that has more tasks than slots.
type Surplus struct {
	Proxy string
	Name  string // the name in DNS
	Slots int
	Tasks []string // the addresses that get no traffic
}

// surpluses lists every name of every backend that is resolved into slots, those without a surplus too.
func (s *Snapshot) surpluses() []Surplus {
	var all []Surplus
	for i := range s.Proxies {
		be := s.Proxies[i].Backend
		if be == nil {
			continue
		}
		for _, g := range be.Groups() {
			sp := Surplus{Proxy: be.Name, Name: g.FQDN, Slots: len(g.Servers())}
			for _, a := range g.Surplus() {
				sp.Tasks = append(sp.Tasks, a.Addr().String())
			}
			all = append(all, sp)
		}
	}
	return all
}
