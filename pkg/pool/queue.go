package pool

import (
	"container/list"
	"slices"
	"sync"
	"sync/atomic"
)

// Waiter is a request that waits until a server of its backend can take it. Grant is called at most
// once, from whichever goroutine freed the place, with no lock held and with a session of the server
// already acquired for the waiter; it must not block. It returns false when the waiter no longer wants
// it, and the place goes to the next one.
type Waiter struct {
	Grant func(Target) bool

	elem *list.Element
	in   *list.List // that elem is in
	want *Server    // nil: any
	seq  uint64     // order of arrival in the backend
}

// waitList is a backend's queue, first come first served. Its memory is bounded by the frontends'
// maxconn, since each waiter is one session.
type waitList struct {
	mu sync.Mutex
	l  list.List    // those who take any server; those who want one are in that server's list
	n  atomic.Int64 // all who wait, written under mu; lets a release see an empty queue without locking
	// anyone is the length of l, written under mu.
	anyone atomic.Int64
	seq    uint64
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

// Limit returns how many sessions the server takes now, both paths together: its maxconn, or less while it
// starts slowly. 0 is no limit. [Server.SetLimit] changes it.
func (s *Server) Limit() int { return int(s.limit.Load()) }

// Full says whether all places of the server are taken.
func (s *Server) Full() bool {
	limit := s.bound()
	return limit > 0 && s.Sessions.Taken() >= limit
}

// Release gives a session back and lets the backend's longest waiter have the place.
func (s *Server) Release() {
	s.Sessions.Add(-1)
	if s.limit.Load() > 0 {
		s.Backend.drainQueue()
	}
}

// SetKernelSessions replaces the kernel path's part of the server's sessions. When flows have ended,
// requests that wait get their places.
func (s *Server) SetKernelSessions(n int64) {
	before := s.Sessions.Kernel()
	s.Sessions.SetKernel(n)
	if s.limit.Load() > 0 && n < before {
		s.Backend.drainQueue()
	}
}

// ServeQueue gives places that the kernel path has freed to those who wait, and says whether some still do. Whoever
// shares places with the kernel path calls it again and again while that is so: the kernel tells nobody.
func (b *Backend) ServeQueue() (waiting bool) {
	b.drainQueue()
	return b.waiting.n.Load() > 0
}

// Enqueue makes w wait for a place on any server of the backend, and returns its place in that queue, from 1. The
// caller bounds the wait with [Backend.Dequeue].
func (b *Backend) Enqueue(w *Waiter) (place int64) {
	b.waiting.mu.Lock()
	place = b.join(w, nil)
	b.waiting.mu.Unlock()
	b.joined()
	return place
}

// EnqueueFor makes w wait for a place on s and no other server, as long as s is usable. It returns false when the
// server's queue has reached its maxqueue; w does not wait then. Its place is in the server's queue, from 1.
func (b *Backend) EnqueueFor(w *Waiter, s *Server) (place int64, ok bool) {
	b.waiting.mu.Lock()
	if s.MaxQueue > 0 && s.wanted.Len() >= s.MaxQueue {
		b.waiting.mu.Unlock()
		return 0, false
	}
	place = b.join(w, s)
	b.waiting.mu.Unlock()
	b.scatter(s) // s may have become unusable since the caller looked, or have gone
	b.joined()
	return place, true
}

func (b *Backend) joined() {
	b.Queue.Add(1)
	b.pool.wait()
	b.drainQueue() // a place may have come free since the caller looked
}

// join puts w at the end of a queue and returns the queue's length; waiting.mu is held.
func (b *Backend) join(w *Waiter, s *Server) int64 {
	q := &b.waiting
	q.seq++
	w.seq, w.want, w.in = q.seq, s, &q.l
	if s != nil {
		w.in = &s.wanted
		s.Queue.Add(1)
	} else {
		q.anyone.Add(1)
	}
	w.elem = w.in.PushBack(w)
	q.add(1)
	return int64(w.in.Len())
}

// part takes w out of its queue; waiting.mu is held.
func (b *Backend) part(w *Waiter) {
	w.in.Remove(w.elem)
	if w.want != nil {
		w.want.Queue.Add(-1)
	} else {
		b.waiting.anyone.Add(-1)
	}
	w.elem = nil
	b.waiting.add(-1)
}

// scatter lets those who want a server that is not usable take any, in the order of their arrival. gone are servers that
// are not in the backend any more.
func (b *Backend) scatter(gone ...*Server) {
	if b.waiting.n.Load() == 0 {
		return
	}
	usable := make(map[*Server]bool)
	for _, t := range b.Snapshot().Targets {
		usable[t.Server] = true
	}
	servers := slices.Concat(b.Servers(), gone)
	q := &b.waiting
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range servers {
		at := q.l.Front()
		for !usable[s] && s.wanted.Len() > 0 {
			w := s.wanted.Front().Value.(*Waiter)
			b.part(w)
			for at != nil && at.Value.(*Waiter).seq < w.seq {
				at = at.Next()
			}
			w.want, w.in = nil, &q.l
			if at != nil {
				w.elem = q.l.InsertBefore(w, at)
			} else {
				w.elem = q.l.PushBack(w)
			}
			q.anyone.Add(1)
			q.add(1)
		}
	}
}

// Dequeue takes w out of the queue. It returns false if w was not in it any more: it has been, or is
// being, granted a server.
func (b *Backend) Dequeue(w *Waiter) bool {
	b.waiting.mu.Lock()
	queued := w.elem != nil
	if queued {
		b.part(w)
	}
	b.waiting.mu.Unlock()
	if queued {
		b.Queue.Add(-1)
	}
	return queued
}

// drainQueue hands free places to waiters, oldest first.
func (b *Backend) drainQueue() {
	for b.waiting.n.Load() > 0 {
		t, ok := b.acquireAwaited()
		if !ok {
			return
		}
		if !b.grantNext(t) {
			// The queue was empty after all. Whoever joined it while we held the place saw none free,
			// so look again once it is given back.
			t.Server.Sessions.Add(-1)
		}
	}
}

// next is the oldest of those who wait for t or for any server, nil for nobody; waiting.mu is held.
func (b *Backend) next(t Target) *Waiter {
	var oldest *Waiter
	for _, l := range []*list.List{&b.waiting.l, &t.Server.wanted} {
		if front := l.Front(); front != nil {
			if w := front.Value.(*Waiter); oldest == nil || w.seq < oldest.seq {
				oldest = w
			}
		}
	}
	return oldest
}

// grantNext gives t to the oldest waiter that wants it.
func (b *Backend) grantNext(t Target) bool {
	for {
		b.waiting.mu.Lock()
		w := b.next(t)
		if w == nil {
			b.waiting.mu.Unlock()
			return false
		}
		b.part(w)
		b.waiting.mu.Unlock()
		b.Queue.Add(-1)
		if w.Grant(t) {
			return true
		}
	}
}

// acquireAwaited takes a session of the usable server with the most room among those that somebody waits for.
func (b *Backend) acquireAwaited() (Target, bool) {
	for {
		best, ok := b.roomiest()
		if !ok {
			return Target{}, false
		}
		if best.Server.Acquire() {
			return best, true
		}
		// Somebody who does not wait has just taken the place: look again, since another server may have come free
		// meanwhile and nobody else would.
	}
}

// roomiest is the server that acquireAwaited takes a session of.
func (b *Backend) roomiest() (best Target, ok bool) {
	room := int64(0)
	anyone := b.waiting.anyone.Load() > 0
	for _, t := range b.Snapshot().Targets {
		if !anyone && t.Server.Queue.Load() == 0 {
			continue
		}
		free := int64(1) << 32
		if limit := t.Server.bound(); limit > 0 {
			free = limit - t.Server.Sessions.Taken()
		}
		if free > room {
			best, room = t, free
		}
	}
	return best, room > 0
}
