package proxy

import (
	"sync/atomic"
	"time"

	"waggle/pkg/accesslog"
	"waggle/pkg/pool"
	"waggle/pkg/proxy/loop"
	"waggle/pkg/proxy/sock"
)

// worker is one event loop with all that only it touches.
type worker struct {
	e         *Engine
	shard     int // its index in every pool.Counters
	loop      *loop.Loop
	calendar  calendar
	buffers   buffers
	pipes     pipes
	idle      idleLinks
	listeners []*listener
	sessions  *session // all that live, linked
	live      int
	clients   atomic.Int64 // connections that it has, or is being given; others look at it
	coming    atomic.Int64 // those of them that another loop has accepted
	named     uint64       // sessions that have been given a number
	took      uint64       // connections of clients
	ended     spare[*session]
	// transactions that no session has
	transactions spare[*transaction]
	tidying      loop.Timer
	guests       map[*guest]struct{} // clients' connections that adapters have, or that speak HTTP/2
	muxes        map[*mux]struct{}   // those that speak HTTP/2
	lanes        spare[*lane]        // that no stream has
	stopping     bool
	killed       bool        // and everything ends at once
	recheck      loop.Timer  // while listeners are paused
	waking       atomic.Bool // resume has been posted
	entry        accesslog.Entry
	text         []byte // scratch memory of rules
	block        []byte // and of heads for HTTP/2
	payload      []byte // and of what is seen of a chunked body: no more than a buffer
	compressor   compressor
}

func newWorker(e *Engine, index int) (*worker, error) {
	l, err := loop.New()
	if err != nil {
		return nil, err
	}
	w := &worker{guests: make(map[*guest]struct{}), muxes: make(map[*mux]struct{}), e: e, shard: index + 1, loop: l, calendar: newCalendar(time.Now)}
	w.buffers.size = e.sizes.bufSize
	w.pipes.max = maxPipes
	w.recheck.Owner = loop.Func(w.resume)
	w.tidying.Owner = loop.Func(w.tidy)
	w.idle.sweep.Owner = loop.Func(w.sweepIdle)
	return w, nil
}

// maxPipes bounds the pipes of a loop: 128 take at most 256 descriptors and, all full, 128 MB.
const maxPipes = 128

// newSession returns a session in no state, with whatever storage an earlier one has left.
func (w *worker) newSession() *session {
	s, ok := w.ended.take()
	if !ok {
		s = &session{w: w}
		s.clientTimer.Owner = s
	}
	s.wake()
	s.next = w.sessions
	if s.next != nil {
		s.next.prev = s
	}
	w.sessions = s
	w.live++
	w.e.live.Add(1)
	return s
}

// retire takes an ended session off the books.
func (w *worker) retire(s *session) {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		w.sessions = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
	s.fe, s.bind, s.via = nil, nil, nil // they would keep a configuration of before
	w.live--
	w.e.live.Add(-1)
	w.ended.put(s)
	w.tidySoon()
	w.maybeStop()
}

// softStop closes the listeners, once what waits in their queues has been accepted, and lets idle clients
// go. It runs on the loop.
func (w *worker) softStop() {
	if w.stopping {
		return
	}
	for _, l := range w.listeners {
		l.close()
	}
	w.stopping = true
	w.loop.Drop(&w.recheck)
	if w.e.accepting.Add(-1) == 0 { // now no loop gives others anything any more
		for _, o := range w.e.workers {
			o.loop.Post(o.maybeStop)
		}
	}
	w.leaveMuxes()
	for s := w.sessions; s != nil; {
		next := s.next
		if s.phase == reading {
			s.advance()
		}
		s = next
	}
	w.maybeStop()
}

// endSessions ends the sessions on servers that which picks; by is the first letter of their termination state: D
// when the server is down, K when an operator wants it.
func (w *worker) endSessions(by byte, which func(*pool.Server) bool) {
	w.endIf(by, func(s *session) bool { return s.transaction != nil && s.target.Server != nil && which(s.target.Server) })
}

func (w *worker) endIf(by byte, which func(*session) bool) {
	for s := w.sessions; s != nil; {
		next := s.next
		if which(s) {
			s.wake()
			s.terminate(by, 'D')
			s.kill()
		}
		s = next
	}
}

// hardStop ends every session at once. It runs on the loop.
func (w *worker) hardStop() {
	w.killed = true
	w.softStop()
	w.evict()
	for w.sessions != nil {
		w.sessions.kill()
	}
	for m := range w.muxes {
		m.die()
	}
}

// maybeStop ends the loop when it is stopping and nothing is left to do.
func (w *worker) maybeStop() {
	if !w.stopping || w.e.accepting.Load() > 0 || w.coming.Load() > 0 {
		return
	}
	if w.live == 0 && len(w.guests) == 0 && len(w.muxes) == 0 {
		w.loop.Stop()
	}
}

// run is the body of the worker's goroutine.
func (w *worker) run() {
	w.loop.Run()
	w.idle.closeAll()
	w.buffers.close()
	w.pipes.close()
}

// closeUnstarted frees what a worker holds that never ran.
func (w *worker) closeUnstarted() {
	for _, l := range w.listeners {
		sock.Close(l.fd)
	}
	w.loop.Close()
}
