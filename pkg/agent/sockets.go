package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"waggle/pkg/config"
	"waggle/pkg/runtimeapi"
	"waggle/pkg/sample"
)

// sockets are the listeners beside those of the frontends. One goroutine at a time changes them: the one that runs
// the agent.
type sockets struct {
	a       *Agent
	api     *runtimeapi.Server
	health  net.Listener // nil if the name was taken
	ready   net.Listener // of /healthz and /readyz, nil if they are not wanted
	yield   func()       // has another process answer these; nil until they are answered
	control *runtimeapi.Listener
	stats   []*statsSocket

	tasks *tasks // nil until they are served
}

// statsSocket is one `stats socket` line with its listener.
type statsSocket struct {
	line     config.StatsSocket // without its place
	opened   *runtimeapi.Opened // nil once it is in its place
	listener runtimeapi.Listener
	stop     context.CancelFunc // nil until it is served
}

// openSockets opens the Runtime API's sockets and the health check's. That somebody else has the name
// of the latter is no reason not to balance: another waggle may run in the same network namespace.
func (a *Agent) openSockets() (*sockets, error) {
	global := &a.now().cfg.Global
	s := &sockets{a: a, api: runtimeapi.New(a, runtimeapi.Options{
		MaxClients: global.StatsMaxConn, Idle: global.StatsTimeout, MaxLine: global.BufSize,
		Sessions: a, Tracer: a, Control: control{a}, StartupLogs: a.reloads.logs, Rings: a.rings, Errors: a.malformed, Tables: a.engine.StickTables, Patterns: a.patterns, Loops: a.eventLoops,
	})}
	change, err := s.prepare(a.now().cfg)
	if err != nil {
		return nil, err
	}
	if err := change.commit(); err != nil {
		s.closeStats()
		return nil, err
	}
	if addr := a.opts.HealthAddress; addr != "" {
		if s.ready, err = runtimeapi.ListenBeside(addr); err != nil {
			s.closeStats()
			return nil, fmt.Errorf("--health-address: %w", err)
		}
	}
	if name := a.opts.HealthSocket; name != "" {
		s.openHealth(name)
	}
	return s, nil
}

// patterns are those of the configuration in use.
func (a *Agent) patterns() *sample.References { return a.now().cfg.References }

func (s *sockets) closeStats() {
	for _, o := range s.stats {
		o.listener.Close()
	}
}

func (s *sockets) openHealth(name string) {
	l, err := listenTrusting(name)
	if err != nil {
		s.a.log.Warn("waggle healthcheck will not find this process; --health-socket gives it a name of its own", "err", err)
	} else {
		s.health = l
	}
	l, err = listenControl(name)
	if err != nil {
		s.a.log.Warn("waggle flows and waggle trace will not find this process; --health-socket gives it a name of its own", "err", err)
		return
	}
	s.control = &runtimeapi.Listener{Listener: l, Level: runtimeapi.Operator}
}

// socketChange is the stats sockets of a configuration, of which the new ones are open.
type socketChange struct {
	s      *sockets
	opened []*statsSocket
	next   []*statsSocket
}

// prepare opens the stats sockets that a configuration names and that are not there yet.
func (s *sockets) prepare(cfg *config.Config) (*socketChange, error) {
	c := &socketChange{s: s}
	for _, line := range cfg.Global.StatsSockets {
		pos := line.Pos
		line.Pos = config.Pos{}
		if i := slices.IndexFunc(s.stats, func(o *statsSocket) bool { return o.line == line }); i >= 0 {
			c.next = append(c.next, s.stats[i])
			continue
		}
		o, err := runtimeapi.Open(line, s.listeners())
		if err != nil {
			c.discard()
			return nil, fmt.Errorf("config : [%s] : stats socket: %w", pos, err)
		}
		one := &statsSocket{line: line, opened: o, listener: o.Listener}
		c.opened, c.next = append(c.opened, one), append(c.next, one)
	}
	return c, nil
}

// listeners are those of the stats sockets that are in use.
func (s *sockets) listeners() []runtimeapi.Listener {
	var all []runtimeapi.Listener
	for _, o := range s.stats {
		all = append(all, o.listener)
	}
	return all
}

// discard closes what prepare has opened. Those that are in use stay where they are.
func (c *socketChange) discard() {
	for _, o := range c.opened {
		o.opened.Discard()
	}
}

// commit puts the new sockets in their places, serves them and ends those that are gone, with their clients. An error says that
// one could not be put there; the others are.
func (c *socketChange) commit() error {
	var failed []error
	for _, o := range c.opened {
		if err := o.opened.Place(); err != nil {
			failed = append(failed, err)
		}
		o.opened = nil
	}
	for _, old := range c.s.stats {
		if !slices.Contains(c.next, old) {
			old.stop()
		}
	}
	c.s.stats = c.next
	if c.s.tasks != nil {
		for _, o := range c.opened {
			c.s.serveStats(o)
		}
	}
	return errors.Join(failed...)
}

// serve starts whatever is open; it ends with the tasks' context.
func (s *sockets) serve(t *tasks) {
	s.tasks = t
	if s.health != nil {
		t.run(func(ctx context.Context) { s.a.serveHealth(ctx, s.health) })
	}
	if s.ready != nil {
		yielded, yield := context.WithCancel(t.ctx)
		s.yield = yield
		t.run(func(ctx context.Context) { s.a.serveReadiness(ctx, yielded, s.ready) })
	}
	if s.control != nil {
		t.run(func(ctx context.Context) { _ = s.api.Serve(ctx, []runtimeapi.Listener{*s.control}) })
	}
	for _, o := range s.stats {
		s.serveStats(o)
	}
}

func (s *sockets) serveStats(o *statsSocket) {
	var ctx context.Context
	ctx, o.stop = context.WithCancel(s.tasks.ctx)
	s.tasks.run(func(context.Context) {
		if err := s.api.Serve(ctx, []runtimeapi.Listener{o.listener}); err != nil && !errors.Is(err, context.Canceled) {
			s.a.log.Error("the stats socket has failed", "err", err)
		}
	})
}
