// Package agent puts waggle together: it turns a configuration into the pool, starts discovery, health
// checks, both data paths, the statistics and the Runtime API, and ends them in order.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/config"
	"waggle/pkg/datapath"
	"waggle/pkg/pool"
	"waggle/pkg/proxy"
	"waggle/pkg/stats"
)

// MaxSources bounds Options.Sources.
const MaxSources = datapath.MaxSources

// Options say what to run and how. Config is required.
type Options struct {
	Config  *config.Config
	Files   []string // that Config was read from, for reports
	Version Version

	Datapath         DatapathMode // default DatapathAuto
	Ifaces           []string     // to attach to; empty = all that carry traffic
	FlowMax          uint32       // 0 = the kernel path's default
	PortMin, PortMax uint16       // source ports of the kernel path; 0 = its default
	PinDir           string       // where the kernel path is pinned, so that it outlives the process; "" = nowhere
	KeepDatapath     bool         // a stop leaves what is pinned, for a process that follows
	Follows          bool         // an older process is about to be stopped: the kernel path is taken over when it lets go of the pins
	Sources          []netip.Addr // at most MaxSources addresses of each family that the kernel path connects from; empty = the one that the route names
	AllSources       bool         // or all of the interface in the network of the server
	BPFStats         bool         // measure the time per packet of the kernel path

	HAProxyHold  bool // DNS hold timers exactly as in HAProxy, without waggle's improvements
	SubnetGuard  bool // refuse task addresses outside of every attached subnet
	Loops        int  // event loops; 0 = nbthread, else one for each CPU
	HealthSocket string
	// HealthAddress is where /healthz and /readyz are answered by HTTP; "" is nowhere.
	HealthAddress string
	StartupLogs   []string // what was said about the configuration, a line each
	// Load reads the configuration anew for a reload, and returns what was said about it, a line each, also when it
	// cannot be used. nil: there are no reloads.
	Load func() (*config.Config, []string, error)
	// Watch has it loaded anew when the files have changed; nil: only a signal does.
	Watch  *Watch
	Logger *slog.Logger // default slog.Default()
	// LostLines is how many lines of Logger were not written; nil: none ever is lost.
	LostLines func() uint64
}

// Agent is a balancer that is put together. Run it once.
type Agent struct {
	opts  Options
	log   *slog.Logger
	loops int

	current   atomic.Pointer[generation]
	changing  sync.Mutex // held while an operator adds, removes or renames a server, or another generation takes over what there is
	engine    *proxy.Engine
	kernel    *kernel
	markedUp  *markedUp
	sockets   *sockets
	page      *stats.Page
	exporter  *stats.Exporter
	startedAt time.Time
	stopping  atomic.Bool  // a soft stop is under way
	busy      atomic.Int64 // percent of the last second in which the event loops worked
	reloads   reloads
	systemd   *notifier
	signals   *signals
	watch     *watcher       // nil: nobody looks at the files
	lingering sync.WaitGroup // of generations that others have taken the place of
	closed    chan struct{}  // when both paths have ended
	// before is how a process before this one has named things to the kernel path.
	before datapath.Identities
}

// New builds everything, asks the system's resolver where init-addr says so, binds all listeners and
// loads the kernel path. When it fails nothing is left open. From the call on, signals that ask for a soft stop or a reload
// wait for Run.
func New(ctx context.Context, opts Options) (_ *Agent, err error) {
	a := &Agent{opts: opts, log: opts.Logger, startedAt: time.Now(), closed: make(chan struct{}), systemd: newNotifier(), signals: catchSignals()}
	defer func() {
		if err != nil {
			a.signals.stop()
		}
	}()
	if a.log == nil {
		a.log = slog.Default()
	}
	if a.opts.Datapath == "" {
		a.opts.Datapath = DatapathAuto
	}
	a.reloads.note(a.startedAt, opts.StartupLogs, nil)
	a.watch = newWatcher(opts.Watch, a.log)
	a.loops = loops(opts)
	leaveRoom(a.loops)
	saved := readStates(opts.Config, a.log)
	if err := a.readIdentities(); err != nil {
		return nil, err
	}
	g, built, err := a.generation(ctx, opts.Config, saved, func(cfg *config.Config) (*logs, error) { return openLogs(cfg, a.log) })
	if err != nil {
		return nil, err
	}
	a.current.Store(g)
	a.opts.Config = nil // the generation's from now on
	g.pool.Observe(func(e pool.Event) { a.now().logs.event(e) })
	a.markedUp = newMarkedUp(a.ShutdownServer)
	g.pool.Observe(a.markedUp.observe)
	saved.restore(g.pool)
	a.discover(g, built, nil)
	a.page, a.exporter = stats.NewPage(a), stats.NewExporter(a)
	a.page.Shutdown = a.ShutdownServer
	a.kernel = newKernel(g.pool, g.verdicts, g.logs, a.log, a.before)
	a.kernel.sources, a.kernel.keep, a.kernel.follows = opts.Sources, a.keepsDatapath(), opts.Follows
	if err := a.listen(ctx, g); err != nil {
		return nil, errors.Join(err, g.logs.close())
	}
	return a, nil
}

// listen opens the sockets first and then the kernel path, which finds them behind it.
func (a *Agent) listen(ctx context.Context, g *generation) error {
	var err error
	a.engine, err = proxy.New(a.setup(g))
	if err != nil {
		return err
	}
	if err := a.engine.Listen(); err != nil {
		return errors.Join(err, a.engine.Close(ctx))
	}
	if err := a.kernel.open(ctx, a.kernel.plan(), a.opts.Datapath, a.datapathOptions()); err != nil {
		return errors.Join(err, a.engine.Close(ctx))
	}
	a.kernel.begin(g.verdicts)
	return nil
}

func (a *Agent) setup(g *generation) proxy.Setup {
	return proxy.Setup{
		Config: g.cfg, Pool: g.pool, Loops: a.loops, Logger: a.log,
		Page: a.servePage, Exporter: a.serveExporter, Access: g.logs.access, Stopping: a.stopping.Load,
	}
}

func (a *Agent) datapathOptions() datapath.Options {
	patience := time.Duration(0)
	if a.opts.Follows {
		patience = -1 // it is told to stop only when we listen
	}
	return datapath.Options{
		PinPatience: patience,
		Ifaces:      a.opts.Ifaces, FlowMax: a.opts.FlowMax, PortMin: a.opts.PortMin, PortMax: a.opts.PortMax, Logger: a.log,
		RunTime: a.opts.BPFStats, AllSources: a.opts.AllSources, Mode: datapath.Mode(a.opts.Datapath),
		PinDir: a.opts.PinDir, Keep: a.keepsDatapath(),
	}
}

// keepsDatapath tells whether the kernel path goes on when this process ends.
func (a *Agent) keepsDatapath() bool { return a.opts.KeepDatapath && a.opts.PinDir != "" }

// readIdentities finds out how a process before this one has named things to the kernel path.
func (a *Agent) readIdentities() (err error) {
	if a.opts.PinDir == "" || a.opts.Datapath == DatapathOff {
		return nil
	}
	a.before, err = datapath.ReadIdentities(a.opts.PinDir)
	return err
}

// now is the configuration that holds, with all that was made of it.
func (a *Agent) now() *generation { return a.current.Load() }

// Pool returns the domain, for reports and tests. A reload puts another one in its place.
func (a *Agent) Pool() *pool.Pool { return a.now().pool }

// Addrs returns the addresses that the frontends listen on.
func (a *Agent) Addrs() []netip.AddrPort { return a.engine.Addrs() }

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
	return cpus
}

// cpus is how many CPUs the process may use, before the runtime is told to use more of them than there are.
var cpus = runtime.GOMAXPROCS(0)

// leaveRoom gives the Go runtime a place to run for each CPU besides those of the event loops, unless the operator has
// said how many it has. The loops keep theirs while they wait for a moment (loop.Hold), and TLS and HTTP/2 work meanwhile.
func leaveRoom(loops int) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(loops + cpus)
	}
}

// nodeName is `node` of the global section, or the host's name.
func (a *Agent) nodeName() string {
	if n := a.now().cfg.Global.Node; n != "" {
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

func newTasks() *tasks {
	t := &tasks{}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

func (t *tasks) run(fn func(context.Context)) { t.wg.Go(func() { fn(t.ctx) }) }

// Run balances until ctx ends or a signal says so: SIGUSR1 stops softly, SIGTERM and SIGINT at once. SIGUSR2 and SIGHUP
// load the configuration anew.
func (a *Agent) Run(ctx context.Context) error {
	defer a.signals.stop()
	t := newTasks()
	var err error
	if a.sockets, err = a.openSockets(); err != nil {
		t.cancel()
		return errors.Join(err, a.close())
	}
	a.signals.catchAll()

	a.engine.Start()
	a.now().start()
	t.run(a.markedUp.run)
	t.run(func(ctx context.Context) { a.kernel.run(ctx, time.Second) })
	t.run(a.tick)
	if a.watch != nil {
		t.run(a.watch.run)
	}
	a.sockets.serve(t)
	a.log.Info("waggle is ready", "version", a.opts.Version.Version, "frontends", len(a.Pool().Frontends),
		"loops", a.loops, "maxconn", a.now().maxConn, "datapath", a.datapathMode())

	a.systemd.ready(a.summary())
	a.wait(ctx, a.signals)
	t.cancel()
	a.now().stop()
	err = a.close()
	t.wg.Wait()
	return err
}

// summary is a line for people who ask systemd.
func (a *Agent) summary() string {
	text := fmt.Sprintf("%d frontends, %d backends, kernel path %s", len(a.Pool().Frontends), len(a.Pool().Backends), a.datapathMode())
	if _, failure := a.reloads.last(); failure != "" {
		text += "; the last reload failed: " + failure
	}
	return text
}

// tick samples the rates once a second.
func (a *Agent) tick(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	at, idle := time.Now(), a.engine.IdleTime()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			a.Pool().Tick()
			now, all := time.Now(), a.engine.IdleTime()
			a.busy.Store(busyPercent(all-idle, now.Sub(at)*time.Duration(a.loops)))
			at, idle = now, all
		}
	}
}

// busyPercent is the share of a time in which something was not idle.
func busyPercent(idle, whole time.Duration) int64 {
	if whole <= 0 {
		return 0
	}
	return min(max(100-int64(100*idle/whole), 0), 100)
}

// close ends the data paths, the kernel's first, so that no connection is taken that nobody serves.
func (a *Agent) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	kernelErr := a.kernel.close()
	engineErr := a.engine.Close(ctx)
	close(a.closed)
	a.lingering.Wait()
	return errors.Join(kernelErr, engineErr, a.now().logs.close())
}

// closePatience bounds the end of the userspace path.
const closePatience = 3 * time.Second

func (a *Agent) datapathMode() string {
	if a.kernel.path() == nil {
		return "off"
	}
	return string(a.kernel.path().Status().Mode)
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
