package pool

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Waiter is a request that waits until a server of its backend can take it. Grant is called at most
// once, from whichever goroutine freed the place, with no lock held and with a session of the server
// already acquired for the waiter; it must not block. It returns false when the waiter no longer wants
// it, and the place goes to the next one.
type Waiter struct {
	Grant func(Target) bool
	// Priority is its standing among those who wait for the same.
	Priority Priority
	// Stays says that it takes no other server when the one that it wants goes down (force-persist).
	Stays bool
	// Passed is for its log line. It is valid once the waiter is in no queue any more.
	Passed Passed

	in   *line         // nil when it does not wait
	at   int           // its index in there
	want *Server       // nil: any
	due  time.Duration // when it arrived, and the priority's offset
	seq  uint64        // order of arrival in the backend
	from uint64        // served of its line when it joined
}

// Priority is the order of those who wait: by class, the lowest first, then by the time of arrival plus Offset (HAProxy, section
// 4.2, http-request set-priority-class and set-priority-offset).
type Priority struct {
	Class  int
	Offset time.Duration
}

// Passed is how many were served from the queues in which a request waited, of servers and of the backend, from when it came up
// to itself (%sq and %bq; counted as HAProxy 2.6 was seen to).
type Passed struct{ Server, Backend int }

// waitList is a backend's queue, first come first served. Its memory is bounded by the frontends'
// maxconn, since each waiter is one session.
type waitList struct {
	mu  sync.Mutex
	l   line         // those who take any server; those who want one are in that server's line
	n   atomic.Int64 // all who wait, written under mu; lets a release see an empty queue without locking
	seq uint64
	// flags are raised by the length of the queue, so that the kernel path leaves new connections to those who
	// wait. Set before traffic starts.
	flags []*atomic.Int64
}

// add notes that the queue is n longer; mu is held.
func (w *waitList) add(n int64) {
	w.n.Add(n)
	for _, f := range w.flags {
		f.Add(n)
	}
}

// ShareQueues has the length of the queue be part of flags, at once with every change, and of no others any more. Flags that are given up must
// stay valid until it returns.
func (b *Backend) ShareQueues(flags []*atomic.Int64) {
	q := &b.waiting
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.n.Load()
	for _, f := range q.flags {
		f.Add(-n)
	}
	for _, f := range flags {
		f.Add(n)
	}
	q.flags = flags
}

// Acquire takes one session of the server. It returns false when its maxconn is reached, and then the
// caller holds nothing.
func (s *Server) Acquire() bool {
	return s.Sessions.Enter(s.bound())
}

// Take is Acquire for who comes for no server in particular: those who wait for this one are served before.
func (s *Server) Take() bool { return s.Queue.Load() == 0 && s.Acquire() }

// Limit returns how many sessions the server takes now, both paths together: its maxconn, or less while it
// starts slowly. 0 is no limit. [Server.SetLimit] changes it.
func (s *Server) Limit() int { return int(s.limit.Load()) }

// Full says whether all places of the server are taken.
func (s *Server) Full() bool {
	limit := s.bound()
	return limit > 0 && s.Sessions.Taken() >= limit
}

// Admits says whether the server has a place, or room in its queue for those whom leastconn sends there: as much as its maxqueue,
// none without one (as HAProxy 2.6 was seen to do).
func (s *Server) Admits() bool {
	limit := s.bound()
	return limit == 0 || s.Sessions.Taken()+s.Queue.Load() < limit+int64(s.MaxQueue)
}

// Release gives a session back and lets who has waited longest have the place. With minconn as many are let in as the load of
// the backend allows by now, the session that ends included (as HAProxy 2.6 was seen to do).
func (s *Server) Release() {
	s.Sessions.Add(-1)
	if s.limit.Load() > 0 {
		s.Backend.serve(s)
	}
}

// SetKernelSessions replaces the kernel path's part of the server's sessions. When flows have ended,
// requests that wait get their places.
func (s *Server) SetKernelSessions(n int64) {
	before := s.Sessions.Kernel()
	s.Sessions.SetKernel(n)
	if s.limit.Load() > 0 && n < before {
		s.Backend.serve(s)
	}
}

// Wanted is the server whose queue the waiter was in at last, nil for that of the backend. It is valid once the waiter is in no
// queue any more.
func (w *Waiter) Wanted() *Server { return w.want }

// ServeQueue gives places that the kernel path has freed to those who wait, and says whether some still do. Whoever
// shares places with the kernel path calls it again and again while that is so: the kernel tells nobody.
func (b *Backend) ServeQueue() (waiting bool) {
	b.drainQueue()
	return b.waiting.n.Load() > 0
}

// Enqueue makes w wait for a place on any server of the backend. The caller bounds the wait with [Backend.Dequeue].
func (b *Backend) Enqueue(w *Waiter) {
	b.waiting.mu.Lock()
	first := b.join(w, nil)
	b.waiting.mu.Unlock()
	b.pool.wait()
	if first {
		b.drainQueue()
	}
}

// EnqueueFor makes w wait for a place on s and no other server, as long as s is there for it: see [BackendOptions.Requeue]. It
// returns false when the server's queue has reached its maxqueue; w does not wait then.
func (b *Backend) EnqueueFor(w *Waiter, s *Server) bool {
	b.waiting.mu.Lock()
	if s.MaxQueue > 0 && len(s.wanted.heap) >= s.MaxQueue {
		b.waiting.mu.Unlock()
		return false
	}
	first := b.join(w, s)
	b.waiting.mu.Unlock()
	b.pool.wait()
	if b.scatter(s) { // it has become unusable since the caller looked, or has gone
		b.drainQueue()
	} else if first {
		b.serve(s)
	}
	return true
}

// join has w wait. It says whether w is the first in its line: then a place may have come free since the caller looked, and
// nobody was told. For others somebody has looked, and a limit that has grown by those who came is not looked at before a
// session ends (minconn). waiting.mu is held.
func (b *Backend) join(w *Waiter, s *Server) (first bool) {
	q := &b.waiting
	q.seq++
	w.seq, w.due = q.seq, time.Since(b.pool.Started)+w.Priority.Offset
	b.enter(w, s)
	q.add(1)
	return len(w.in.heap) == 1
}

// enter puts w into the line of a server, nil for any; waiting.mu is held.
func (b *Backend) enter(w *Waiter, s *Server) {
	w.want, w.in = s, &b.waiting.l
	if s != nil {
		w.in = &s.wanted
	}
	w.from = w.in.served
	w.in.push(w)
	b.lengthOf(s).Add(1)
}

// leave takes w out of its line; waiting.mu is held.
func (b *Backend) leave(w *Waiter) {
	passed := &w.Passed.Backend
	if w.want != nil {
		passed = &w.Passed.Server
	}
	*passed += int(w.in.served-w.from) + 1
	w.in.remove(w)
	w.in = nil
	b.lengthOf(w.want).Add(-1)
}

// lengthOf is what is shown of a line: a server's, or for nil that of those who take any.
func (b *Backend) lengthOf(s *Server) *Gauge {
	if s == nil {
		return &b.Queue
	}
	return &s.Queue
}

// scatter lets those who want a server that is not there for them take any, in the order of their arrival, and says whether there
// were some: of servers that have left DNS or, as gone have, the backend; and of those that are down or in maintenance if
// [BackendOptions.Requeue] says so.
func (b *Backend) scatter(gone ...*Server) (some bool) {
	q := &b.waiting
	if q.n.Load() == b.Queue.Load() { // nobody wants one
		return false
	}
	up := make(map[*serverLife]bool) // of all that are known
	for _, k := range b.Snapshot().Known {
		up[k.Server.serverLife] = k.Up
	}
	servers := slices.Concat(b.Servers(), gone)
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range servers {
		isUp, known := up[s.serverLife]
		if isUp || known && !b.Requeue {
			continue
		}
		for _, w := range slices.Clone(s.wanted.heap) {
			if !known || !w.Stays {
				b.leave(w)
				b.enter(w, nil)
				some = true
			}
		}
	}
	return some
}

// Dequeue takes w out of the queue. It returns false if w was not in it any more: it has been, or is
// being, granted a server.
func (b *Backend) Dequeue(w *Waiter) bool {
	b.waiting.mu.Lock()
	defer b.waiting.mu.Unlock()
	if w.in == nil {
		return false
	}
	b.leave(w)
	b.waiting.add(-1)
	return true
}

// offer is a place of a server, and who may have it.
type offer struct {
	Target
	anyone bool // also those who take any server
}

// wanted says whether somebody waits for the place.
func (o *offer) wanted(b *Backend) bool {
	return o.anyone && b.Queue.Load() > 0 || o.Server.Queue.Load() > 0
}

// drainQueue hands free places of all servers to waiters.
func (b *Backend) drainQueue() {
	for b.waiting.n.Load() > 0 {
		o, ok := b.acquireAwaited()
		if !ok {
			return
		}
		b.grant(o)
	}
}

// serve hands free places of one server to waiters: whatever its state to those who want no other, as HAProxy does, to the
// others if it is chosen from.
func (b *Backend) serve(s *Server) {
	for b.waiting.n.Load() > 0 {
		o, ok := b.offerOf(s)
		if !ok || !o.wanted(b) || !s.Acquire() {
			return
		}
		b.grant(o)
	}
}

// grant gives the place to the first of those who want it. The queue may turn out to be empty after all: whoever joined it while
// the place was held saw none free, so callers look again once it is given back.
func (b *Backend) grant(o offer) {
	for {
		b.waiting.mu.Lock()
		w := b.next(o)
		if w == nil {
			b.waiting.mu.Unlock()
			o.Server.Sessions.Add(-1)
			return
		}
		in := w.in
		b.leave(w)
		in.served++
		b.waiting.add(-1)
		b.waiting.mu.Unlock()
		if w.Grant(o.Target) {
			return
		}
	}
}

// next is the first of those who want a place, nil for nobody; waiting.mu is held.
func (b *Backend) next(o offer) *Waiter {
	w := o.Server.wanted.first()
	if o.anyone {
		if other := b.waiting.l.first(); w == nil || other != nil && other.before(w) {
			w = other
		}
	}
	return w
}

// offerOf is what a server has to offer; ok is false if it has no address, or has gone.
func (b *Backend) offerOf(s *Server) (o offer, ok bool) {
	snap := b.Snapshot()
	for _, t := range snap.Targets {
		if t.Server.Same(s) {
			return offer{t, true}, true
		}
	}
	for i := range snap.Known {
		if k := &snap.Known[i]; k.Server.Same(s) {
			return offer{k.Target, false}, true
		}
	}
	return offer{}, false
}

// acquireAwaited takes a session of the server with the most room among those that somebody waits for.
func (b *Backend) acquireAwaited() (offer, bool) {
	for {
		best, ok := b.roomiest()
		if !ok {
			return offer{}, false
		}
		if best.Server.Acquire() {
			return best, true
		}
		// Somebody who does not wait has just taken the place: look again, since another server may have come free
		// meanwhile and nobody else would.
	}
}

// roomiest is the server that acquireAwaited takes a session of. Those that are up but not chosen from, such as one that drains,
// are there for those who want no other.
func (b *Backend) roomiest() (best offer, ok bool) {
	most := int64(0)
	consider := func(o offer) {
		if !o.wanted(b) {
			return
		}
		if room := o.Server.room(); room > most {
			best, most = o, room
		}
	}
	snap := b.Snapshot()
	for _, t := range snap.Targets {
		consider(offer{t, true})
	}
	if most == 0 && b.waiting.n.Load() > b.Queue.Load() {
		for i := range snap.Known {
			if k := &snap.Known[i]; k.Up {
				consider(offer{k.Target, false})
			}
		}
	}
	return best, most > 0
}

// room is how many places of the server are free.
func (s *Server) room() int64 {
	if limit := s.bound(); limit > 0 {
		return limit - s.Sessions.Taken()
	}
	return 1 << 32
}
