package proxy

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// SessionInfo is one session of the userspace path as it was when the loop that serves it looked.
type SessionInfo struct {
	ID                        uint64 // no two sessions of a process have the same
	Frontend, Backend, Server string // "" for none
	Client, Front, Back, Task netip.AddrPort
	HTTP                      bool
	Phase                     string        // what the session is doing
	Age                       time.Duration // of the client's connection
	Expires                   time.Duration // until the client's or the server's timeout; negative: none runs
	Requests, Retries         int
	Status                    int    // of the response; 0 if there is none yet
	Line                      string // the request line, where it is kept for the log
	BytesIn, BytesOut         int64  // from and to the client
	Buffered                  [4]int // bytes that wait: from the client, to it, from the server, to it
}

// phaseNames are for people.
var phaseNames = [...]string{
	ended: "ended", greeting: "proxy-header", inspecting: "inspect", reading: "request", gathering: "body", serving: "service", queued: "queue",
	checking: "password", tarpitting: "tarpit", pausing: "retry-pause", connecting: "connect", exchanging: "exchange", replying: "reply",
	tunneling: "tunnel", draining: "drain", lingering: "linger",
}

// String returns the phase's name.
func (p phase) String() string { return phaseNames[p] }

// loopBits is how many bits of a session's number tell its loop.
const loopBits = 10

// idMark tells the numbers of our sessions from those of the kernel path's flows.
const idMark = 1 << 63

// name gives the session a number that no other one has or had.
func (s *session) name() {
	s.w.named++
	s.id = idMark | s.w.named<<loopBits | uint64(s.w.shard)
	s.begun = s.w.loop.Now()
}

// Inspect calls yield for each session until it returns false: loop by loop, as each was when it looked. An error says that a
// loop does not answer.
func (e *Engine) Inspect(ctx context.Context, yield func(SessionInfo) bool) error {
	for _, w := range e.workers {
		var all []SessionInfo
		err := e.visit(ctx, w, func() {
			for s := w.sessions; s != nil; s = s.next {
				if s.phase != ended && s.fe != nil {
					s.wake()
					all = append(all, s.info())
					s.rest()
				}
			}
		})
		if err != nil {
			return err
		}
		for _, i := range all {
			if !yield(i) {
				return nil
			}
		}
	}
	return nil
}

// visit runs fn on a loop and waits for it. fn may not run at all after an error, or run later. A loop that a soft stop has left no
// session has ended: there is nothing to see.
func (e *Engine) visit(ctx context.Context, w *worker, fn func()) error {
	done := make(chan struct{})
	if !w.loop.Post(func() { fn(); close(done) }) {
		return nil
	}
	select {
	case <-done: // also if the loop ends after that
		return nil
	case <-ctx.Done():
		return fmt.Errorf("an event loop does not turn: %w", ctx.Err())
	}
}

// ShutdownSession ends the session with this number; false if there is none.
func (e *Engine) ShutdownSession(ctx context.Context, id uint64) (found bool, err error) {
	for _, w := range e.workers {
		if uint64(w.shard) != id&(1<<loopBits-1) {
			continue
		}
		var hit bool
		err := e.visit(ctx, w, func() {
			w.endIf('K', func(s *session) bool {
				hit = hit || s.id == id
				return s.id == id
			})
		})
		if err != nil {
			return false, err
		}
		return hit, nil
	}
	return false, nil
}

func (s *session) info() SessionInfo {
	i := SessionInfo{
		ID: s.id, Frontend: s.fe.cfg.Name, Client: s.src, Front: s.Dst(), HTTP: s.fe.cfg.HTTP, Phase: s.phase.String(),
		Age: s.w.loop.Now() - s.begun, Expires: -1, Requests: s.requests, Retries: s.retries, Status: max(s.status, 0),
		BytesIn: s.client.got, BytesOut: s.client.taking(),
	}
	i.Buffered[0], i.Buffered[1] = s.client.in.len(), s.client.out.len()
	for _, d := range []time.Duration{s.w.loop.Left(&s.clientTimer), s.w.loop.Left(&s.serverTimer)} {
		if d >= 0 && (i.Expires < 0 || d < i.Expires) {
			i.Expires = d
		}
	}
	if s.clock.head > 0 {
		i.Line = string(s.line)
	}
	if s.be != nil {
		i.Backend = s.be.cfg.Name
	}
	if t := s.target.Server; t != nil {
		i.Server, i.Task = t.Name, s.target.Addr
	}
	if l := s.link; l != nil {
		i.Back = l.source()
		i.Buffered[2], i.Buffered[3] = l.in.len(), l.out.len()
	}
	return i
}
