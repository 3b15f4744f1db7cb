// Package agent puts waggle together: it turns a configuration into the pool, starts discovery, health
// checks, both data paths, the statistics and the Runtime API, and ends them in order.
package agent

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/check"
	"waggle/pkg/config"
	"waggle/pkg/datapath"
	"waggle/pkg/offload"
	"waggle/pkg/pool"
	"waggle/pkg/proxy"
	"waggle/pkg/resolver"
	"waggle/pkg/stats"
)

// Options say what to run and how. Config is required.
type Options struct {
	Config  *config.Config
	Files   []string // that Config was read from, for reports
	Version Version

	Datapath         DatapathMode // default DatapathAuto
	Ifaces           []string     // to attach to; empty = all that carry traffic
	FlowMax          uint32       // 0 = the kernel path's default
	PortMin, PortMax uint16       // source ports of the kernel path; 0 = its default
	BPFStats         bool         // measure the time per packet of the kernel path

	HAProxyHold  bool // DNS hold timers exactly as in HAProxy, without waggle's improvements
	SubnetGuard  bool // refuse task addresses outside of every attached subnet
	Loops        int  // event loops; 0 = nbthread, else one for each CPU
	HealthSocket string
	StartupLogs  []string     // what was said about the configuration, a line each
	Logger       *slog.Logger // default slog.Default()
}

// Agent is a balancer that is put together. Run it once.
type Agent struct {
	opts    Options
	log     *slog.Logger
	maxConn int
	loops   int

	pool      *pool.Pool
	engine    *proxy.Engine
	kernel    *kernel
	resolvers []*resolver.Resolver
	checker   *check.Checker
	markedUp  *markedUp
	logs      *logs
	page      *stats.Page
	exporter  *stats.Exporter
	startedAt time.Time
	stopping  atomic.Bool // a soft stop is under way
}

// New builds everything, asks the system's resolver where init-addr says so, binds all listeners and
// loads the kernel path. When it fails nothing is left open.
func New(ctx context.Context, opts Options) (*Agent, error) {
	a := &Agent{opts: opts, log: opts.Logger, startedAt: time.Now()}
	if a.log == nil {
		a.log = slog.Default()
	}
	if a.opts.Datapath == "" {
		a.opts.Datapath = DatapathAuto
	}
	a.maxConn = maxConn(opts.Config)
	a.loops = loops(opts)
	leaveRoom(a.loops)
	cfg := *opts.Config
	cfg.Global.MaxConn = a.maxConn
	a.opts.Config = &cfg

	built, err := build(opts.Config, a.loops, a.maxConn, lookupInitial(ctx, opts.Config, resolver.LibC))
	if err != nil {
		return nil, err
	}
	a.pool = built.pool
	if a.logs, err = openLogs(opts.Config, a.log); err != nil {
		return nil, err
	}
	a.pool.Observe(a.logs.event)
	a.markedUp = newMarkedUp(a.ShutdownServer)
	a.pool.Observe(a.markedUp.observe)
	a.discover(built)
	a.page, a.exporter = stats.NewPage(a), stats.NewExporter(a)
	a.page.Shutdown = a.ShutdownServer
	a.kernel = newKernel(a.pool, offload.Explain(opts.Config), a.logs, a.log)
	if err := a.listen(ctx); err != nil {
		return nil, errors.Join(err, a.logs.close())
	}
	return a, nil
}

// discover prepares what keeps the pool true: resolvers and health checks.
func (a *Agent) discover(b *building) {
	byName := map[string]*resolver.Resolver{}
	for _, section := range a.opts.Config.Resolvers {
		r := resolver.New(section, resolver.Options{
			HAProxyHold: a.opts.HAProxyHold, LocalSubnets: a.localSubnets(), Logger: a.log,
		})
		byName[section.Name] = r
		a.resolvers = append(a.resolvers, r)
	}
	for _, g := range b.groups {
		byName[g.line.Resolvers].Add(g.group, resolver.Want{Prefer: g.line.ResolvePrefer, Nets: g.line.ResolveNet, IgnoreWeight: g.line.IgnoreWeight})
	}
	a.checker = check.New(check.Options{
		Pool: a.pool, SpreadChecks: a.opts.Config.Global.SpreadChecks, MaxSpread: a.opts.Config.Global.MaxSpreadChecks, HAProxyPace: a.opts.HAProxyHold,
	})
	for _, c := range b.checks {
		a.checker.Add(check.SpecOf(c.server, c.backend, c.line, a.nodeName()))
	}
}

// listen opens the sockets first and then the kernel path, which finds them behind it.
func (a *Agent) listen(ctx context.Context) error {
	var err error
	a.engine, err = proxy.New(proxy.Setup{
		Config: a.opts.Config, Pool: a.pool, Loops: a.loops, Logger: a.log,
		Page: a.servePage, Exporter: a.serveExporter, Access: a.logs.access,
	})
	if err != nil {
		return err
	}
	if err := a.engine.Listen(); err != nil {
		return errors.Join(err, a.engine.Close(ctx))
	}
	err = a.kernel.open(ctx, a.opts.Datapath, datapath.Options{
		Ifaces: a.opts.Ifaces, FlowMax: a.opts.FlowMax, PortMin: a.opts.PortMin, PortMax: a.opts.PortMax, Logger: a.log,
		RunTime: a.opts.BPFStats,
	})
	if err != nil {
		return errors.Join(err, a.engine.Close(ctx))
	}
	return nil
}

// Pool returns the domain, for reports and tests.
func (a *Agent) Pool() *pool.Pool { return a.pool }

// Addrs returns the addresses that the frontends listen on.
func (a *Agent) Addrs() []netip.AddrPort { return a.engine.Addrs() }

// maxConn is the process's limit: what was configured, or what the file descriptors allow, two for each
// connection (HAProxy, section 3.2, maxconn).
func maxConn(cfg *config.Config) int {
	if cfg.Global.MaxConn > 0 {
		return cfg.Global.MaxConn
	}
	const reserved = 200 // listeners, epoll, pipes, health checks, maps
	files := openFiles()
	return max(1, (files-reserved)/2)
}

// openFiles raises the soft limit of open files to the hard one, as HAProxy does, and returns it.
func openFiles() int {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 1024
	}
	if l.Cur < l.Max {
		raised := unix.Rlimit{Cur: l.Max, Max: l.Max}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			l = raised
		}
	}
	return int(min(l.Cur, 1<<20))
}

func loops(o Options) int {
	switch {
	case o.Loops > 0:
		return o.Loops
	case o.Config.Global.NbThread > 0:
		return o.Config.Global.NbThread
	}
	return runtime.GOMAXPROCS(0)
}

// leaveRoom gives the Go runtime one more place to run than there are event loops, unless the operator has said how
// many it has. Without a free one it takes that of a loop which sleeps for a few microseconds, and the loop has to
// wait for another when it wakes.
func leaveRoom(loops int) {
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) <= loops {
		runtime.GOMAXPROCS(loops + 1)
	}
}

// nodeName is `node` of the global section, or the host's name.
func (a *Agent) nodeName() string {
	if n := a.opts.Config.Global.Node; n != "" {
		return n
	}
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// tasks are the goroutines that live as long as the agent.
type tasks struct {
	wg     sync.WaitGroup
	ctx    context.Context
	cancel context.CancelFunc
}

func (t *tasks) run(fn func(context.Context)) { t.wg.Go(func() { fn(t.ctx) }) }

// Run balances until ctx ends or a signal says so: SIGUSR1 stops softly, SIGTERM and SIGINT at once.
func (a *Agent) Run(ctx context.Context) error {
	t := &tasks{}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	sockets, err := a.openSockets()
	if err != nil {
		t.cancel()
		return errors.Join(err, a.close())
	}
	signals := catchSignals()
	defer signals.stop()

	a.engine.Start()
	for _, r := range a.resolvers {
		t.run(r.Run)
	}
	t.run(a.checker.Run)
	t.run(a.markedUp.run)
	t.run(func(ctx context.Context) { a.kernel.run(ctx, time.Second) })
	t.run(a.tick)
	sockets.serve(a, t)
	a.log.Info("waggle is ready", "version", a.opts.Version.Version, "frontends", len(a.pool.Frontends),
		"loops", a.loops, "maxconn", a.maxConn, "datapath", a.datapathMode())

	a.wait(ctx, signals)
	t.cancel()
	err = a.close()
	t.wg.Wait()
	return err
}

// tick samples the rates once a second.
func (a *Agent) tick(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			a.pool.Tick()
		}
	}
}

// close ends the data paths, the kernel's first, so that no connection is taken that nobody serves.
func (a *Agent) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	kernelErr := a.kernel.close()
	return errors.Join(kernelErr, a.engine.Close(ctx), a.logs.close())
}

// closePatience bounds the end of the userspace path.
const closePatience = 3 * time.Second

func (a *Agent) datapathMode() string {
	if a.kernel.dp == nil {
		return "off"
	}
	return string(a.kernel.dp.Status().Mode)
}

// sortedKeys returns a map's keys in order, for reports that must not change from one look to the next.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
