package proxy

import (
	"net/netip"
	"time"

	"waggle/pkg/certs"
	"waggle/pkg/config"
	"waggle/pkg/proxy/adapter"
	"waggle/pkg/proxy/loop"
	"waggle/pkg/proxy/sock"
	"waggle/pkg/sample"
)

// guest is a client's connection that an adapter speaks to, or that speaks HTTP/2. It holds the connection's places in the limits;
// the sessions that it opens, one for TLS and one for each stream of HTTP/2 at a time, hold none.
type guest struct {
	w    *worker
	fe   *frontend
	bind *bindLimit
	via  *listener
	conn *adapter.Conn // nil: no adapter speaks to it
	mux  *mux          // nil: it does not speak HTTP/2

	peer   netip.AddrPort   // of the connection itself, whatever a PROXY header says
	begun  time.Duration    // when it was accepted, on the loop's clock
	failed sample.ConnError // written by the adapter's goroutine before left is posted
	sticky *counters        // what is counted in stick tables
	vars   sample.Vars      // of the scope sess, which all its sessions have in common
	opened bool             // a session of it has been counted in stick tables
	over   bool             // the connection has ended, though not yet all sessions
}

// adapt hands a connection to the adapter of its bind line.
func (w *worker) adapt(l *listener, a arrival) {
	a.ready()
	g := &guest{w: w, fe: a.fe, bind: a.bind, via: l, peer: a.peer, begun: w.loop.Now(), conn: adapter.NewConn(a.fd, a.peer, l.local(a.fd))}
	allowed, greets := g.admit(a.fd)
	w.guests[g] = struct{}{}
	w.e.live.Add(1)
	if !allowed {
		_ = g.conn.Close()
		g.left()
		return
	}
	front, greets := l.front, greets || l.acceptProxy // a reload may change them
	w.e.adapters.Go(func() {
		front.Serve(g.conn, greets, g)
		w.loop.Post(g.left)
	})
}

// admit runs the rules for connections before anything is said on this one. greets says that they want a PROXY header.
func (g *guest) admit(fd int) (allowed, greets bool) {
	w := g.w
	if len(g.fe.cfg.TCPConnection) == 0 {
		return true, false
	}
	s := w.newSession()
	s.fe, s.via, s.bind, s.src, s.dst, s.guest = g.fe, g.via, g.bind, g.peer, netip.AddrPort{}, g
	s.client.fd, s.client.peer = fd, nil
	s.reset()
	allowed, greets = s.connectionAllowed()
	s.client.fd, s.guest = -1, nil
	w.retire(s)
	return allowed, greets
}

// Attach implements adapter.Door.
func (g *guest) Attach(fd int, p *adapter.Pair) bool {
	return g.w.loop.Post(func() { g.w.adopt(g, fd, p) })
}

// Failed implements adapter.Door.
func (g *guest) Failed(why sample.ConnError) { g.failed = why }

// fault reports that the connection has come to nothing. Who does not begin with the PROXY header that must come is a
// client in error, as on a connection in clear text.
func (g *guest) fault() {
	switch g.failed {
	case sample.ConnOK:
		return
	case sample.ProxyMissing, sample.ProxyMalformed, sample.ProxyTimeout:
		g.fe.stats.Counters.Shard(g.w.shard).ReqErrors.Add(1)
	}
	g.w.fault(g.via, g.peer, g.begun, g.failed)
}

// adopt starts a session, or one for each stream of HTTP/2, on what an adapter has made of a connection.
func (w *worker) adopt(g *guest, fd int, p *adapter.Pair) {
	if w.killed {
		p.Closed(true)
		sock.Close(fd)
		return
	}
	if p.H2 = p.H2 && g.fe.cfg.HTTP; p.H2 {
		w.newMux(g, fd, p)
		return
	}
	w.newGuestSession(g, p).startOn(fd, p)
}

// newGuestSession returns a session of a guest's, which p tells about.
func (w *worker) newGuestSession(g *guest, p *adapter.Pair) *session {
	s := w.newSession()
	s.fe, s.bind, s.via, s.src, s.dst, s.guest = g.fe, nil, g.via, p.Src, p.Dst, g
	g.fe.plan.enter()
	if s.via.fd >= 0 {
		s.follow() // the configuration may have changed since the handshake
	}
	return s
}

// left gives the places of a connection back that has ended.
func (g *guest) left() {
	w := g.w
	g.fault()
	delete(w.guests, g)
	g.over = true
	g.sticky.release()
	w.e.live.Add(-1)
	w.leave(g.fe, g.bind)
	g.fe.plan.leave()
	w.maybeStop()
}

// close closes the connection, soon.
func (g *guest) close() {
	if g.conn == nil {
		g.mux.sever()
		return
	}
	_ = g.conn.Close()
}

// mute closes it without a word to the client: see [sock.Mute].
func (g *guest) mute(hops int) {
	if g.conn == nil {
		g.mux.c.push()
		sock.Mute(g.mux.c.fd, hops)
	} else {
		g.conn.Mute(hops)
	}
	g.close()
}

// evict closes the connections of all guests.
func (w *worker) evict() {
	for g := range w.guests {
		g.close()
	}
}

// newFront makes the adapter of a bind line, nil for one in clear text.
func (e *Engine) newFront(fe *frontend, b *config.Bind) (*adapter.Front, error) {
	if !b.TLS.Enabled {
		return nil, nil
	}
	store, err := certs.Load(b)
	if err != nil {
		return nil, err
	}
	t := &fe.timeouts
	return adapter.NewFront(adapter.Settings{
		Certs: store, ForceH2: b.Proto == "h2", Handshake: t.handshake, Client: t.client,
		Logger:  e.log,
		Counter: func() adapter.Counter { return &fe.stats.TLS }, // a reload makes it that of the frontend before
	}), nil
}

// defaultStreams is HAProxy's default of tune.h2.max-concurrent-streams.
const defaultStreams = 100

// lookAgain is how often the files of certificates are looked at.
const lookAgain = 10 * time.Second

// followCertificates loads certificates anew whose files have changed.
func (e *Engine) followCertificates() {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		select {
		case <-e.quit:
			return
		case <-tick.C:
			e.ReloadCertificates()
		}
	}
}

// ReloadCertificates looks at the files of all certificates now. One that cannot be loaded is reported, and the ones in
// use stay.
func (e *Engine) ReloadCertificates() {
	e.reloading.Lock()
	defer e.reloading.Unlock()
	for _, b := range e.bindings() {
		s := b.front.Certificates()
		if s == nil {
			continue
		}
		changed, err := s.Reload()
		switch {
		case err != nil:
			e.reloadsFailed.Add(1)
			e.log.Warn("certificates have changed and cannot be loaded: the old ones stay in use", "bind", s.Name(), "error", err)
		case changed:
			e.reloads.Add(1)
			e.log.Info("certificates have changed and are loaded", "bind", s.Name(), "certificates", s.Count())
		}
	}
}

// CertificateReloads tells how often certificates had changed on disk and were loaded, and how often they could not be.
func (e *Engine) CertificateReloads() (loaded, failed uint64) {
	return e.reloads.Load(), e.reloadsFailed.Load()
}

// Certificates are those of a bind line.
type Certificates struct {
	Proxy, Bind string // Bind is the address as written
	Count       int
	Expires     time.Time // the first of them
}

// Certificates lists what is shown to clients.
func (e *Engine) Certificates() []Certificates {
	var all []Certificates
	for _, b := range e.bindings() {
		if s := b.front.Certificates(); s != nil {
			all = append(all, Certificates{Proxy: b.fe.cfg.Name, Bind: s.Name(), Count: s.Count(), Expires: s.Expires()})
		}
	}
	return all
}

// fresh forgets the client before.
func (s *session) fresh() {
	s.name()
	s.requests, s.countedIn, s.countedOut = 0, 0, 0
	s.private, s.behind = false, false
}

// startOn begins the session on a socket; p is the adapter's side of it, nil for a client's own connection.
func (s *session) startOn(fd int, p *adapter.Pair) {
	w, fe := s.w, s.fe
	s.fresh()
	if err := s.client.open(w, fd, loop.Clients, s); err != nil {
		w.e.log.Error("cannot serve a connection", "frontend", fe.cfg.Name, "error", err)
		if p != nil {
			p.Closed(true)
		}
		sock.Close(fd)
		s.client.fd = -1
		s.phase = draining
		s.end()
		return
	}
	s.client.peer = p
	s.client.canWrite = true
	s.reset()
	s.msg.vars[sample.Session].Reset()
	allowed, greets := true, false
	if p == nil {
		allowed, greets = s.connectionAllowed()
	}
	if !allowed {
		s.end()
		return
	}
	wait := fe.timeouts.client
	if fe.cfg.HTTP {
		wait = fe.timeouts.httpRequest
	}
	w.loop.Arm(&s.clientTimer, wait)
	if greets || p == nil && s.via.acceptProxy {
		s.phase = greeting
		return
	}
	s.open()
	if fe.cfg.HTTP {
		s.rest()
	} else {
		s.advance()
	}
}

// bindings are what is listened on.
func (e *Engine) bindings() []*binding {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.binds
}
