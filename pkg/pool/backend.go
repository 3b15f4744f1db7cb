package pool

import (
	"sync"
	"sync/atomic"
	"time"
)

// BackendOptions is what the configuration says about a backend.
type BackendOptions struct {
	Name       string
	Mode       Mode
	FullConn   int  // `slim` of the backend
	AllBackups bool // option allbackups
	// Requeue has those who wait for a server that goes down take any other (option redispatch without option persist).
	Requeue bool
	Listen  bool // a listen section, which HAProxy calls a proxy
}

// Backend is a set of servers and the queue in front of them. Its exported fields are safe for
// concurrent use as their types say; ID and the options never change.
type Backend struct {
	BackendOptions
	ID int // iid

	groups []*Group // guarded by mu; replaced, never changed in place
	*backendLife
}

// backendLife is what the backends of one name have in common over all configurations.
type backendLife struct {
	Sessions    Gauge
	SessionRate Rate
	Queue       Gauge // requests that wait for any server; others are in the queue of the one that they want
	Counters    Counters
	Times       Times
	Latency     Latencies // of the userspace path
	LastSession UnixSeconds
	Trend       Trend
	TLS         TLS // with servers

	pool     *poolLife
	waiting  waitList
	snapshot atomic.Pointer[Snapshot]

	mu         sync.Mutex
	inUse      *Backend  // of the configuration that holds
	servers    []*Server // only ever appended to, or replaced: readers keep what they have
	allBackups bool
	hasUp      bool
	changed    time.Time
	downs      uint64
	downtime   time.Duration
	unsent     []Event // committed, not yet told to the observers
	telling    bool    // a goroutine is telling them
}

// UnixSeconds is a time that the hot path stores and reports read; 0 means never.
type UnixSeconds struct{ v atomic.Int64 }

// Set stores a time in Unix seconds.
func (u *UnixSeconds) Set(sec int64) {
	if u.v.Load() != sec {
		u.v.Store(sec)
	}
}

// Load returns the time in Unix seconds, 0 for never.
func (u *UnixSeconds) Load() int64 { return u.v.Load() }

// AddBackend adds a backend. It must be called before traffic starts.
func (p *Pool) AddBackend(o BackendOptions) *Backend {
	b := &Backend{BackendOptions: o, ID: p.takeID(), backendLife: &backendLife{
		Counters: newCounters(p.writers), Latency: newLatencies(p.writers), pool: p.poolLife, allBackups: o.AllBackups, changed: time.Now(),
	}}
	b.inUse = b
	b.publish()
	p.Backends = append(p.Backends, b)
	return b
}

// former says whether another configuration has taken the place of b's. What still works for b's, such as a check that was
// under way, decides nothing any more. The lock is held.
func (b *Backend) former() bool { return b.inUse != b }

// AddListen adds the frontend and the backend of a `listen` section; they share one id.
func (p *Pool) AddListen(name string, mode Mode, maxConn int, o BackendOptions) (*Frontend, *Backend) {
	f, b := p.AddFrontend(name, mode, maxConn), p.AddBackend(o)
	b.ID = f.ID
	p.nextID--
	return f, b
}

// AddServer adds a server after those already there. It must be called before traffic starts. A server
// with a literal address is up at once, as HAProxy has it: health is at rise, so that the first failed
// check takes it down. One with a name to resolve starts in maintenance until [Backend.Resolve].
func (b *Backend) AddServer(o ServerOptions) *Server {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.newServer(o, len(b.servers)+1, b.pool.keyFor(b.Name, o.Name))
	b.servers = append(b.servers, s)
	b.hasUp = b.hasUp || s.usable()
	b.publish()
	return s
}

// newServer makes a server, which is not yet in the backend.
func (b *Backend) newServer(o ServerOptions, id int, key uint32) *Server {
	now := time.Now()
	s := &Server{ServerOptions: o, ID: id, Backend: b, serverLife: &serverLife{Key: key, Counters: newCounters(b.pool.writers)}}
	if s.ErrorLimit == 0 {
		s.ErrorLimit = defaultErrorLimit
	}
	s.state = serverState{weight: o.Weight, maxConn: o.MaxConn, warmth: WeightScale, op: Running, health: s.initialHealth(), agentHealth: 1, agentAt: o.AgentAt, changed: now, addrSince: now}
	if !s.healthy() {
		s.state.op = Stopped
	}
	s.setLimit()
	s.state.addr = o.Addr
	if !o.Addr.Addr().IsValid() {
		s.state.admin |= ResolutionMaint
		s.state.op = Stopped
	}
	if o.Disabled {
		s.state.admin |= ConfigMaint
		s.state.op = Stopped
	}
	return s
}

// Servers returns the servers as they are now: those of the configuration in its order, then those that
// were added later. The slice must not be changed.
func (b *Backend) Servers() []*Server {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.servers[:len(b.servers):len(b.servers)]
}

// BackendView is a consistent copy of a backend's state.
type BackendView struct {
	Up             bool // at least one server may take sessions
	Weight         int  // of the servers that balancing chooses from
	Active, Backup int  // servers that are up
	LastChange     time.Time
	Downs          uint64
	Downtime       time.Duration
}

// View returns the backend's state at this moment.
func (b *Backend) View() BackendView {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := BackendView{Up: b.hasUp || len(b.servers) == 0, LastChange: b.changed, Downs: b.downs, Downtime: b.downtime}
	v.Active, v.Backup = b.count()
	for _, t := range b.snapshot.Load().Targets {
		v.Weight += t.Weight
	}
	if !v.Up {
		v.Downtime += time.Since(b.changed)
	}
	return v
}

// count returns how many servers are up, active and backup.
func (b *Backend) count() (active, backup int) {
	for _, s := range b.servers {
		switch {
		case !s.usable():
		case s.Backup:
			backup++
		default:
			active++
		}
	}
	return active, backup
}
