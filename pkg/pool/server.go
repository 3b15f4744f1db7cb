package pool

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// ServerOptions is what the configuration says about a server. The zero value is a server of weight 0;
// use [DefaultServerOptions].
type ServerOptions struct {
	Name       string
	FQDN       string         // the name to resolve, empty for a literal address
	Addr       netip.AddrPort // literal address, or only the port when FQDN is set
	MapPort    bool           // to the port that the client connected to, plus PortOffset, instead of Addr's
	PortOffset int            // of MapPort
	Weight     int            // 0..256
	Backup     bool

	Check bool
	Agent bool // agent-check
	// AgentAt is where the agent is at first.
	AgentAt AgentTarget
	// InitState is what a server begins with, and after each maintenance; see [InitState].
	InitState InitState
	// Observe watches traffic; ErrorLimit errors in a row, 10 if it is 0, count as OnError says.
	Observe    Observe
	OnError    OnError
	ErrorLimit int
	// ShutdownBackups ends the sessions of the backup servers when this one comes up (on-marked-up).
	ShutdownBackups  bool
	Source           Source
	UserTimeout      time.Duration // TCP_USER_TIMEOUT of connections to it, 0 = the system's
	NoLinger         bool          // connections to it end with a reset
	SendProxy        int           // version of the PROXY protocol spoken to the server, 0 = none
	LogChecks        bool          // option log-health-checks
	Rise, Fall       int
	MaxConn          int // as configured: concurrent sessions, 0 = unlimited; see [Server.Limit]
	MinConn          int // sessions that it takes when the backend has few: see [Server.bound]; 0 = always MaxConn
	MaxQueue         int // waiting requests, 0 = unlimited
	Cookie           string
	Disabled         bool // starts in maintenance by configuration
	ShutdownSessions bool // on-marked-down shutdown-sessions
	// Slowstart is how long a server that comes back takes to its full weight and maxconn; 0: it has them at once.
	Slowstart time.Duration
	// Wire is all that the configuration says about connections to the server. A connection that is kept open serves on
	// after a reload only if it is the same.
	Wire string
}

// Source is where connections to a server come from. The zero value leaves it to the system.
type Source struct {
	Addr      netip.Addr // invalid or unspecified: the system chooses
	Low, High uint16     // range of ports, both included; 0 and 0: the system chooses
	Interface string     // that they leave by, whatever the routes say; "" = by the routes
}

// DefaultServerOptions returns HAProxy's defaults: weight 1, rise 2, fall 3.
func DefaultServerOptions() ServerOptions {
	return ServerOptions{Weight: 1, Rise: 2, Fall: 3}
}

// Server is one server line, or one slot of a server-template. Its identity never changes; what is
// behind it (the address) may.
type Server struct {
	ServerOptions     // as configured; never changes
	ID            int // sid: position in the backend, from 1; lower ones are used again
	Backend       *Backend

	grouped bool      // discovery decides on its address; guarded by Backend.mu
	tracks  *Server   // whose state this one follows; set before traffic
	trailed []*Server // those that follow this one; set before traffic
	*serverLife
}

// serverLife is what the servers of one name in a backend have in common over all configurations.
type serverLife struct {
	Key uint32 // unique in the process; as a rule it names the server in the kernel's maps, too

	Sessions    Gauge
	SessionRate Rate
	Queue       Gauge
	Idle        Gauge // connections to the server that are kept open for reuse
	Counters    Counters
	Times       Times
	LastSession UnixSeconds
	Trend       Trend

	probing      atomic.Bool  // a check is under way
	asking       atomic.Bool  // an agent check is under way
	errors       atomic.Int64 // in traffic, in a row; see ReportTraffic
	trail        atomic.Pointer[trail]
	limit        atomic.Int64 // see Limit
	most, warmed atomic.Int64 // what limit is made of: maxconn, and how far a slow start has come
	wanted       line         // waiters that take no other server; guarded by Backend.waiting.mu
	state        serverState  // guarded by Backend.mu
}

// serverState is all of a server that changes, as one value, so that a view of it is a copy.
type serverState struct {
	name      string         // in DNS, of an operator; "": ServerOptions.FQDN
	addr      netip.AddrPort // invalid address: no address known
	addrSince time.Time
	leaving   bool // gone from DNS, held as a last resort
	admin     Admin
	op        OpState
	health    int
	weight    int
	maxConn   int           // as the operator has it; see setLimit
	warmth    int           // of WeightScale: how far the server has come in its slow start
	changed   time.Time     // last change between up and down
	downtime  time.Duration // of the finished outages
	downs     uint64        // changes from up to down
	failures  uint64        // failed checks while up
	check     CheckResult
	checked   bool // at least one check has ended
	checkAt   CheckTarget
	unchecked bool // checks are switched off for now

	agent       CheckResult
	agentHealth int // 1 = the agent has not said that the server is down
	agentOff    bool
	agentAt     AgentTarget
	traffic     uint64 // failures that were errors in traffic
}

// CheckTarget is where checks go to instead of the server's own address and port; what is zero is the
// server's own.
type CheckTarget struct {
	Addr netip.Addr
	Port uint16
}

// View is a consistent copy of a server's state.
type View struct {
	FQDN          string // the name that discovery finds it by; "" = none
	Addr          netip.AddrPort
	AddrSince     time.Time
	Leaving       bool
	Admin         Admin
	Op            OpState
	Health        int
	Weight        int
	LastChange    time.Time
	Downtime      time.Duration
	Downs         uint64
	CheckFailures uint64
	Check         CheckResult
	Checked       bool
	Throttle      int // percent of its weight that a starting server has; 0 if it is not starting
	CheckTarget   CheckTarget
	CheckRunning  bool // a check is under way
	Checking      bool // there are checks, and nobody has switched them off

	Agent           CheckResult // of the agent's last check
	AgentHealth     int         // 0 or 1
	AgentChecking   bool        // there are agent checks, and nobody has switched them off
	AgentRunning    bool        // an agent check is under way
	AgentTarget     AgentTarget
	TrafficFailures uint64 // errors in traffic that counted as failed checks
	Tracked         string // backend/server whose state this one follows; "" = none

	Status string // as the stats page shows it: UP, UP 1/3, DOWN, MAINT (resolution), no check …
}

// View returns the server's state at this moment.
func (s *Server) View() View {
	s.Backend.mu.Lock()
	defer s.Backend.mu.Unlock()
	return s.view(time.Now())
}

func (s *Server) view(now time.Time) View {
	st := &s.state
	v := View{
		FQDN: s.name(), Addr: st.addr, AddrSince: st.addrSince, Leaving: st.leaving, Admin: st.admin, Op: st.op,
		Health: st.health, Weight: st.weight, LastChange: st.changed, Downtime: st.downtime,
		Downs: st.downs, CheckFailures: st.failures, Check: st.check, Checked: st.checked,
		CheckTarget: st.checkAt, Checking: s.checking(), CheckRunning: s.probing.Load(),
		Agent: st.agent, AgentHealth: st.agentHealth, AgentChecking: s.asked(), AgentRunning: s.asking.Load(), AgentTarget: st.agentAt,
		TrafficFailures: st.traffic,
		Status:          s.status(),
	}
	if s.tracks != nil {
		v.Tracked = s.tracks.path()
	}
	if st.op == Starting {
		v.Throttle = s.step(now) * 100 / WeightScale
	}
	if st.op == Stopped {
		v.Downtime += now.Sub(st.changed)
	}
	return v
}

// usable says whether new sessions may go to the server at all.
func (s *Server) usable() bool {
	st := &s.state
	return st.addr.Addr().IsValid() && !st.admin.Maint() && !st.admin.Drain() &&
		(st.op == Running || st.op == Starting) && st.weight > 0
}

// checking says whether there are checks, and nobody has switched them off.
func (s *Server) checking() bool { return s.Check && !s.state.unchecked }

// maxHealth is the health of a server whose checks have long passed.
func (s *Server) maxHealth() int { return s.Rise + s.Fall - 1 }

// asked says whether an agent is asked about the server.
func (s *Server) asked() bool { return s.Agent && !s.state.agentOff }

// healthy says whether neither the checks nor the agent say that the server is down.
func (s *Server) healthy() bool {
	return s.state.health >= s.Rise && (!s.asked() || s.state.agentHealth > 0)
}
