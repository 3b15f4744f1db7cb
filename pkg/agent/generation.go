package agent

import (
	"context"

	"waggle/pkg/check"
	"waggle/pkg/config"
	"waggle/pkg/offload"
	"waggle/pkg/pool"
	"waggle/pkg/resolver"
)

// generation is a configuration and what belongs to it alone. What lives on when another one takes its place is elsewhere:
// listening sockets and sessions in the engine, flows in the kernel path, states and counters in what pools share.
type generation struct {
	cfg       *config.Config
	maxConn   int // the process's
	pool      *pool.Pool
	verdicts  []offload.Verdict
	logs      *logs
	resolvers []*resolver.Resolver
	names     names
	checker   *check.Checker

	life *tasks // resolvers and checks; nil until they run
}

// generation makes what a configuration asks for, without any effect on what there is. Its servers begin at the addresses
// of saved where init-addr says so. The caller closes its logs.
func (a *Agent) generation(ctx context.Context, read *config.Config, saved savedStates, open func(*config.Config) (*logs, error)) (*generation, *building, error) {
	cfg := *read
	g := &generation{cfg: &cfg, maxConn: maxConn(read)}
	cfg.Global.MaxConn = g.maxConn
	built, err := build(g.cfg, a.loops, g.maxConn, lookupInitial(ctx, g.cfg, resolver.LibC), saved, a.before)
	if err != nil {
		return nil, nil, err
	}
	g.pool, g.verdicts = built.pool, offload.Explain(g.cfg)
	if g.logs, err = open(g.cfg); err != nil {
		return nil, nil, err
	}
	return g, built, nil
}

// discover prepares what keeps the pool true: resolvers and health checks. They go on with what those of the generation
// before know, if there is one.
func (a *Agent) discover(g *generation, b *building, before *generation) {
	g.names.by = map[string]*resolver.Resolver{}
	for _, section := range g.cfg.Resolvers {
		r := resolver.New(section, resolver.Options{
			HAProxyHold: a.opts.HAProxyHold, LocalSubnets: a.localSubnets(), Logger: a.log,
		})
		g.names.by[section.Name] = r
		g.resolvers = append(g.resolvers, r)
	}
	for _, group := range b.groups {
		g.names.add(group)
	}
	g.names.keep()
	if before != nil {
		for _, old := range before.resolvers {
			if r := g.names.by[old.Name()]; r != nil {
				r.Inherit(old)
			}
		}
	}
	g.checker = check.New(check.Options{
		Pool: g.pool, SpreadChecks: g.cfg.Global.SpreadChecks, MaxSpread: g.cfg.Global.MaxSpreadChecks, HAProxyPace: a.opts.HAProxyHold,
	})
	for _, c := range b.checks {
		g.checker.Add(check.SpecOf(c.server, c.backend, c.line, a.nodeName()))
	}
	if before != nil {
		g.checker.Inherit(before.checker)
	}
}

// start begins discovery.
func (g *generation) start() {
	g.life = newTasks()
	for _, r := range g.resolvers {
		g.life.run(r.Run)
	}
	g.life.run(g.checker.Run)
}

// stop ends it, and waits until it has ended.
func (g *generation) stop() {
	if g.life == nil {
		return
	}
	g.life.cancel()
	g.life.wg.Wait()
}
