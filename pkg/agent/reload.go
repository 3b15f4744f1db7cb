package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/proxy"
)

// LoadError is the first thing that is wrong with a configuration, where Options.Load has said all.
type LoadError string

// Error returns it.
func (e LoadError) Error() string { return string(e) }

// reloads notes how the last attempt to load a configuration went.
type reloads struct {
	mu      sync.Mutex
	at      time.Time // of the last attempt
	failure string    // of the last attempt, in one line; "" for none
	said    []string  // by the last attempt, a line each
}

// note says how an attempt went, the first one included.
func (r *reloads) note(now time.Time, said []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.said, r.failure = now, said, ""
	if err != nil {
		r.failure = strings.Join(lines(err), "; ")
		var told LoadError
		for _, one := range lines(err) {
			if !errors.As(err, &told) { // a LoadError was said
				r.said = append(r.said, fmt.Sprintf("[ALERT]    (%d) : %s", os.Getpid(), one))
			}
		}
	}
}

// last returns when the last attempt was, and what was wrong with it.
func (r *reloads) last() (at time.Time, failure string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at, r.failure
}

// logs is what HAProxy keeps for `show startup-logs`.
func (r *reloads) logs() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out strings.Builder
	for _, line := range r.said {
		out.WriteString(line + "\n")
	}
	return out.String()
}

// Split takes joined errors apart. One that wraps others is left whole, since it says more than they do.
func Split(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // what is inside another one is not asked for
	if !ok {
		return []error{err}
	}
	if errors.Join(joined.Unwrap()...).Error() != err.Error() {
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, Split(one)...)
	}
	return all
}

// lines are the texts of joined errors.
func lines(err error) []string {
	var all []string
	for _, one := range Split(err) {
		all = append(all, one.Error())
	}
	return all
}

// standstill bounds how long a reload waits for the event loops to be ready for it. They are within milliseconds.
const standstill = 2 * time.Second

// reload reads the configuration anew and puts it in the place of the one in use. If anything is wrong with it nothing
// changes. why is for the log.
func (a *Agent) reload(ctx context.Context, why string) error {
	if a.opts.Load == nil {
		return nil
	}
	a.log.Info("loading the configuration anew", "why", why)
	began := time.Now()
	a.watch.note()
	cfg, said, err := a.opts.Load()
	if err == nil {
		err = a.change(ctx, cfg)
	}
	a.reloads.note(time.Now(), said, err)
	if err != nil {
		for _, one := range lines(err) {
			a.log.Error("the configuration was not loaded; the one in use stays", "err", one)
		}
		return err
	}
	a.log.Info("the configuration was loaded", "took", time.Since(began).Round(time.Millisecond).String(), "frontends", len(a.Pool().Frontends))
	return nil
}

// change puts a configuration that was read in the place of the one in use.
func (a *Agent) change(ctx context.Context, cfg *config.Config) error {
	old := a.now()
	g, built, err := a.generation(ctx, cfg, nil, old.logs.next)
	if err != nil {
		return err
	}
	undo := []func(){func() { _ = g.logs.close() }}
	fail := func(err error) error {
		for _, f := range undo {
			f()
		}
		return err
	}
	change, err := a.engine.Prepare(a.setup(g))
	if err != nil {
		return fail(err)
	}
	undo = append(undo, change.Discard)
	control, err := a.sockets.prepare(g.cfg)
	if err != nil {
		return fail(err)
	}
	undo = append(undo, control.discard)
	plan := a.kernel.prepare(g.pool, g.verdicts, g.logs)
	undo = append(undo, func() { a.kernel.discard(plan) })
	if a.kernel.retry == nil && a.kernel.path() == nil {
		if err := a.kernel.open(ctx, plan, a.opts.Datapath, a.datapathOptions()); err != nil {
			return fail(err)
		}
		plan = a.kernel.prepare(g.pool, g.verdicts, g.logs) // a process before this one may have used its ids
	}
	ended, err := a.commit(ctx, g, built, change, plan)
	if err != nil {
		return fail(err)
	}
	if err := control.commit(); err != nil {
		a.log.Error("a stats socket is not where it should be", "err", err)
	}
	a.sayWhatStays(old, g)
	a.lingering.Go(func() { a.outlive(old, ended) })
	a.lingering.Go(func() { a.endRemoved(old, g) })
	return nil
}

// commit is the moment of the change. Discovery goes over to the new generation right after it.
func (a *Agent) commit(ctx context.Context, g *generation, built *building, change *proxy.Change, plan *kernelPlan) (<-chan struct{}, error) {
	old := a.now()
	a.changing.Lock() // what an operator adds or removes is part of the old pool, or of the new one
	defer a.changing.Unlock()
	takeover := g.pool.TakeOver(old.pool)
	still, cancel := context.WithTimeout(ctx, standstill)
	defer cancel()
	var shareErr error
	ended, err := change.Commit(still, func() {
		shareErr = a.kernel.swap(plan, takeover)
		if g.maxConn != old.maxConn {
			g.pool.SetLimit(g.maxConn)
		}
		a.current.Store(g)
		a.discover(g, built, old)
		for _, r := range g.resolvers {
			r.Prime()
		}
	})
	if err != nil {
		if a.kernel.path() != nil && !a.kernel.hasBegun() { // it was opened for what does not come
			a.kernel.noteShared(err)
		}
		return nil, err
	}
	a.kernel.noteShared(shareErr)
	old.stop()
	g.start()
	a.kernel.show(g.verdicts)
	if a.kernel.path() != nil {
		a.kernel.sync()
	}
	return ended, nil
}

// outlive closes what the last sessions of a generation still need, once they are gone on both paths.
func (a *Agent) outlive(g *generation, ended <-chan struct{}) {
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for ended != nil || a.kernel.logsTo(g.logs) {
		select {
		case <-ended:
			ended = nil
		case <-look.C:
		case <-a.closed: // both paths
			a.closeLogs(g)
			return
		}
	}
	a.closeLogs(g)
}

func (a *Agent) closeLogs(g *generation) {
	if err := g.logs.close(); err != nil {
		a.log.Warn("a log of the configuration before could not be closed", "err", err)
	}
}

// sayWhatStays names settings of the process that differ and take a restart.
func (a *Agent) sayWhatStays(old, g *generation) {
	was, is := &old.cfg.Global, &g.cfg.Global
	var names []string
	for _, s := range []struct {
		name string
		same bool
	}{
		{"nbthread", was.NbThread == is.NbThread || a.opts.Loops > 0},
		{"tune.bufsize", was.BufSize == is.BufSize},
		{"tune.maxrewrite", was.MaxRewrite == is.MaxRewrite},
		{"tune.http.maxhdr", was.MaxHdr == is.MaxHdr},
		{"stats timeout", was.StatsTimeout == is.StatsTimeout},
		{"stats maxconn", was.StatsMaxConn == is.StatsMaxConn},
	} {
		if !s.same {
			names = append(names, s.name)
		}
	}
	if len(names) > 0 {
		a.log.Log(context.Background(), slog.LevelWarn, fmt.Sprintf("these settings of the global section take a restart: %s", strings.Join(names, ", ")))
	}
}
