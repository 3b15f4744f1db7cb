package proxy

import (
	"net/netip"

	"waggle/pkg/proxy/sock"
)

// arrival is a connection that has been admitted, with the places that it holds.
type arrival struct {
	fe   *frontend
	bind *bindLimit
	fd   int
	peer netip.AddrPort
}

// accepted counts a connection that l has admitted and gives it to a loop.
func (l *listener) accepted(fd int, peer netip.AddrPort) {
	if !peer.IsValid() {
		peer = l.nameless()
	}
	w, a := l.w, arrival{l.fe, l.bind, fd, peer}
	a.fe.plan.pool.Process.Conns.Confirm()
	a.fe.stats.Sessions.Confirm()
	if a.bind != nil && a.bind.stats != nil {
		a.bind.stats.Sessions.Confirm()
	}
	shard := a.bind.counters(a.fe).Shard(w.shard)
	shard.Connections.Add(1)
	shard.Sessions.Add(1)
	w.took++
	a.fe.plan.enter()
	to := w.lighter()
	to.clients.Add(1)
	if to == w {
		l.begin(a)
		return
	}
	theirs := l.at.in.listeners[to.shard-1]
	to.coming.Add(1)
	if !to.loop.Post(func() { theirs.receive(a) }) {
		to.coming.Add(-1)
		to.discard(a)
	}
}

// nameless is the address of both ends of a connection by a unix socket: none, and the number of the bind line for a port, which
// is what HAProxy's log shows.
func (l *listener) nameless() netip.AddrPort { return netip.AddrPortFrom(netip.Addr{}, uint16(l.at.n)) }

// local is the address that a client of the listener has connected to.
func (l *listener) local(fd int) netip.AddrPort {
	if addr := sock.LocalAddr(fd); addr.IsValid() || l == nil {
		return addr
	}
	return l.nameless()
}

// lighter is the loop that a new connection goes to: this one, unless it has clearly more than another one, the next of them
// each time. So all come to have about as many, though the kernel wakes some more often than others, and most connections
// stay with the loop that was woken for them.
func (w *worker) lighter() *worker {
	other := w.e.workers[w.took%uint64(len(w.e.workers))]
	if n := other.clients.Load(); w.clients.Load() > n+n/16+leeway {
		return other
	}
	return w
}

// leeway is how many connections more than others a loop may have in any case. By chance alone, as where each has a socket of
// its own (SO_REUSEPORT), one of two loops would have that many more of 64.
const leeway = 8

// receive takes what another loop has accepted.
func (l *listener) receive(a arrival) {
	l.w.coming.Add(-1)
	if l.w.killed {
		l.w.discard(a)
		l.w.maybeStop()
		return
	}
	l.begin(a)
}

// begin starts a session on a connection.
func (l *listener) begin(a arrival) {
	if l.front != nil {
		l.w.adapt(l, a)
		return
	}
	a.ready()
	s := l.w.newSession()
	s.fe, s.bind, s.via, s.src, s.dst, s.guest = a.fe, a.bind, l, a.peer, netip.AddrPort{}, nil
	s.startOn(a.fd, nil)
}

// ready sets the client's socket up as the frontend says.
func (a *arrival) ready() {
	if a.fe.cfg.Options.TCPKAClient {
		sock.KeepAlive(a.fd)
	}
	if a.fe.cfg.Options.NoLinger {
		sock.NoLinger(a.fd)
	}
}

// discard closes a connection of the loop that has not begun.
func (w *worker) discard(a arrival) {
	sock.Close(a.fd)
	w.leave(a.fe, a.bind)
	a.fe.plan.leave()
}

// leave gives the places of a connection back, which those who wait may have.
func (w *worker) leave(fe *frontend, bind *bindLimit) {
	w.clients.Add(-1)
	fe.leave(bind)
	if w.e.paused.Load() > 0 {
		w.e.resumeListeners()
	}
}
