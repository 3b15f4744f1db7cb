package proxy

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/proxy/h1"
	"waggle/pkg/proxy/loop"
	"waggle/pkg/proxy/sock"
)

// dial starts a connection to t for o.
func (w *worker) dial(t pool.Target, o owner) (*link, unix.Errno) {
	fd, errno := sock.Connect(t.Addr, w.e.congestion, sock.Source(t.Server.Source))
	if errno != 0 {
		return nil, errno
	}
	sock.Tune(fd, t.Server.NoLinger, t.Server.UserTimeout)
	l := w.newLink()
	if err := l.open(w, fd, loop.Servers, o); err != nil {
		sock.Close(fd)
		l.fd = -1
		return nil, unix.ENOMEM
	}
	l.group, l.server, l.target, l.served = t.Server.Key, t.Server, t, 0
	return l, 0
}

// dial starts a connection to the session's server.
func (s *session) dial() (*link, unix.Errno) {
	if via := s.secure(); via != nil {
		return s.dialTLS(via)
	}
	return s.w.dial(s.target, s)
}

func (l *link) connectError() unix.Errno { return sock.ConnectError(l.fd) }

// source is the address that the connection comes from.
func (l *link) source() netip.AddrPort {
	if l.peer != nil {
		return l.peer.Src
	}
	return sock.LocalAddr(l.fd)
}

func (l *link) keepAlive() { sock.KeepAlive(l.fd) }

// reuse sends the request over a connection that was idle.
func (s *session) reuse(l *link) {
	s.link, s.reused = l, true
	l.owner = s
	l.active = false
	s.clock.connected = s.w.loop.Now()
	s.bothShards(func(sh *pool.Shard) { sh.Reuses.Add(1) })
	s.learnServer()
	s.sendHead()
}

// dropLink parts with the server's connection: back to the idle ones if it can serve again, else closed.
func (s *session) dropLink(keep bool) {
	l := s.link
	if l == nil {
		return
	}
	s.link = nil
	if !keep || !s.reusable(l) {
		l.discard()
		return
	}
	l.served++
	s.w.idle.put(l)
}

// reusable says whether l is clean and may be kept.
func (s *session) reusable(l *link) bool {
	return s.resp.KeepAlive && s.serverKeep() && !s.w.stopping &&
		!l.eof && !l.hup && !l.lost && l.in.len() == 0 && l.out.len() == 0 && !s.down.cut && current(l.target)
}

// serverKeep says whether the server is asked to keep the connection. With `http-reuse never`, or after a
// PROXY header, nobody else could use it.
func (s *session) serverKeep() bool {
	return s.target.Server.SendProxy == 0 && !s.edits.Closes() && s.mode() == config.KeepAlive && s.be.cfg.Options.HTTPReuse != config.ReuseNever
}

// asksToKeep says whether the server is told that its connection is kept, which with http-pretend-keepalive need not be so.
func (s *session) asksToKeep() bool {
	return s.serverKeep() || s.be.cfg.Options.PretendKeepAlive && !s.edits.Closes()
}

// mayReuse returns which idle connections the request may take, as a filter; nil is all. The danger is a
// connection that the server closes at this moment: a request that can be sent again is sent again, so it
// may take any under `safe`. One that cannot be may take none as a client's first, since no client repeats
// that, and later ones any, since clients must expect a kept connection to close (RFC 9112 section 9.3.1).
func (s *session) mayReuse() func(*link) bool {
	switch s.be.cfg.Options.HTTPReuse {
	case config.ReuseNever:
		return noLink
	case config.ReuseAlways:
		return nil
	}
	if s.requests > 1 || s.repeatable() {
		return nil
	}
	if s.be.cfg.Options.HTTPReuse == config.ReuseAggressive {
		return provenLink
	}
	return noLink
}

func noLink(*link) bool       { return false }
func provenLink(l *link) bool { return l.served > 1 }

// repeatable says whether the request can be sent again without harm: its method is idempotent (RFC 9110
// section 9.2.2) and all of it is still in the buffer.
func (s *session) repeatable() bool {
	if s.edits.Method() != nil { // of which only the rule's author knows what it does
		return false
	}
	switch s.req.Method {
	case h1.MethodGet, h1.MethodHead, h1.MethodPut, h1.MethodDelete, h1.MethodOptions, h1.MethodTrace:
	default:
		return false
	}
	return s.whole()
}
