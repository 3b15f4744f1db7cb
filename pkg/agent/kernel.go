package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"waggle/pkg/balance"
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
	maxConn  int
	verdicts []offload.Verdict
	services []service
	servers  map[uint32]*pool.Server // by key
	logs     *logs

	dp      *datapath.Datapath // nil when the kernel path is not in use
	warning string             // why it is not, when it was wanted

	mu      sync.Mutex // guards what follows, and the order of Sync calls
	last    datapath.Snapshot
	stopped bool // soft stop: no new connection
	failing bool // the last Sync failed
}

// service is one bind of a frontend that the kernel serves.
type service struct {
	id       uint32
	frontend *pool.Frontend
	backend  *pool.Backend
	verdict  offload.Verdict
	bind     int
}

// newKernel lists what the kernel path would serve. Nothing is loaded yet.
func newKernel(p *pool.Pool, verdicts []offload.Verdict, maxConn int, logs *logs, log *slog.Logger) *kernel {
	k := &kernel{log: log, pool: p, maxConn: maxConn, verdicts: verdicts, servers: map[uint32]*pool.Server{}, logs: logs}
	for _, v := range verdicts {
		f := p.Frontend(v.Proxy.Name)
		f.SetPath(pool.Path{Reason: v.Summary()})
		if !v.Kernel {
			continue
		}
		b := p.Backend(v.Backend.Name)
		for i := range v.Proxy.Binds {
			k.services = append(k.services, service{id: uint32(len(k.services) + 1), frontend: f, backend: b, verdict: v, bind: i})
		}
		for _, s := range b.Servers() {
			k.servers[s.Key] = s
		}
	}
	return k
}

// open loads and attaches the program if any frontend can use it. The error is not nil only if the mode
// insists on the kernel path.
func (k *kernel) open(ctx context.Context, mode DatapathMode, opts datapath.Options) error {
	switch {
	case mode == DatapathOff:
		k.fallback("userspace: the kernel path is switched off (--datapath=off)")
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
		k.fallback("userspace: " + err.Error())
		return nil
	}
	k.dp = dp
	opened.Store(dp)
	k.sync()
	for _, s := range k.services {
		s.frontend.SetPath(pool.Path{Kernel: true, Reason: s.verdict.Summary()})
	}
	return nil
}

// fallback says on the frontends that could be the kernel's why they are not.
func (k *kernel) fallback(reason string) {
	for _, s := range k.services {
		s.frontend.SetPath(pool.Path{Reason: reason})
	}
}

// run follows the pool until ctx ends. Limits and counters are brought up to date at least once each
// interval.
func (k *kernel) run(ctx context.Context, interval time.Duration) {
	if k.dp == nil {
		return
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		changed := k.pool.Changed()
		k.sync()
		k.shutdownDown()
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
			k.collect()
		}
	}
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
	d := datapath.Desired{GlobalLimit: room(k.maxConn, k.pool.Process.Conns.User(), 0)}
	if d.GlobalLimit == 0 { // in the kernel's words 0 is no limit; here nothing is left
		return datapath.Desired{}
	}
	for _, s := range k.services {
		f := s.frontend
		others := f.Sessions.Kernel() - int64(k.last.Services[s.id].Current)
		svc := datapath.Service{
			ID: s.id, Name: f.Name, Bind: s.verdict.Proxy.Binds[s.bind].Addr, V6Only: s.verdict.Proxy.Binds[s.bind].V6Only,
			Limit:    room(f.MaxConn, f.Sessions.User(), max(0, others)),
			Queued:   s.backend.Queue.Load() > 0,
			Timeouts: s.timeouts(),
			Logged:   k.logs.of(s.verdict.Proxy),
		}
		if svc.Limit == 0 {
			svc.Queued = true // userspace alone has filled the frontend: its accept queue comes first
		}
		svc.Schedule, svc.Servers = s.targets()
		d.Services = append(d.Services, svc)
	}
	return d
}

// room is what a limit leaves for the kernel.
func room(limit int, taken ...int64) uint32 {
	left := int64(limit)
	for _, n := range taken {
		left -= n
	}
	return uint32(max(0, left))
}

func (s *service) timeouts() datapath.Timeouts {
	client, server := s.verdict.Proxy.Timeouts, s.verdict.Backend.Timeouts
	return datapath.Timeouts{
		Connect: server.Connect, Client: client.Client, Server: server.Server, Tunnel: server.Tunnel,
		ClientFin: client.ClientFin, ServerFin: server.ServerFin,
	}
}

// targets is the schedule that userspace walks too, in the kernel's words. A backend with a link-local server, which is
// an address on one interface only, is left to userspace whole: shares must be those configured.
func (s *service) targets() (schedule []uint32, servers []datapath.Server) {
	targets := s.backend.Snapshot().Targets
	for _, t := range targets {
		if t.Addr.Addr().Zone() != "" {
			return nil, nil
		}
		servers = append(servers, datapath.Server{
			ID: t.Server.Key, Name: s.backend.Name + "/" + t.Server.Name, Addr: t.Addr,
			Limit: serverLimit(t.Server),
		})
	}
	for _, i := range balance.Schedule(balance.Weights(targets), datapath.MaxSchedule) {
		schedule = append(schedule, targets[i].Server.Key)
	}
	return schedule, servers
}

// serverLimit is what a server's maxconn leaves for the kernel; a server that userspace alone has
// filled keeps a limit that is met at once.
func serverLimit(s *pool.Server) uint32 {
	if s.MaxConn == 0 {
		return 0
	}
	return max(1, room(s.MaxConn, s.Sessions.User()))
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
	for key, s := range k.servers {
		n, d := now.Servers[key], grown(now.Servers[key], k.last.Servers[key])
		s.SetKernelSessions(int64(n.Current))
		current[s.Backend] += int64(n.Current)
		for _, shard := range []*pool.Shard{s.Counters.Shard(pool.KernelShard), s.Backend.Counters.Shard(pool.KernelShard)} {
			shard.Sessions.Add(d.Sessions)
			shard.LBTotal.Add(d.Connections)
			shard.Connects.Add(d.Connections)
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
