package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"waggle/pkg/pool"
)

// FollowSwitch has the listeners of a frontend do what [pool.Frontend.Switch] says, as HAProxy's `disable frontend`, `enable
// frontend` and `shutdown frontend` do, and waits until they have. Connections that stand are not touched.
func (e *Engine) FollowSwitch(ctx context.Context, f *pool.Frontend) error {
	results, asked := make(chan error, len(e.workers)), 0
	for _, w := range e.workers {
		if w.loop.Post(func() { results <- w.followSwitch(f) }) { // otherwise it has ended, and listens to nobody
			asked++
		}
	}
	var errs []error
	for range asked {
		select {
		case err := <-results:
			errs = append(errs, err)
		case <-ctx.Done():
			return fmt.Errorf("an event loop does not turn: %w", ctx.Err())
		}
	}
	if f.Switch() == pool.ShutDown { // a reload opens its addresses anew
		e.mu.Lock()
		e.binds = slices.DeleteFunc(slices.Clone(e.binds), func(b *binding) bool { return b.fe.stats.Same(f) })
		e.mu.Unlock()
	}
	return errors.Join(errs...)
}

// followSwitch runs on the loop.
func (w *worker) followSwitch(f *pool.Frontend) error {
	var errs []error
	for _, l := range w.listeners {
		if l.fe.stats.Same(f) {
			errs = append(errs, l.follow())
		}
	}
	return errors.Join(errs...)
}

// follow has one listener do what an operator wants.
func (l *listener) follow() error {
	want := l.fe.stats.Switch()
	switch {
	case l.fd < 0 || l.w.stopping:
		return nil
	case want == pool.ShutDown:
		l.close()
		return nil
	case want == pool.SwitchedOff && !l.silent:
		l.leaveLoop()
		l.silent = true
		return l.at.in.silence(l.fd)
	case want == pool.SwitchedOn && l.silent:
		if err := l.at.in.resume(l.fd, l.fe.cfg.Backlog); err != nil {
			return err
		}
		l.silent = false
		return l.start()
	}
	return nil
}
