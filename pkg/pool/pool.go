package pool

import (
	"sync"
	"sync/atomic"
	"time"
)

// Pool is all frontends and backends of one configuration.
//
// Frontends and backends are added before traffic starts and never removed; a reload builds a new Pool.
// Servers may come and go while traffic runs: [Backend.AddDynamic], [Backend.RemoveDynamic].
type Pool struct {
	Started   time.Time
	Frontends []*Frontend
	Backends  []*Backend

	// Process counts what belongs to no frontend: its gauge is the process-wide connection count that
	// the global maxconn bounds.
	Process struct {
		Conns    Gauge
		ConnRate Rate
		SessRate Rate
		ReqRate  Rate
	}

	limit   atomic.Int64
	writers int
	nextKey atomic.Uint32
	nextID  int

	changed atomic.Pointer[chan struct{}]
	waiting chan struct{}

	mu        sync.Mutex
	observers []func(Event)
}

// New returns an empty pool whose counters have a shard for the kernel path and one for each of loops
// event loops.
func New(loops int) *Pool {
	p := &Pool{Started: time.Now(), writers: loops + 1, nextID: firstProxyID, waiting: make(chan struct{}, 1)}
	ch := make(chan struct{})
	p.changed.Store(&ch)
	return p
}

// firstProxyID is the iid that HAProxy gives to the first proxy of a file (measured on 2.6).
const firstProxyID = 2

// Observe adds a function that is told of every event from now on, for each backend in the order of
// the changes. It runs on a goroutine that makes a change, without locks held, and must not block.
func (p *Pool) Observe(fn func(Event)) {
	p.mu.Lock()
	p.observers = append(p.observers, fn)
	p.mu.Unlock()
}

// Changed returns a channel that is closed at the next change of any snapshot. A reader takes the
// channel first and reads the state after it, so no change is missed.
func (p *Pool) Changed() <-chan struct{} { return *p.changed.Load() }

func (p *Pool) signal() {
	ch := make(chan struct{})
	close(*p.changed.Swap(&ch))
}

// Waiting returns a channel that receives whenever a request has begun to wait for a place. It is for one reader.
func (p *Pool) Waiting() <-chan struct{} { return p.waiting }

func (p *Pool) wait() {
	select {
	case p.waiting <- struct{}{}:
	default: // the reader has yet to look
	}
}

func (p *Pool) emit(events []Event) {
	if len(events) == 0 {
		return
	}
	p.mu.Lock()
	observers := p.observers[:len(p.observers):len(p.observers)]
	p.mu.Unlock()
	for _, e := range events {
		for _, fn := range observers {
			fn(e)
		}
	}
}

// Backend returns the backend of that name, or nil.
func (p *Pool) Backend(name string) *Backend {
	for _, b := range p.Backends {
		if b.Name == name {
			return b
		}
	}
	return nil
}

// Frontend returns the frontend of that name, or nil.
func (p *Pool) Frontend(name string) *Frontend {
	for _, f := range p.Frontends {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// Tick samples all rates and moves servers on that start slowly. The owner calls it once a second, from one goroutine.
func (p *Pool) Tick() {
	var conns, sessions, reqs uint64
	for _, f := range p.Frontends {
		t := f.Counters.all()
		f.SessionRate.tick(t.Sessions)
		f.Trend.add(f.Sessions.Load(), f.SessionRate.Cur())
		f.ConnRate.tick(t.Connections)
		f.RequestRate.tick(t.Requests)
		conns += t.Connections
		sessions += t.Sessions
		reqs += t.Requests
	}
	p.Process.ConnRate.tick(conns)
	p.Process.SessRate.tick(sessions)
	p.Process.ReqRate.tick(reqs)
	for _, b := range p.Backends {
		b.warmUp()
		b.SessionRate.tick(b.Counters.all().Sessions)
		b.Trend.add(b.Sessions.Load(), b.SessionRate.Cur())
		for _, s := range b.Servers() {
			s.SessionRate.tick(s.Counters.all().Sessions)
			s.Trend.add(s.Sessions.Load(), s.SessionRate.Cur())
		}
	}
}
