package pool

import (
	"container/list"
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
}

// waitList is a backend's queue, first come first served. Its memory is bounded by the frontends'
// maxconn, since each waiter is one session.
type waitList struct {
	mu sync.Mutex
	l  list.List
	n  atomic.Int64 // its length, written under mu; lets a release see an empty queue without locking
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

// ShareQueue has the length of the queue added to flag from now on, at once with every change. It must be
// called before traffic starts, and flag must stay valid for as long as the backend is used.
func (b *Backend) ShareQueue(flag *atomic.Int64) { b.waiting.flags = append(b.waiting.flags, flag) }

// Acquire takes one session of the server. It returns false when its maxconn is reached, and then the
// caller holds nothing.
func (s *Server) Acquire() bool {
	return s.Sessions.Enter(s.limit.Load())
}

// Limit returns how many sessions the server takes now, both paths together: its maxconn, or less while it
// starts slowly. 0 is no limit. [Server.SetLimit] changes it.
func (s *Server) Limit() int { return int(s.limit.Load()) }

// Full says whether all places of the server are taken.
func (s *Server) Full() bool {
	limit := s.limit.Load()
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

// Enqueue makes w wait for a place on any server of the backend. The caller bounds the wait with
// [Backend.Dequeue].
func (b *Backend) Enqueue(w *Waiter) {
	b.waiting.mu.Lock()
	w.elem = b.waiting.l.PushBack(w)
	b.waiting.add(1)
	b.waiting.mu.Unlock()
	b.Queue.Add(1)
	b.pool.wait()
	b.drainQueue() // a place may have come free since the caller looked
}

// Dequeue takes w out of the queue. It returns false if w was not in it any more: it has been, or is
// being, granted a server.
func (b *Backend) Dequeue(w *Waiter) bool {
	b.waiting.mu.Lock()
	queued := w.elem != nil
	if queued {
		b.waiting.l.Remove(w.elem)
		b.waiting.add(-1)
		w.elem = nil
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
		t, ok := b.acquireAny()
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

// grantNext gives t to the oldest waiter that wants it.
func (b *Backend) grantNext(t Target) bool {
	for {
		b.waiting.mu.Lock()
		front := b.waiting.l.Front()
		if front == nil {
			b.waiting.mu.Unlock()
			return false
		}
		w := front.Value.(*Waiter)
		b.waiting.l.Remove(front)
		b.waiting.add(-1)
		w.elem = nil
		b.waiting.mu.Unlock()
		b.Queue.Add(-1)
		if w.Grant(t) {
			return true
		}
	}
}

// acquireAny takes a session of the usable server with the most room.
func (b *Backend) acquireAny() (Target, bool) {
	var best Target
	room := int64(0)
	for _, t := range b.Snapshot().Targets {
		free := int64(1) << 32
		if limit := t.Server.limit.Load(); limit > 0 {
			free = limit - t.Server.Sessions.Taken()
		}
		if free > room {
			best, room = t, free
		}
	}
	if room > 0 && best.Server.Acquire() {
		return best, true
	}
	return Target{}, false
}
