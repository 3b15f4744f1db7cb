package proxy

import (
	"waggle/pkg/proxy/adapter"
	"waggle/pkg/proxy/h2"
	"waggle/pkg/proxy/loop"
	"waggle/pkg/sample"
)

// speaksH2 says that the line that a client has come by takes nothing but HTTP/2, in clear text.
func (s *session) speaksH2() bool { return s.guest == nil && s.fe.cfg.HTTP && s.via.proto == "h2" }

// greetedInH2 looks whether a connection of HTTP/1 begins with the preface of HTTP/2, by which HAProxy, too, takes it for that
// (section 4.2, option disable-h2-upgrade). waits says that the rest of the preface has to come.
func (s *session) greetedInH2() (yes, waits bool) {
	b := s.client.in.bytes()
	n := min(len(b), len(h2.Preface))
	if b[0] != h2.Preface[0] || string(b[:n]) != h2.Preface[:n] {
		return false, false
	}
	if s.requests > 0 || s.client.lane != nil || s.via.proto != "" || s.fe.cfg.Options.DisableH2Upgrade {
		return false, false
	}
	return n == len(h2.Preface), n < len(h2.Preface)
}

// becomeMux has the connection of a session go on as one of HTTP/2; what has been read of it goes along. The session is over.
func (s *session) becomeMux() {
	w, g, side := s.w, s.guest, s.client.peer
	if g == nil { // the connection is its own, and so are its places in the limits
		g = &guest{w: w, fe: s.fe, bind: s.bind, via: s.via, peer: s.src, begun: s.begun, opened: s.phase == reading}
		g.sticky, s.sticky = s.sticky, nil
		g.vars, s.msg.vars[sample.Session] = s.msg.vars[sample.Session], sample.Vars{}
		side = adapter.Direct(adapter.Info{Src: s.src, Dst: s.Dst()})
		w.guests[g] = struct{}{}
		w.e.live.Add(1)
	} else {
		s.fe.plan.leave()
	}
	side.H2 = true
	m := w.makeMux(g, side)
	m.c = conn{w: w, fd: s.client.fd, rank: loop.Clients, owner: m, in: s.client.in, canRead: true, hup: s.client.hup, gone: s.client.gone}
	if s.guest != nil {
		m.c.peer = side
	}
	w.loop.Hand(m.c.fd, &m.c)
	s.client.in, s.client.fd = buffer{}, -1
	w.buffers.giveBack(&s.client.out)
	w.loop.Drop(&s.clientTimer)
	w.loop.Drop(&s.serverTimer)
	s.phase = ended
	s.turn++
	w.retire(s)
	m.start()
	w.loop.Again(m)
}
