package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"waggle/pkg/balance"
	"waggle/pkg/config"
	"waggle/pkg/datapath"
	"waggle/pkg/offload"
	"waggle/pkg/pool"
)

// DatapathMode is the --datapath setting.
type DatapathMode string

// The settings. Auto uses the kernel path if it can be had, and says why if it cannot; TC and XDP make
// that fatal; Off never tries.
const (
	DatapathAuto DatapathMode = "auto"
	DatapathTC   DatapathMode = "tc"
	DatapathXDP  DatapathMode = "xdp"
	DatapathOff  DatapathMode = "off"
)

// kernel keeps the kernel path equal to the pool and brings its counters home. It is level-triggered:
// each round states all that is desired, so that a missed event heals itself.
type kernel struct {
	log      *slog.Logger
	pool     *pool.Pool
	verdicts []offload.Verdict
	services []*service
	servers  *serverIndex
	logs     *logs

	dp      *datapath.Datapath // nil when the kernel path is not in use
	warning string             // why it is not, when it was wanted

	mu      sync.Mutex // guards what follows, and the order of Sync calls
	last    datapath.Snapshot
	stopped bool // soft stop: no new connection
	failing bool // the last Sync failed
}

// service is a frontend that the kernel serves.
type service struct {
	id       uint32
	frontend *pool.Frontend
	backend  *pool.Backend
	verdict  offload.Verdict

	// snapshot is what schedule and servers were made from.
	snapshot *pool.Snapshot
	schedule []uint32
	servers  []datapath.Server
}

// newKernel lists what the kernel path would serve. Nothing is loaded yet.
func newKernel(p *pool.Pool, verdicts []offload.Verdict, logs *logs, log *slog.Logger) *kernel {
	k := &kernel{log: log, pool: p, verdicts: verdicts, servers: &serverIndex{}, logs: logs}
	for _, v := range verdicts {
		f := p.Frontend(v.Proxy.Name)
		f.SetPath(pool.Path{Reason: v.Summary()})
		if !v.Kernel {
			continue
		}
		b := p.Backend(v.Backend.Name)
		k.services = append(k.services, &service{id: uint32(len(k.services) + 1), frontend: f, backend: b, verdict: v})
		for _, s := range b.Servers() {
			k.servers.add(s)
		}
	}
	return k
}

// open loads and attaches the program if any frontend can use it. The error is not nil only if the mode
// insists on the kernel path.
func (k *kernel) open(ctx context.Context, mode DatapathMode, opts datapath.Options) error {
	switch {
	case mode == DatapathOff:
		k.fallback("the kernel path is switched off (--datapath=off)")
		return nil
	case mode == DatapathXDP:
		return errors.New("--datapath=xdp: this version attaches by TC only")
	case len(k.services) == 0:
		return nil
	}
	// Sessions end only after the first Sync, and established is there by then: Open publishes it to the goroutine that asks.
	var opened atomic.Pointer[datapath.Datapath]
	if k.logs.any(k.services) {
		l := &kernelLog{services: k.services, servers: k.servers, process: &k.pool.Process.Conns, access: k.logs.access}
		l.established = func(service uint32) int { return opened.Load().Established(service) }
		opts.OnClose = l.closed
	}
	dp, err := datapath.Open(ctx, opts)
	if err != nil {
		if mode == DatapathTC {
			return fmt.Errorf("--datapath=tc: %w", err)
		}
		k.warning = err.Error()
		k.log.Warn("all connections take the userspace path", "err", err)
		k.fallback(err.Error())
		return nil
	}
	k.dp = dp
	if err := k.share(); err != nil {
		k.log.Warn("limits hold on each path by itself", "err", err)
	}
	opened.Store(dp)
	k.sync()
	for _, s := range k.services {
		s.frontend.SetPath(pool.Path{Kernel: true, Reason: s.verdict.Summary()})
	}
	return nil
}

// share has both paths count the places of every limit together, and tells the kernel path of queues at once. It is called
// before traffic starts.
func (k *kernel) share() error {
	k.pool.Process.Conns.Share(k.dp.ProcessPlaces().Taken)
	for _, s := range k.services {
		places, err := k.dp.ServicePlaces(s.id)
		if err != nil {
			return err
		}
		s.frontend.Sessions.Share(places.Taken)
		s.frontend.ShareHold(places.Waiting)
		s.backend.ShareQueue(places.Waiting)
	}
	for key, s := range k.servers.all() {
		places, err := k.dp.ServerPlaces(key)
		if err != nil {
			return err
		}
		s.Sessions.Share(places.Taken)
	}
	return nil
}

// fallback says on the frontends that could be the kernel's why they are not.
func (k *kernel) fallback(reason string) {
	for _, s := range k.services {
		s.frontend.SetPath(pool.Path{Reason: reason})
	}
}

// serveQueueEvery is how soon a place that the kernel path has freed goes to a request that waits. It is looked for only
// while one does.
const serveQueueEvery = 5 * time.Millisecond

// run follows the pool until ctx ends. Counters are brought home at least once each interval.
func (k *kernel) run(ctx context.Context, interval time.Duration) {
	if k.dp == nil {
		return
	}
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
			changed = k.follow()
		case <-k.pool.Waiting():
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
	changed = k.pool.Changed() // before the pool is read, so that no change is missed
	k.sync()
	k.shutdownDown()
	return changed
}

// serveQueues gives places that have come free in the kernel to requests that wait in userspace.
func (k *kernel) serveQueues() (waiting bool) {
	for _, s := range k.services {
		waiting = s.backend.ServeQueue() || waiting
	}
	return waiting
}

// sync states what is desired now.
func (k *kernel) sync() {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.dp.Sync(k.desired())
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
	d := datapath.Desired{GlobalLimit: uint32(k.pool.Limit())}
	for _, s := range k.services {
		svc := datapath.Service{
			ID: s.id, Name: s.frontend.Name, Limit: uint32(frontendLimit(k.pool, s.frontend)), Timeouts: s.timeouts(),
			Logged: k.logs.of(s.verdict.Proxy), Retries: uint32(max(0, s.verdict.Backend.Retries)),
			Redispatch: redispatchEvery(s.verdict.Backend),
		}
		for _, b := range s.verdict.Proxy.Binds {
			svc.Binds = append(svc.Binds, datapath.Bind{AddrPort: b.Addr, V6Only: b.V6Only})
		}
		svc.Algorithm, svc.Draws = s.algorithm()
		svc.Schedule, svc.Servers = s.targets()
		d.Services = append(d.Services, svc)
	}
	return d
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

// algorithm is the backend's, in the kernel's words.
func (s *service) algorithm() (a datapath.Algorithm, draws uint32) {
	line := s.verdict.Backend.Balance
	switch line.Algorithm {
	case "leastconn":
		return datapath.LeastConn, 0
	case "first":
		return datapath.First, 0
	case "source":
		return datapath.Source, 0
	case "random":
		n, err := balance.Draws(line.Args)
		if err != nil { // the parser has seen to it
			n = 1
		}
		return datapath.Random, uint32(min(n, datapath.MaxDraws))
	}
	return datapath.RoundRobin, 0
}

func (s *service) timeouts() datapath.Timeouts {
	client, server := s.verdict.Proxy.Timeouts, s.verdict.Backend.Timeouts
	return datapath.Timeouts{
		Connect: server.Connect, Client: client.Client, Server: server.Server, Tunnel: server.Tunnel,
		ClientFin: client.ClientFin, ServerFin: server.ServerFin,
	}
}

// targets is what userspace chooses from too, in the kernel's words. A backend with a link-local server, which is
// an address on one interface only, is left to userspace whole: shares must be those configured.
func (s *service) targets() (schedule []uint32, servers []datapath.Server) {
	snap := s.backend.Snapshot()
	if s.snapshot != snap {
		s.snapshot, s.schedule, s.servers = snap, nil, nil
		for _, i := range balance.Table(s.verdict.Backend.Balance.Algorithm, snap.Targets) {
			s.schedule = append(s.schedule, snap.Targets[i].Server.Key)
		}
		for _, t := range snap.Targets {
			s.servers = append(s.servers, datapath.Server{
				ID: t.Server.Key, Name: s.backend.Name + "/" + t.Server.Name, Addr: t.Addr, Weight: uint32(t.Effective),
			})
		}
	}
	servers = slices.Clone(s.servers)
	for i, t := range snap.Targets {
		if t.Addr.Addr().Zone() != "" {
			return nil, nil
		}
		servers[i].Limit = uint32(t.Server.Limit())
	}
	return s.schedule, servers
}

// frontendLimit is the frontend's maxconn; without one the process's holds.
func frontendLimit(p *pool.Pool, f *pool.Frontend) int {
	if limit := f.Limit(); limit > 0 {
		return limit
	}
	return p.Limit()
}

// collect adds what the kernel has counted since the last time to the pool's counters. Counters of both
// paths add up there.
func (k *kernel) collect() {
	if k.dp == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.dp.Counters()
	k.frontends(now)
	k.backends(now)
	k.pool.Process.Conns.SetKernel(int64(now.Total.Current))
	k.last = now
}

func (k *kernel) frontends(now datapath.Snapshot) {
	current := map[*pool.Frontend]int64{}
	for _, s := range k.services {
		n, d := now.Services[s.id], grown(now.Services[s.id], k.last.Services[s.id])
		shard := s.frontend.Counters.Shard(pool.KernelShard)
		shard.Connections.Add(d.Sessions)
		shard.Sessions.Add(d.Sessions)
		shard.BytesIn.Add(d.BytesIn)
		shard.BytesOut.Add(d.BytesOut)
		current[s.frontend] += int64(n.Current)
	}
	for f, n := range current {
		f.Sessions.SetKernel(n)
	}
}

func (k *kernel) backends(now datapath.Snapshot) {
	current := map[*pool.Backend]int64{}
	for key, s := range k.servers.all() {
		n, d := now.Servers[key], grown(now.Servers[key], k.last.Servers[key])
		s.SetKernelSessions(int64(n.Current))
		current[s.Backend] += int64(n.Current)
		for _, shard := range []*pool.Shard{s.Counters.Shard(pool.KernelShard), s.Backend.Counters.Shard(pool.KernelShard)} {
			shard.Sessions.Add(d.Sessions)
			shard.LBTotal.Add(d.Connections)
			shard.Connects.Add(d.Connections)
			shard.ConnErrors.Add(d.Retries + d.Redispatches)
			shard.Retries.Add(d.Retries)
			shard.Redispatches.Add(d.Redispatches)
			shard.BytesIn.Add(d.BytesIn)
			shard.BytesOut.Add(d.BytesOut)
		}
		if d.Sessions > 0 {
			sec := time.Now().Unix()
			s.LastSession.Set(sec)
			s.Backend.LastSession.Set(sec)
		}
	}
	for b, n := range current {
		b.Sessions.SetKernel(n)
	}
}

// grown is how much cumulative counters grew. A counter that went back was started anew.
func grown(now, last datapath.Counts) datapath.Counts {
	diff := func(a, b uint64) uint64 {
		if a < b {
			return a
		}
		return a - b
	}
	return datapath.Counts{
		Sessions: diff(now.Sessions, last.Sessions), Connections: diff(now.Connections, last.Connections),
		Retries: diff(now.Retries, last.Retries), Redispatches: diff(now.Redispatches, last.Redispatches),
		BytesIn: diff(now.BytesIn, last.BytesIn), BytesOut: diff(now.BytesOut, last.BytesOut),
	}
}

// stop lets no new connection in; established ones live on.
func (k *kernel) stop() {
	if k.dp == nil {
		return
	}
	k.mu.Lock()
	k.stopped = true
	k.mu.Unlock()
	k.sync()
}

// current returns the number of established flows.
func (k *kernel) current() int64 {
	if k.dp == nil {
		return 0
	}
	return int64(k.dp.Counters().Total.Current)
}

func (k *kernel) close() error {
	if k.dp == nil {
		return nil
	}
	return k.dp.Close()
}

// lastCounters returns what collect read last.
func (k *kernel) lastCounters() datapath.Snapshot {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.last
}
