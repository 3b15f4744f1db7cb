package pool

import "sync/atomic"

// Mode is a proxy's mode.
type Mode uint8

// The modes.
const (
	TCP Mode = iota
	HTTP
)

// String returns the mode as the configuration writes it.
func (m Mode) String() string {
	if m == HTTP {
		return "http"
	}
	return "tcp"
}

// FrontendStatus is the state of a frontend's listeners.
type FrontendStatus uint8

// The states of a frontend; the texts are HAProxy's.
const (
	FrontendOpen FrontendStatus = iota
	FrontendFull
	FrontendStopped
	FrontendPaused
)

// String returns the status as the stats page shows it.
func (s FrontendStatus) String() string { return [...]string{"OPEN", "FULL", "STOP", "PAUSED"}[s] }

// Switch is what an operator wants of a frontend's listeners at run time.
type Switch uint8

// The positions of a switch.
const (
	SwitchedOn  Switch = iota
	SwitchedOff        // `disable frontend`: connections are refused until it is switched on again
	ShutDown           // `shutdown frontend`: for good, until the configuration is loaded anew
)

// Frontend is where sessions come in. Its exported fields are safe for concurrent use as their types
// say; Name, ID, Mode and MaxConn never change, the limit that holds may: [Frontend.Limit].
type Frontend struct {
	Name    string
	ID      int // iid
	Mode    Mode
	MaxConn int // as configured: sessions, both paths together
	MaxRate int // as configured: sessions a second, 0 = any number; see Pace
	// Listeners are the addresses, if they are counted one by one.
	Listeners []*Listener

	*frontendLife
}

// frontendLife is what the frontends of one name have in common over all configurations.
type frontendLife struct {
	Sessions    Gauge
	SessionRate Rate
	ConnRate    Rate
	RequestRate Rate
	outRate     Rate // bytes to clients
	compIn      Rate // bytes that were compressed
	compOut     Rate
	Counters    Counters
	Trend       Trend
	TLS         TLS // with clients

	// Pace bounds the sessions in a second (rate-limit sessions).
	Pace Pace

	held   atomic.Int64
	flag   *atomic.Int64 // see ShareHold; the pool's holds guard it
	limit  atomic.Int64
	status atomic.Uint32
	wanted atomic.Uint32 // a Switch
	pool   *poolLife
	path   atomic.Pointer[Path]
}

// Path says which data path serves a frontend.
type Path struct {
	Kernel bool
	Reason string // why, in a sentence for people
}

// AddFrontend adds a frontend. It must be called before traffic starts.
func (p *Pool) AddFrontend(name string, mode Mode, maxConn int) *Frontend {
	f := &Frontend{Name: name, ID: p.takeID(), Mode: mode, MaxConn: maxConn, frontendLife: &frontendLife{Counters: newCounters(p.writers), pool: p.poolLife}}
	f.limit.Store(int64(maxConn))
	f.SetPath(Path{Reason: "userspace"})
	p.Frontends = append(p.Frontends, f)
	return f
}

// LimitRate sets how many sessions the frontend takes in a second, as configured; 0 is any number. It must be called before traffic
// starts.
func (f *Frontend) LimitRate(n int) {
	f.MaxRate = n
	f.Pace.SetLimit(n)
}

func (p *Pool) takeID() int {
	id := p.nextID
	p.nextID++
	return id
}

// Status returns whether the frontend accepts connections.
func (f *Frontend) Status() FrontendStatus {
	switch f.Switch() {
	case SwitchedOff:
		return FrontendPaused
	case ShutDown:
		return FrontendStopped
	}
	return FrontendStatus(f.status.Load())
}

// Switch returns what an operator wants of the listeners.
func (f *Frontend) Switch() Switch { return Switch(f.wanted.Load()) }

// SetSwitch says what an operator wants. The owners of both paths follow: see [Pool.Changed].
func (f *Frontend) SetSwitch(to Switch) {
	f.wanted.Store(uint32(to))
	f.pool.signal()
}

// SetStatus is called by the owner of the listeners.
func (f *Frontend) SetStatus(s FrontendStatus) { f.status.Store(uint32(s)) }

// Path returns which path serves the frontend now.
func (f *Frontend) Path() Path { return *f.path.Load() }

// SetPath is called by the owner of the data paths.
func (f *Frontend) SetPath(p Path) { f.path.Store(&p) }
