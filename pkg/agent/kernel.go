package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"waggle/pkg/accesslog"
	"waggle/pkg/balance"
	"waggle/pkg/config"
	"waggle/pkg/datapath"
	"waggle/pkg/offload"
	"waggle/pkg/pool"
	"waggle/pkg/trouble"
)

// DatapathMode is the --datapath setting.
type DatapathMode string

// The settings. Auto uses the kernel path if it can be had, and says why if it cannot; TC and XDP make
// that fatal; Off never tries.
const (
	DatapathAuto DatapathMode = "auto"
	DatapathTC   DatapathMode = "tc"
	DatapathXDP  DatapathMode = "xdp"
	// DatapathXDPGeneric is for drivers without XDP.
	DatapathXDPGeneric DatapathMode = "xdp-generic"
	DatapathOff        DatapathMode = "off"
)

// kernel keeps the kernel path equal to the pool and brings its counters home. It is level-triggered:
// each round states all that is desired, so that a missed event heals itself.
type kernel struct {
	log     *slog.Logger
	servers *serverIndex
	keep    bool // a stop leaves the kernel path as it is
	before  datapath.Identities
	opened  time.Time    // the kernel path, before any traffic
	follows bool         // another process, which is about to stop
	retry   *time.Ticker // while another process is asked for the pins; used by who runs the agent
	held    bool         // another process had the pins at the last try
	sharing *time.Ticker // while places cannot be counted on both paths; used by who runs the agent
	placer  placer
	sources []netip.Addr // that servers are connected to from; empty: it is up to the kernel path
	current atomic.Pointer[kernelPlan]
	dp      atomic.Pointer[datapath.Datapath] // nil when the kernel path is not in use

	mu      sync.Mutex        // guards what follows, and the order of Sync calls
	reason  string            // why frontends that could be the kernel's are not
	warning string            // the same, when it was wanted
	ids     map[string]uint32 // of services, by frontend
	leaving []*departedFrontend
	gone    []*departed
	last    datapath.Snapshot
	stopped bool // soft stop: no new connection
	failing bool // the last Sync failed
	// begun tells that both paths share their places, or have tried to; until then nothing is counted that the kernel path has.
	begun     bool
	unshared  trouble.Lasting // of the last try to share them
	retaining []string        // the backends whose names the kernel path is still to be told, see retainBackends; nil: none
}

// service is a frontend that the kernel serves.
type service struct {
	id       uint32
	frontend *pool.Frontend
	backend  *pool.Backend
	verdict  offload.Verdict
	logs     *logs
	index    *serverIndex

	// snapshot is what schedule and servers were made from.
	snapshot *pool.Snapshot
	schedule []uint32
	servers  []datapath.Server
}

// newKernel lists what the kernel path would serve. Nothing is loaded yet.
func newKernel(p *pool.Pool, verdicts []offload.Verdict, logs *logs, log *slog.Logger, before datapath.Identities) *kernel {
	k := &kernel{log: log, servers: &serverIndex{}, ids: make(map[string]uint32), before: before, placer: kernelPlaces}
	plan := k.makePlan(p, verdicts, logs)
	k.current.Store(plan)
	for _, s := range plan.services {
		for _, server := range s.backend.Servers() {
			k.servers.add(server)
		}
	}
	k.show(verdicts)
	return k
}

// plan is what holds now.
func (k *kernel) plan() *kernelPlan { return k.current.Load() }

// path is the kernel path, nil while it is not in use.
func (k *kernel) path() *datapath.Datapath { return k.dp.Load() }

// open loads and attaches the program if any frontend of the plan can use it and it is not there yet. The error is not nil
// only if the mode insists on the kernel path.
func (k *kernel) open(ctx context.Context, p *kernelPlan, mode DatapathMode, opts datapath.Options) error {
	switch {
	case mode == DatapathOff:
		k.fallback("the kernel path is switched off (--datapath=off)", "")
		return nil
	case len(p.services) == 0 || k.path() != nil:
		return nil
	}
	k.held = false
	// Sessions end only after the first Sync, and the kernel path is published by then to the goroutine that asks.
	l := &kernelLog{
		find: func(id uint32) *service { return k.plan().service(id) }, services: func() []*service { return k.plan().services },
		servers: k.servers, process: &p.pool.Process.Conns,
		access: func(s *service, e *accesslog.Entry) { s.logs.access(s.verdict.Proxy, e) },
	}
	l.established = func(service uint32) int { return k.path().Established(service) }
	opts.OnClose = l.closed
	dp, err := datapath.Open(ctx, opts)
	if err != nil {
		var unavailable *datapath.UnavailableError
		if errors.As(err, &unavailable) && unavailable.InUse && (mode == DatapathAuto || k.follows) {
			k.waitForPins(err)
			return nil
		}
		if mode != DatapathAuto {
			return fmt.Errorf("--datapath=%s: %w", mode, err)
		}
		k.log.Warn("all connections take the userspace path", "err", err)
		k.fallback(err.Error(), err.Error())
		return nil
	}
	k.opened = time.Now()
	k.mu.Lock()
	if dp.TakenOver() {
		k.identify(dp.Identities())
	}
	k.dp.Store(dp)
	k.mu.Unlock()
	k.fallback("", "")
	return nil
}

// fallback notes why frontends that could be the kernel's are not; "" if they are. warning is for people.
func (k *kernel) fallback(reason, warning string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reason, k.warning = reason, warning
}

// begin has both paths share their places and the kernel path serve, before any traffic or while userspace stands still. Called again it
// shares what could not be shared before.
func (k *kernel) begin(verdicts []offload.Verdict) {
	if k.path() != nil {
		k.mu.Lock()
		err := k.share(k.plan())
		first := !k.begun
		if first {
			err = errors.Join(err, k.recall())
		}
		k.mu.Unlock()
		k.noteShared(err)
		k.sync()
		k.collect() // what a process before this one has had counted
		if first {
			k.plan().pool.SkipRates()
		}
	}
	k.show(verdicts)
}

// show says at every frontend which path serves it, and why.
func (k *kernel) show(verdicts []offload.Verdict) {
	k.mu.Lock()
	reason := k.reason
	k.mu.Unlock()
	p := k.plan()
	for _, v := range verdicts {
		path := pool.Path{Reason: v.Summary()}
		if v.Kernel {
			path.Kernel = k.path() != nil
			if reason != "" {
				path.Reason = reason
			}
		}
		p.pool.Frontend(v.Proxy.Name).SetPath(path)
	}
}

// serveQueueEvery is how soon a place that the kernel path has freed goes to a request that waits. It is looked for only
// while one does.
const serveQueueEvery = 5 * time.Millisecond

// run follows the pool until ctx ends. Counters are brought home at least once each interval.
func (k *kernel) run(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	soon := time.NewTimer(0)
	defer soon.Stop()
	changed := k.follow()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
			changed = k.follow()
		case <-tick.C:
			k.collect()
			k.reap(time.Now())
			changed = k.follow()
		case <-k.plan().pool.Waiting():
			soon.Reset(serveQueueEvery)
		case <-soon.C:
			if k.serveQueues() {
				soon.Reset(serveQueueEvery)
			}
		}
	}
}

// follow makes the kernel path what the pool asks for, and returns what tells of the next change.
func (k *kernel) follow() (changed <-chan struct{}) {
	changed = k.plan().pool.Changed() // before the pool is read, so that no change is missed
	if k.path() != nil {
		k.sync()
		if !k.path().TakenOver() || time.Since(k.opened) > takeOverPatience { // else servers may be down for not being known yet
			k.shutdownDown()
		}
	}
	return changed
}

// serveQueues gives places that have come free in the kernel to requests that wait in userspace.
func (k *kernel) serveQueues() (waiting bool) {
	k.mu.Lock() // a reload must not happen meanwhile
	defer k.mu.Unlock()
	for _, s := range k.plan().services {
		waiting = s.backend.ServeQueue() || waiting
	}
	return waiting
}

// takeOverPatience is how long the services of a process before this one go on as they were while names are resolved and
// servers are checked for the first time.
const takeOverPatience = 5 * time.Second

// waits tells whether the kernel path has taken over services whose servers are not all known again: it knows better
// than we do then. The caller holds mu.
func (k *kernel) waits() bool {
	if k.stopped || k.unshared.Is() || time.Since(k.opened) > takeOverPatience || !k.path().Awaits() {
		return false
	}
	return slices.ContainsFunc(k.plan().services, func(s *service) bool { return len(s.backend.Snapshot().Targets) == 0 })
}

// sync states what is desired now.
func (k *kernel) sync() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.begun && !k.unshared.Is() || k.waits() {
		return
	}
	err := k.path().Sync(k.desired())
	if failing := err != nil; failing != k.failing {
		k.failing = failing
		if failing {
			k.log.Warn("the kernel path could not be brought up to date; connections it does not know take the userspace path", "err", err)
		} else {
			k.log.Info("the kernel path is up to date again")
		}
	}
}

func (k *kernel) desired() datapath.Desired {
	if k.stopped {
		return datapath.Desired{}
	}
	p := k.plan()
	d := datapath.Desired{GlobalLimit: uint32(p.pool.Limit())}
	for _, s := range p.services {
		if s.frontend.Switch() != pool.SwitchedOn {
			continue // its flows live on
		}
		svc := datapath.Service{
			ID: s.id, Name: s.frontend.Name, Limit: uint32(frontendLimit(p.pool, s.frontend)), Timeouts: s.timeouts(),
			Logged: s.logs.of(s.verdict.Proxy), Retries: uint32(max(0, s.verdict.Backend.Retries)),
			Redispatch: redispatchEvery(s.verdict.Backend),
		}
		svc.Binds = bindsOf(s.verdict.Proxy)
		svc.Algorithm, svc.Draws = s.algorithm()
		if k.counts(s) { // else its SYNs fall through
			svc.Schedule, svc.Servers = s.targets()
		}
		for i := range svc.Servers {
			if v := &svc.Servers[i]; len(v.Sources) == 0 {
				v.Sources = slices.DeleteFunc(slices.Clone(k.sources), func(a netip.Addr) bool { return a.Is4() != v.Addr.Addr().Is4() })
			}
		}
		d.Services = append(d.Services, svc)
	}
	for _, v := range p.others {
		if p.pool.Frontend(v.Proxy.Name).Switch() == pool.SwitchedOn {
			d.Sockets = append(d.Sockets, bindsOf(v.Proxy)...)
		}
	}
	return d
}

// bindsOf are the addresses that a frontend listens on.
func bindsOf(p *config.Proxy) (binds []datapath.Bind) {
	for _, b := range p.Binds {
		binds = append(binds, datapath.Bind{AddrPort: b.Addr, V6Only: b.V6Only})
	}
	return binds
}

// redispatchEvery says which retries go to another server, as userspace has it: all where the algorithm does not care
// which server it is, else every n-th by the interval of the option, counted from the end if it is negative.
func redispatchEvery(b *config.Proxy) uint32 {
	if !b.Options.Redispatch {
		return 0
	}
	if !balance.Deterministic(b.Balance.Algorithm) {
		return 1
	}
	every := b.Options.RedispatchInterval
	if every <= 0 {
		every = b.Retries + 1 + min(every, -1)
	}
	return uint32(max(0, every))
}

// frontendLimit is the frontend's maxconn; without one the process's holds.
func frontendLimit(p *pool.Pool, f *pool.Frontend) int {
	if limit := f.Limit(); limit > 0 {
		return limit
	}
	return p.Limit()
}

// stop lets no new connection in; established ones live on. A kernel path that is kept goes on as it is.
func (k *kernel) stop() {
	if k.keep {
		return
	}
	k.mu.Lock()
	k.stopped = true
	k.mu.Unlock()
	if k.path() != nil {
		k.sync()
	}
}

// established returns the number of established flows that end with this process.
func (k *kernel) established() int64 {
	if k.path() == nil || k.keep {
		return 0
	}
	return int64(k.path().Counters().Total.Current)
}

func (k *kernel) close() error {
	dp := k.path()
	if dp == nil {
		return nil
	}
	if k.keep {
		return dp.Close()
	}
	// As the system does for the sockets of userspace, both ends are told.
	_, err := dp.Shutdown(datapath.EndKilled, func(datapath.Flow) bool { return true })
	return errors.Join(err, dp.Close())
}

// lastCounters returns what collect read last.
func (k *kernel) lastCounters() datapath.Snapshot {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.last
}

// lastWarning says why the kernel path is not in use although it was wanted.
func (k *kernel) lastWarning() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.warning
}
