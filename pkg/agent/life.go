package agent

import (
	"context"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// signals are those that a balancer answers (HAProxy's management manual, section 4).
type signals struct {
	soft, hard, reload chan os.Signal
}

// catchSignals keeps, from now on, the signals that would be lost during the start, or end it: those that ask for a soft
// stop or a reload. The others end a process that starts, as they should.
func catchSignals() *signals {
	s := &signals{soft: make(chan os.Signal, 1), hard: make(chan os.Signal, 1), reload: make(chan os.Signal, 1)}
	signal.Notify(s.soft, unix.SIGUSR1)
	signal.Notify(s.reload, unix.SIGUSR2, unix.SIGHUP)
	signal.Ignore(unix.SIGPIPE) // which Go has end a process whose log nobody reads any more
	return s
}

// catchAll answers the others, too.
func (s *signals) catchAll() { signal.Notify(s.hard, unix.SIGTERM, unix.SIGINT) }

func (s *signals) stop() {
	signal.Stop(s.soft)
	signal.Stop(s.hard)
	signal.Stop(s.reload)
	signal.Reset(unix.SIGPIPE)
}

// wait returns when the balancer shall end.
func (a *Agent) wait(ctx context.Context, s *signals) {
	for {
		select {
		case <-ctx.Done():
			a.log.Info("stopping")
			return
		case sig := <-s.hard:
			a.log.Info("stopping at once", "signal", sig.String())
			a.systemd.stopping("stopping at once")
			return
		case <-s.soft:
			a.systemd.stopping("stopping softly")
			if !a.grace(ctx, s) {
				return
			}
			a.log.Info("stopping softly: no new connection, those that are open end by themselves")
			a.drain(ctx, s)
			return
		case sig := <-s.reload:
			a.reloadNow(ctx, sig.String())
		case <-a.kernel.again():
			a.takePins(ctx)
		case <-a.kernel.shareAgain():
			a.sharePlaces(ctx)
		case <-a.watch.due():
			a.reloadNow(ctx, "the files have changed")
		}
	}
}

func (a *Agent) reloadNow(ctx context.Context, why string) {
	a.systemd.reloading()
	_ = a.reload(ctx, why) // it is logged and shown
	a.systemd.ready(a.summary())
}

// grace goes on for as long as `grace` says while readiness is off already, so that whoever watches this balancer
// finds another one. It returns false when it is to end at once.
func (a *Agent) grace(ctx context.Context, s *signals) bool {
	d := a.now().cfg.Global.Grace
	if d <= 0 {
		return true
	}
	a.unready()
	a.log.Info("the soft stop begins when the grace time is over", "grace", d.String())
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case sig := <-s.hard:
		a.log.Info("stopping at once", "signal", sig.String())
	case <-ctx.Done():
		a.log.Info("stopping")
	}
	return false
}

// drain stops accepting on both paths and waits until all sessions have ended, for `hard-stop-after` at
// most (unlimited if that is not set), or until a hard stop.
func (a *Agent) drain(ctx context.Context, s *signals) {
	a.unready()
	a.kernel.stop()
	a.engine.SoftStop()
	now := a.now()
	now.logs.stopped(now.cfg, now.pool)
	var deadline <-chan time.Time
	if d := a.now().cfg.Global.HardStopAfter; d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		deadline = timer.C
	}
	poll := time.NewTicker(200 * time.Millisecond)
	defer poll.Stop()
	done := a.engine.Done()
	for done != nil || a.kernel.established() > 0 {
		select {
		case <-done:
			done = nil
		case <-poll.C:
		case <-deadline:
			a.log.Warn("hard-stop-after has passed; the remaining sessions are cut")
			return
		case <-s.hard:
			return
		case <-ctx.Done():
			return
		}
	}
	a.log.Info("all sessions have ended")
}
