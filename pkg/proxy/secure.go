package proxy

import (
	"crypto/tls"
	"fmt"

	"golang.org/x/sys/unix"

	"waggle/pkg/certs"
	"waggle/pkg/config"
	"waggle/pkg/proxy/adapter"
	"waggle/pkg/proxy/loop"
	"waggle/pkg/proxy/proxyproto"
	"waggle/pkg/proxy/sock"
	"waggle/pkg/sample"
)

// serverTLS is how a server is spoken to.
type serverTLS struct {
	config *tls.Config
	sni    *sample.Expr // nil: no name is asked for
}

// newServersTLS makes them for a backend, by the servers' names.
func newServersTLS(p *config.Proxy) (map[string]*serverTLS, error) {
	var all map[string]*serverTLS
	for i := range p.Servers {
		line := &p.Servers[i]
		if !line.TLS.Enabled {
			continue
		}
		c, err := certs.Client(&line.TLS)
		if err != nil {
			return nil, fmt.Errorf("backend '%s', server '%s': %w", p.Name, line.Name, err)
		}
		if all == nil {
			all = make(map[string]*serverTLS)
		}
		for _, name := range line.Names() {
			all[name] = &serverTLS{config: c, sni: line.TLS.SNI}
		}
	}
	return all, nil
}

// secure says how the session's server is spoken to, nil for clear text.
func (s *session) secure() *serverTLS {
	if s.be.secure == nil {
		return nil
	}
	return s.be.secure[s.target.Server.Name]
}

// name is what the server is asked for.
func (t *serverTLS) name(s *session) string {
	if t.sni == nil {
		return ""
	}
	s.req.Rebase(s.client.in.bytes())
	out, _ := t.sni.Append(s.w.text[:0], (*subject)(s))
	s.w.text = out[:0]
	return string(out)
}

// idleFor narrows which idle connections the request may take to those that were made for the same name.
func (s *session) idleFor(may func(*link) bool) func(*link) bool {
	via := s.secure()
	if via == nil {
		return may
	}
	name := via.name(s)
	return func(l *link) bool { return l.name == name && (may == nil || may(l)) }
}

// dialTLS starts a TLS connection to the session's server.
func (s *session) dialTLS(via *serverTLS) (*link, unix.Errno) {
	w := s.w
	t := adapter.Target{
		Addr: s.target.Addr, From: sock.Source(s.target.Server.Source), NoLinger: s.target.Server.NoLinger, UserTimeout: s.target.Server.UserTimeout, Config: via.config, Name: via.name(s),
		Timeout: s.be.timeouts.connect, Counter: &s.be.stats.TLS, Congestion: w.e.congestion,
	}
	if version := s.target.Server.SendProxy; version > 0 {
		t.Preface = proxyproto.Append(nil, version, s.src, s.Dst())
	}
	o, fd, errno := adapter.Dial(t)
	if errno != 0 {
		return nil, errno
	}
	l := w.newLink()
	err := l.open(w, fd, loop.Servers, s)
	if err != nil {
		o.Pair.Closed(true)
		sock.Close(fd)
		l.fd = -1
	}
	l.peer, l.name, l.shaking, l.failed = o.Pair, t.Name, true, nil
	l.group, l.server, l.target, l.served = s.target.Server.Key, s.target.Server, s.target, 0
	w.e.adapters.Go(func() {
		o.Run(func(err error) { w.loop.Post(func() { l.shaken(o.Pair, err) }) })
	})
	if err != nil {
		return nil, unix.ENOMEM
	}
	return l, 0
}

// shaken brings the outcome of a handshake to the loop.
func (l *link) shaken(p *adapter.Pair, err error) {
	if l.peer != p || l.fd < 0 { // it was given up
		return
	}
	l.shaking, l.failed = false, err
	l.owner.advance()
}

// handshake says whether a TLS connection to the server is still being set up, or what went wrong.
func (s *session) handshake() (busy bool, errno unix.Errno) {
	l := s.link
	switch {
	case l.peer == nil:
		return false, 0
	case l.shaking:
		return true, 0
	case l.failed != nil:
		s.w.e.log.Debug("TLS connection to a server failed", "backend", s.be.cfg.Name, "server", s.target.Server.Name, "error", l.failed)
		return false, unix.ECONNREFUSED
	}
	return false, 0
}
