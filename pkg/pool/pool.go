package pool

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Pool is all frontends and backends of one configuration.
//
// Frontends and backends are added before traffic starts and never removed; a reload builds a new Pool, which takes
// over from the old one: [Pool.TakeOver]. So what the configuration says never changes in a Pool, a Frontend, a
// Backend or a Server, and is read without locks; what lives longer than a configuration is shared by those of the same
// name, by a pointer.
// Servers may come and go while traffic runs: [Backend.AddDynamic], [Backend.RemoveDynamic].
type Pool struct {
	Frontends []*Frontend
	Backends  []*Backend

	nextID int
	*poolLife
}

// poolLife is what the pools of all configurations of a process share.
type poolLife struct {
	Started time.Time

	// Process counts what belongs to no frontend: its gauge is the process-wide connection count that
	// the global maxconn bounds.
	Process struct {
		Conns    Gauge
		ConnRate Rate
		SessRate Rate
		ReqRate  Rate
		OutRate  Rate // bytes to clients
		TLS      TLSRates
		// CompIn and CompOut are bytes of responses before and after compression, CompLimit what may be compressed in a
		// second, 0 for no limit.
		CompIn, CompOut Rate
		CompLimit       atomic.Int64
	}

	limit   atomic.Int64
	holds   holds
	writers int

	changed atomic.Pointer[chan struct{}]
	waiting chan struct{}

	mu        sync.Mutex
	observers []*observer
	lastKey   uint32
	freeKeys  []uint32
	keyOf     func(backend, server string) uint32 // nil: no server had one before
}

type observer struct{ fn func(Event) }

// New returns an empty pool whose counters have a shard for the kernel path and one for each of loops
// event loops.
func New(loops int) *Pool {
	p := &Pool{nextID: firstProxyID, poolLife: &poolLife{Started: time.Now(), writers: loops + 1, waiting: make(chan struct{}, 1)}}
	ch := make(chan struct{})
	p.changed.Store(&ch)
	return p
}

// firstProxyID is the iid that HAProxy gives to the first proxy of a file (measured on 2.6).
const firstProxyID = 2

// Observe adds a function that is told of every event from now on, for each backend in the order of
// the changes. It runs on a goroutine that makes a change, without locks held, and must not block. The observer
// stays when another pool takes over; stop ends it.
func (p *poolLife) Observe(fn func(Event)) (stop func()) {
	o := &observer{fn}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.observers = append(p.observers[:len(p.observers):len(p.observers)], o)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.observers = slices.DeleteFunc(slices.Clone(p.observers), func(other *observer) bool { return other == o })
	}
}

// RememberKeys has servers get the Key that they had in a process before this one, by keyOf, which returns 0 for those that
// had none; these get one above all that were given. It is to be called before any server is added.
func (p *poolLife) RememberKeys(keyOf func(backend, server string) uint32, given uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keyOf, p.lastKey = keyOf, given
}

// SkipKeys has servers that come from now on get a Key above n, or one that was recycled, and returns the highest one that was given.
func (p *poolLife) SkipKeys(n uint32) (given uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	given = p.lastKey
	p.lastKey = max(given, n)
	return given
}

// keyFor returns the Key of a server that is there from the start.
func (p *poolLife) keyFor(backend, server string) uint32 {
	if p.keyOf != nil {
		if key := p.keyOf(backend, server); key != 0 {
			return key
		}
	}
	return p.takeKey()
}

// takeKey returns a number that no server has.
func (p *poolLife) takeKey() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.freeKeys); n > 0 {
		key := p.freeKeys[n-1]
		p.freeKeys = p.freeKeys[:n-1]
		return key
	}
	p.lastKey++
	return p.lastKey
}

// Recycle lets a later server have the Key of one that is gone for good: no session, no kept connection and no flow
// of the kernel path has to do with it any more.
func (p *poolLife) Recycle(s *Server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.freeKeys = append(p.freeKeys, s.Key)
}

// Changed returns a channel that is closed at the next change of any snapshot. A reader takes the
// channel first and reads the state after it, so no change is missed.
func (p *poolLife) Changed() <-chan struct{} { return *p.changed.Load() }

func (p *poolLife) signal() {
	ch := make(chan struct{})
	close(*p.changed.Swap(&ch))
}

// Waiting returns a channel that receives whenever a request has begun to wait for a place. It is for one reader.
func (p *poolLife) Waiting() <-chan struct{} { return p.waiting }

func (p *poolLife) wait() {
	select {
	case p.waiting <- struct{}{}:
	default: // the reader has yet to look
	}
}

func (p *poolLife) emit(events []Event) {
	if len(events) == 0 {
		return
	}
	p.mu.Lock()
	observers := p.observers
	p.mu.Unlock()
	for _, e := range events {
		for _, o := range observers {
			o.fn(e)
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

// SkipRates leaves what was counted so far out of the rates: it was counted by a process before this one.
func (p *Pool) SkipRates() {
	for _, f := range p.Frontends {
		t := f.Counters.all()
		f.SessionRate.last, f.ConnRate.last, f.RequestRate.last = t.Sessions, t.Connections, t.Requests
	}
	for _, b := range p.Backends {
		b.SessionRate.last = b.Counters.all().Sessions
		for _, s := range b.Servers() {
			s.SessionRate.last = s.Counters.all().Sessions
		}
	}
}

// Tick samples all rates and moves servers on that start slowly. The owner calls it once a second, from one goroutine.
func (p *Pool) Tick() {
	var conns, sessions, reqs, out, compIn, compOut uint64
	for _, f := range p.Frontends {
		t := f.Counters.all()
		f.SessionRate.tick(t.Sessions)
		f.Trend.add(f.Sessions.Load(), f.SessionRate.Cur())
		f.ConnRate.tick(t.Connections)
		f.RequestRate.tick(t.Requests)
		f.outRate.tick(t.BytesOut)
		f.compIn.tick(t.CompIn)
		f.compOut.tick(t.CompOut)
		// The sum of rates, and not the rate of the sum: totals leave with frontends that a reload takes away.
		conns += f.ConnRate.Cur()
		sessions += f.SessionRate.Cur()
		reqs += f.RequestRate.Cur()
		out += f.outRate.Cur()
		compIn += f.compIn.Cur()
		compOut += f.compOut.Cur()
	}
	p.Process.ConnRate.set(conns)
	p.Process.SessRate.set(sessions)
	p.Process.ReqRate.set(reqs)
	p.Process.OutRate.set(out)
	p.Process.CompIn.set(compIn)
	p.Process.CompOut.set(compOut)
	p.tickTLS()
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
