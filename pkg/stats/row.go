package stats

import (
	"net/netip"
	"time"

	"waggle/pkg/pool"
	"waggle/pkg/unixaddr"
)

// Scope is a set of kinds of objects that statistics are about.
type Scope uint8

// The kinds of objects.
const (
	Frontends Scope = 1 << iota
	Listeners
	Backends
	Servers
)

// Code is the kind's value in the `type` column.
func (s Scope) Code() int {
	switch s {
	case Backends:
		return 1
	case Servers:
		return 2
	case Listeners:
		return 3
	default:
		return 0
	}
}

// Letter names the kind in the typed format.
func (s Scope) Letter() byte { return "FBSL"[s.Code()] }

// Word names the kind in the JSON format.
func (s Scope) Word() string {
	return [...]string{"Frontend", "Backend", "Server", "Listener"}[s.Code()]
}

// Row is one object at one moment: a line of the CSV format.
type Row struct {
	Scope   Scope // one bit
	Proxy   *Proxy
	Mode    pool.Mode
	Now     time.Time
	Totals  pool.Totals
	Legends bool // addresses, cookies and algorithms may be told

	Frontend *pool.Frontend // of a frontend or a listener
	Listener *pool.Listener // of a listener
	Backend  *pool.Backend  // of a backend or a server
	Server   *pool.Server   // of a server
	View     pool.View      // of a server
	Tally    *Tally         // of a backend
}

// Tally is what a backend's servers sum up to.
type Tally struct {
	pool.BackendView
	Active, Backup int // servers that take new sessions, by HAProxy's count
	Up, Total      int
	Weight         int // of the servers that are balanced over, as set by the operator
	States         [len(serverStates)]int
	Checks         map[pool.CheckStatus]int
	Hiding         bool // some servers are left out of this report
}

// Up says whether the backend can take sessions: some server is balanced over, or there is none at all.
func (r *Row) Up() bool { return r.Tally.BackendView.Weight > 0 || r.Tally.Total == 0 }

// Name is the object's name within its proxy, as the `svname` column has it.
func (r *Row) Name() string {
	switch r.Scope {
	case Frontends:
		return "FRONTEND"
	case Backends:
		return "BACKEND"
	case Listeners:
		return r.Listener.Name
	default:
		return r.Server.Name
	}
}

// ID is the object's number within its proxy; 0 for the proxy's own rows.
func (r *Row) ID() int {
	switch r.Scope {
	case Servers:
		return r.Server.ID
	case Listeners:
		return r.Listener.ID
	}
	return 0
}

// ProxyID is the proxy's number.
func (r *Row) ProxyID() int {
	if r.Frontend != nil {
		return r.Frontend.ID
	}
	return r.Backend.ID
}

// ProxyName is the proxy's name.
func (r *Row) ProxyName() string {
	if r.Frontend != nil {
		return r.Frontend.Name
	}
	return r.Backend.Name
}

func (r *Row) sessions() *pool.Gauge {
	switch r.Scope {
	case Frontends:
		return &r.Frontend.Sessions
	case Listeners:
		return &r.Listener.Sessions
	case Backends:
		return &r.Backend.Sessions
	default:
		return &r.Server.Sessions
	}
}

func (r *Row) queue() *pool.Gauge {
	if r.Scope == Backends {
		return &r.Backend.Queue
	}
	return &r.Server.Queue
}

func (r *Row) rate() *pool.Rate {
	switch r.Scope {
	case Frontends:
		return &r.Frontend.SessionRate
	case Backends:
		return &r.Backend.SessionRate
	default:
		return &r.Server.SessionRate
	}
}

func (r *Row) times() *pool.Times {
	if r.Scope == Backends {
		return &r.Backend.Times
	}
	return &r.Server.Times
}

func (r *Row) lastSession() int64 {
	if r.Scope == Backends {
		return r.Backend.LastSession.Load()
	}
	return r.Server.LastSession.Load()
}

// Address is where a server is, or "" while none is known; of a listener where it listens.
func (r *Row) Address() string {
	if r.Scope == Listeners {
		return shownAddr(r.Listener.Addr)
	}
	if !r.View.Addr.Addr().IsValid() {
		return ""
	}
	return shownAddr(netip.AddrPortFrom(r.View.Addr.Addr().Unmap(), r.View.Addr.Port()))
}

// shownAddr is an address as the page and CSV have it: of a unix socket just that it is one, as in HAProxy.
func shownAddr(a netip.AddrPort) string {
	if unixaddr.Is(a.Addr()) {
		return "unix"
	}
	return a.String()
}

// checking says whether checks of the server run: they pause in maintenance.
func (r *Row) checking() bool { return r.View.Checking && !r.View.Admin.Maint() }

// effectiveWeight is the weight that balancing uses.
func (r *Row) effectiveWeight() int {
	if r.View.Admin.Drain() {
		return 0
	}
	return r.View.Weight
}

// usable says whether a server takes new sessions.
func (r *Row) usable() bool {
	return !r.View.Admin.Maint() && r.effectiveWeight() > 0 && (r.View.Op == pool.Running || r.View.Op == pool.Starting)
}

// serverState is a server's state as Prometheus has it: less fine than the status column.
type serverState uint8

const (
	stateDown serverState = iota
	stateUp
	stateMaint
	stateDrain
	stateNoLB
)

// serverStates are the names of the states, in HAProxy's order.
var serverStates = [...]string{stateDown: "DOWN", stateUp: "UP", stateMaint: "MAINT", stateDrain: "DRAIN", stateNoLB: "NOLB"}

func (r *Row) state() serverState {
	switch {
	case r.View.Admin.Maint():
		return stateMaint
	case r.View.Op == pool.Stopped:
		return stateDown
	case r.View.Op == pool.Stopping:
		return stateNoLB
	case r.View.Admin.Drain():
		return stateDrain
	default:
		return stateUp
	}
}

// checkOutcome is the outcome of the last check, marked while another one is under way.
func checkOutcome(r *Row) Value {
	mark := ""
	if r.View.CheckRunning {
		mark = "* "
	}
	return word(mark + r.checkStatus().String())
}

// checkStatus is the outcome of the last check, or "initializing" before the first.
func (r *Row) checkStatus() pool.CheckStatus {
	if r.View.Check.Status == pool.CheckUnknown {
		return pool.CheckInit
	}
	return r.View.Check.Status
}

// agentChecked gives a value for servers whose agent is asked.
func agentChecked(value func(*Row) Value) func(*Row) Value {
	return func(r *Row) Value { return unless(!r.View.AgentChecking, value(r)) }
}

// agentStatus is the outcome of the last agent check, or "initializing" before the first.
func (r *Row) agentStatus() pool.CheckStatus {
	if r.View.Agent.Status == pool.CheckUnknown {
		return pool.CheckInit
	}
	return r.View.Agent.Status
}
