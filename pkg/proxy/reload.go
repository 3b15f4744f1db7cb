package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"waggle/pkg/balance"
	"waggle/pkg/pool"
)

// Change is a configuration that is ready to take the place of the engine's: its addresses are open, and nothing else has
// changed yet. Whoever has one calls Commit or Discard.
type Change struct {
	e     *Engine
	plan  *plan
	binds []*binding
	moves map[*binding]*binding // from those that are open to those that take their sockets
}

// Prepare makes ready what setup says; of it only Config, Pool and Access count. The pool has yet to take over: nothing
// reads its state before Commit. The error names each address that cannot be had.
//
// Sizes of buffers and the number of loops stay as they are for the life of the engine. One change at a time.
func (e *Engine) Prepare(setup Setup) (*Change, error) {
	pl, err := e.newPlan(setup)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	open := e.binds
	e.mu.Unlock()
	c := &Change{e: e, plan: pl, moves: make(map[*binding]*binding)}
	if c.binds, err = e.bindAll(pl, open); err != nil {
		return nil, err
	}
	taken := make(map[*binding]bool)
	for _, b := range c.binds {
		if b.kept {
			old := find(open, b.key, taken)
			taken[old] = true
			c.moves[old] = b
		}
	}
	return c, nil
}

// Discard closes what Prepare has opened.
func (c *Change) Discard() {
	for _, b := range c.binds {
		b.close()
	}
}

// Commit has all loops stand still, calls during, has the new configuration take effect and lets the loops go on. So
// nobody sees a part of either. Sockets of unchanged addresses stay open, with what waits to be accepted; those of addresses
// that are gone are closed, after what waits there has been accepted. Requests and TCP sessions that are under way end by
// the rules that they began with; a client's connection goes on to the new ones with its next request.
//
// ended is closed when the last session under the old configuration is gone. An error means that a loop does not turn, or
// has stopped: then nothing has changed, and the caller discards.
func (c *Change) Commit(ctx context.Context, during func()) (ended <-chan struct{}, err error) {
	e := c.e
	goOn, err := e.pause(ctx, func(w *worker, index int) { w.apply(c, index) })
	if err != nil {
		return nil, err
	}
	during()
	old := e.plan.Swap(c.plan)
	e.refusals.keep(c.plan)
	c.plan.inherit(old)
	e.mu.Lock()
	e.binds = c.binds
	e.mu.Unlock()
	goOn()
	for _, w := range e.workers { // connections of HTTP/2 come back to the new configuration
		w.loop.Post(w.leaveMuxes)
	}
	old.supersede()
	return old.ended, nil
}

// StandStill has all loops stand still while during runs. An error means that a loop does not turn, or has stopped; then it is
// not called.
func (e *Engine) StandStill(ctx context.Context, during func()) error {
	goOn, err := e.pause(ctx, func(*worker, int) {})
	if err != nil {
		return err
	}
	during()
	goOn()
	return nil
}

// pause has all loops stand still until goOn is called, which returns when each of them has done then.
func (e *Engine) pause(ctx context.Context, then func(w *worker, index int)) (goOn func(), err error) {
	var here, done = make(chan struct{}, len(e.workers)), make(chan struct{}, len(e.workers))
	release := make(chan bool, len(e.workers))
	posted := 0
	for i, w := range e.workers {
		ok := w.loop.Post(func() {
			here <- struct{}{}
			if <-release {
				then(w, i)
				done <- struct{}{}
			}
		})
		if ok {
			posted++
		}
	}
	if err := e.await(ctx, here, posted); err != nil {
		for range posted {
			release <- false // a loop that hangs finds it when it turns again
		}
		return nil, err
	}
	return func() {
		for range e.workers {
			release <- true
		}
		for range e.workers {
			<-done
		}
	}, nil
}

// await returns when every loop is here.
func (e *Engine) await(ctx context.Context, here <-chan struct{}, posted int) error {
	if posted < len(e.workers) {
		return errors.New("the event loops are stopping")
	}
	for n := range posted {
		select {
		case <-here:
		case <-e.done:
			return errors.New("the event loops have stopped")
		case <-ctx.Done():
			return fmt.Errorf("%d of %d event loops do not turn", posted-n, posted)
		}
	}
	return nil
}

// inherit has balancing go on where it is, if it is the same.
func (pl *plan) inherit(old *plan) {
	pl.keepTables(old)
	for name, b := range pl.backends {
		was := old.backends[name]
		if was == nil || was.stats.Identity() != b.stats.Identity() {
			continue
		}
		if algo, ok := b.algo.(balance.Continuer); ok {
			algo.Continue(was.algo)
		}
	}
}

// apply has one loop follow a change; it runs on the loop.
func (w *worker) apply(c *Change, index int) {
	w.listeners = slices.DeleteFunc(w.listeners, func(l *listener) bool {
		next := c.moves[l.at]
		if next == nil {
			l.close()
			return true
		}
		l.move(next)
		return false
	})
	for _, b := range c.binds {
		if b.kept {
			continue
		}
		l := b.in.listeners[index]
		w.listeners = append(w.listeners, l)
		l.fe.stats.SetStatus(pool.FrontendOpen)
		if err := l.start(); err != nil {
			w.e.log.Error("cannot accept connections", "frontend", l.fe.cfg.Name, "error", err)
		}
	}
	for _, l := range w.listeners { // an operator's word lasts
		if err := l.follow(); err != nil {
			w.e.log.Error("cannot follow an operator", "frontend", l.fe.cfg.Name, "error", err)
		}
	}
	for s := w.sessions; s != nil; {
		next := s.next
		if s.phase == reading {
			s.follow()
			if s.orphaned() {
				s.advance() // it goes, if it is idle
			}
		}
		s = next
	}
	w.purge()
	w.resume()
}

// move has a socket accept for another frontend, or for the same one of another configuration.
func (l *listener) move(to *binding) {
	waits := l.waits
	if !l.fe.stats.Same(to.fe.stats) {
		l.hold(nothing)
	}
	l.serve(to)
	l.hold(waits)
	if l.paused {
		l.fe.stats.SetStatus(pool.FrontendFull)
	} else {
		l.fe.stats.SetStatus(pool.FrontendOpen)
	}
}

// orphaned says that nothing accepts for the session's frontend any more where the client came in: its connection ends
// with the request.
func (s *session) orphaned() bool {
	return s.via.fd < 0 || s.via.fe != s.fe && s.via.fe.cfg.HTTP != s.fe.cfg.HTTP
}

// follow has a session, between two requests, go on by the configuration that holds now.
func (s *session) follow() {
	to := s.via.fe
	if to == s.fe || s.orphaned() {
		return
	}
	if g := s.guest; g == nil {
		s.fe.handOver(to)
	} else if g.fe == s.fe { // the first of its streams
		g.fe.handOver(to)
		to.plan.enter()
		g.fe.plan.leave()
		g.fe = to
	}
	to.plan.enter()
	s.fe.plan.leave()
	s.fe = to
}

// handOver moves a session's place to another frontend.
func (f *frontend) handOver(to *frontend) {
	if !to.stats.Same(f.stats) {
		to.stats.Sessions.Add(1)
		f.stats.Sessions.Add(-1)
	}
}
