package proxy

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/balance"
	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// dispatch finds a server for the session, or a place in the queue.
func (s *session) dispatch() {
	if s.clock.queued = s.w.loop.Now(); !s.fe.cfg.HTTP {
		s.clock.queued = s.clock.idle // the time of inspection is one of waiting, as with HAProxy
	}
	if s.dispatchWanted() {
		return
	}
	b := s.be.stats
	if len(b.Snapshot().Targets) == 0 {
		s.notConnected()
		s.noServer('C')
		return
	}
	req := balance.Request{Src: s.src.Addr(), Avoid: s.avoid}
	if h := s.be.hasher; h != nil {
		if s.fe.cfg.HTTP {
			s.req.Rebase(s.client.in.bytes()) // it may have moved while the session waited
		}
		h.note(s, &req)
	}
	var bound *pool.Server    // the only one that will do
	waiting := b.Queue.Load() // who waits for a server in particular is looked at by Pick
	if binder, ok := s.be.algo.(balance.Binder); ok {
		if bound = binder.Bound(req); bound != nil {
			waiting = bound.Queue.Load()
		}
	}
	if waiting == 0 { // otherwise others were here first
		if t, ok := s.be.algo.Pick(req); ok {
			t.Server.Counters.Shard(s.w.shard).LBTotal.Add(1)
			b.Counters.Shard(s.w.shard).LBTotal.Add(1)
			s.assign(t)
			return
		}
	}
	s.enqueue(bound)
}

// notConnected counts a session that no server was found for, or in time: HAProxy has it among the backend's connection errors.
func (s *session) notConnected() { s.be.stats.Counters.Shard(s.w.shard).ConnErrors.Add(1) }

// noServer answers that nobody can serve the request; a TCP client is closed.
func (s *session) noServer(when byte) {
	s.terminate('S', when)
	if !s.fe.cfg.HTTP {
		s.record()
		s.leaveServer(false)
		s.shutDown()
		return
	}
	s.answer(503)
}

// ticket is a session's place in its backend's queue. It outlives the wait: a grant may be on its way to
// the loop when the session gives up.
type ticket struct {
	waiter pool.Waiter
	s      *session // nil when given up; only the loop touches it
}

// enqueue makes the session wait for a place on a server, nil for any; one whose own queue is full refuses it.
func (s *session) enqueue(bound *pool.Server) {
	t := &ticket{s: s}
	w := s.w
	t.waiter.Priority, t.waiter.Stays = s.priority, s.persist.direct && s.persist.forced
	t.waiter.Grant = func(target pool.Target) bool {
		return w.loop.Post(func() { t.arrive(target) })
	}
	s.ticket = t
	s.phase = queued
	w.loop.Arm(&s.serverTimer, s.be.timeouts.queue)
	if bound == nil {
		s.be.stats.Enqueue(&t.waiter)
		return
	}
	if !s.be.stats.EnqueueFor(&t.waiter, bound) {
		s.ticket, t.s = nil, nil
		w.loop.Disarm(&s.serverTimer)
		s.queueFull(bound)
	}
}

// queueFull refuses the session, or has it wait for any server if it came for this one and `option redispatch` lets it go elsewhere.
func (s *session) queueFull(srv *pool.Server) {
	if p := &s.persist; p.direct && !p.forced && s.be.cfg.Options.Redispatch {
		s.forsake()
		s.dispatch()
		return
	}
	s.awaited = srv
	s.notConnected()
	srv.Counters.Shard(s.w.shard).ConnErrors.Add(1)
	s.noServer('Q')
}

// arrive brings a granted place to the loop.
func (t *ticket) arrive(target pool.Target) {
	s := t.s
	if s == nil {
		target.Server.Release()
		return
	}
	s.ticket, t.s = nil, nil
	s.waited(&t.waiter)
	s.w.loop.Disarm(&s.serverTimer)
	if want := s.persist.wanted.Server; want != nil && want != s.awaited { // it went down meanwhile
		s.forsake()
	}
	s.assign(target)
	s.advance()
}

// cancelTicket gives the place in the queue up.
func (s *session) cancelTicket() {
	if t := s.ticket; t != nil {
		s.ticket, t.s = nil, nil
		s.be.stats.Dequeue(&t.waiter)
		s.waited(&t.waiter)
	}
}

// waited notes how it went in the queue, for the log.
func (s *session) waited(w *pool.Waiter) {
	s.passed.Server += w.Passed.Server
	s.passed.Backend += w.Passed.Backend
	s.awaited = w.Wanted()
}

func (s *session) queueTimeout() {
	s.cancelTicket()
	s.clock.assigned = s.w.loop.Now() // it has waited, though for nothing
	s.notConnected()
	if want := s.awaited; want != nil {
		want.Counters.Shard(s.w.shard).ConnErrors.Add(1)
	}
	s.terminate('s', 'Q')
	s.noServer('Q')
}

// assign gives the session a server, of which a session has been acquired.
func (s *session) assign(t pool.Target) {
	t = s.aim(t)
	s.target = t
	s.clock.assigned = s.w.loop.Now()
	now := s.w.unix()
	t.Server.LastSession.Set(now)
	t.Server.Counters.Shard(s.w.shard).Sessions.Add(1)
	if s.fe.cfg.HTTP {
		if l := s.idleLink(t); l != nil {
			s.reuse(l)
			return
		}
	}
	s.connect()
}

// aim gives a server whose port follows the client's that port.
func (s *session) aim(t pool.Target) pool.Target {
	if srv := t.Server; srv.MapPort {
		t.Addr = netip.AddrPortFrom(t.Addr.Addr(), uint16(int(s.Dst().Port())+srv.PortOffset))
	}
	return t
}

// leaveServer gives the server back; with keep its connection may serve others.
func (s *session) leaveServer(keep bool) {
	if s.target.Server == nil {
		return
	}
	s.count()
	s.dropLink(keep)
	s.release()
}

// release gives the server's place back. What the client has sent is counted at the server that has it in the end.
func (s *session) release() {
	srv := s.target.Server
	s.target = pool.Target{}
	srv.Release()
}

// connect starts a connection to the server.
func (s *session) connect() {
	s.reused = false
	s.phase = connecting
	s.bothShards(func(sh *pool.Shard) { sh.Connects.Add(1) })
	l, errno := s.dial()
	if errno == unix.EMFILE && s.w.idle.giveUp() {
		l, errno = s.dial()
	}
	if errno != 0 {
		s.connectFailed(blame(errno), errno)
		return
	}
	s.link = l
	s.w.loop.Arm(&s.serverTimer, s.be.timeouts.connect)
}

// bothShards counts something in the server and its backend.
func (s *session) bothShards(count func(*pool.Shard)) {
	count(s.target.Server.Counters.Shard(s.w.shard))
	count(s.be.stats.Counters.Shard(s.w.shard))
}

// checkConnect looks whether the connection to the server stands.
func (s *session) checkConnect() step {
	if s.watchClient() == moved {
		return moved
	}
	l := s.link
	if l == nil || !l.canWrite && !l.hup {
		return stuck
	}
	busy, errno := s.handshake()
	if busy {
		return stuck
	}
	if errno == 0 {
		errno = l.connectError()
	}
	if errno != 0 {
		s.connectFailed('S', errno)
		return moved
	}
	l.canWrite = true
	s.w.loop.Disarm(&s.serverTimer)
	s.connected()
	return moved
}

// connected begins the exchange.
func (s *session) connected() {
	s.clock.connected = s.w.loop.Now()
	s.target.Server.ReportTraffic(pool.TrafficConnected)
	if s.be.cfg.Options.TCPKAServer {
		s.link.keepAlive()
	}
	s.announce()
	s.learnServer()
	if s.fe.cfg.HTTP {
		s.sendHead()
		return
	}
	s.recordEarly()
	s.startTunnel()
}

func (s *session) connectTimeout() { s.connectFailed('s', unix.ETIMEDOUT) }

// turnaround is how long a refused session waits before it tries the same server again.
const turnaround = time.Second

// connectFailed decides what follows a connection attempt that failed, in HAProxy's way: `retries` more
// attempts, at the same server after a pause if it refused; with `option redispatch` at another one at once,
// if there is any. by is the first letter of the termination state: S when the server refused, s when it was too slow, R when
// the attempt could not be made.
func (s *session) connectFailed(by byte, errno unix.Errno) {
	s.dropLink(false)
	s.w.loop.Disarm(&s.serverTimer)
	if by == 'R' {
		s.cannotConnect(errno)
	} else {
		s.target.Server.ReportTraffic(pool.TrafficConnectError)
	}
	if s.retries >= s.be.cfg.Retries || s.be.cfg.RetryOn&config.RetryConnFailure == 0 {
		s.bothShards(func(sh *pool.Shard) { sh.ConnErrors.Add(1) })
		s.terminate(by, 'C')
		s.noServer('C')
		return
	}
	s.retries++
	target, usable := s.refresh()
	switch {
	case !usable, s.redispatches():
		s.redispatchNow()
	case by != 's':
		s.bothShards(func(sh *pool.Shard) { sh.Retries.Add(1) })
		s.phase = pausing
		pause := turnaround
		if c := s.be.timeouts.connect; c > 0 {
			pause = min(pause, c)
		}
		s.w.loop.Arm(&s.serverTimer, pause)
	default:
		s.bothShards(func(sh *pool.Shard) { sh.Retries.Add(1) })
		s.target = s.aim(target)
		s.connect()
	}
}

// redispatches says whether this retry goes to another server. With an algorithm that does not care which one it is,
// and more than one to choose from, each does; else those that the interval of the option says: n is every n-th, -n
// the n-th from the end, by default the last (HAProxy, section 4.2, option redispatch).
func (s *session) redispatches() bool {
	o := &s.be.cfg.Options
	if !o.Redispatch || s.persist.direct && s.persist.forced {
		return false
	}
	if s.elsewhere() {
		return true
	}
	interval := o.RedispatchInterval
	if interval <= 0 {
		interval = s.be.cfg.Retries + 1 + min(interval, -1)
	}
	return interval > 0 && s.retries%interval == 0
}

// elsewhere says whether another server is as good as this one, and there is one.
func (s *session) elsewhere() bool {
	return !s.persist.direct && s.be.careless() && len(s.be.stats.Snapshot().Targets) > 1
}

// careless says whether the next choice is as good as this one: the round robins and random.
func (b *backend) careless() bool { return !balance.Deterministic(b.cfg.Balance.Algorithm) }

// redispatchNow lets balancing choose again.
func (s *session) redispatchNow() {
	s.bothShards(func(sh *pool.Shard) { sh.Redispatches.Add(1) })
	s.redispatch = true
	s.forsake()
	s.avoid = s.target.Server
	s.dropLink(false)
	s.release()
	s.dispatch()
}

// reconnect ends the pause before another attempt.
func (s *session) reconnect() {
	target, usable := s.refresh()
	if !usable {
		s.redispatchNow()
		return
	}
	s.target = s.aim(target)
	s.connect()
}
