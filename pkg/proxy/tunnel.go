package proxy

import "waggle/pkg/proxy/h1"

// startTCP begins a session of a tcp frontend.
func (s *session) startTCP() {
	s.requests = 1
	s.takeNumber()
	s.lookInto(s.fe.cfg)
}

// startTunnel begins to move bytes both ways.
func (s *session) startTunnel() {
	s.up.begin(h1.BodyTunnel, 0)
	s.down.begin(h1.BodyTunnel, 0)
	s.phase = tunneling
}

// switchProtocol turns an HTTP exchange into a tunnel after 101.
func (s *session) switchProtocol() {
	s.client.consume(s.taken)
	s.taken = 0
	s.up.drop(s.w)
	s.down.drop(s.w)
	s.startTunnel()
}

// tunnel moves bytes both ways. A side that closes is passed on as FIN once all it sent has been; the other
// direction goes on.
func (s *session) tunnel() step {
	a, b := &s.client, &s.link.conn
	hard := [2]bool{s.fe.cfg.Options.NoLinger, s.be != nil && s.be.cfg.Options.NoLinger}
	st := relay(&s.up, a, b, hard[1])
	if relay(&s.down, b, a, hard[0]) == moved {
		st = moved
	}
	s.countLong()
	switch {
	case a.broken || a.lost:
		s.tunnelBroken('C')
		return stuck
	case b.broken || b.lost:
		s.tunnelBroken('S')
		return stuck
	case a.shut && b.shut, a.shut && hard[0], b.shut && hard[1]:
		s.record()
		s.leaveServer(false)
		s.end()
		return stuck
	}
	return st
}

// relay moves one direction and passes its end on. hard says that dst has option nolinger: there the end of one direction is
// that of both (measured on HAProxy 2.6).
func relay(str *stream, src, dst *conn, hard bool) step {
	at := 0
	st := str.move(src, dst, &at)
	if at > 0 {
		src.consume(at)
	}
	if !str.open && !src.broken && !dst.shut && dst.push() {
		if hard {
			dst.shut = true
		} else {
			dst.finish()
		}
		src.active, dst.active = true, true // from now on the timeouts of closed sides apply
	}
	return st
}

// tunnelBroken passes a reset on as one, after what came before it.
func (s *session) tunnelBroken(by byte) {
	s.terminate(by, 'D')
	if by == 'C' {
		s.clientAborted()
		if s.link.out.len() > 0 {
			s.link.push()
		}
		s.link.reset()
	} else {
		s.serverAborted()
		s.client.push()
		s.client.reset()
	}
	s.record()
	s.leaveServer(false)
	s.end()
}

// countEvery is how many bytes may pass before the counters of a long session are brought up to date.
const countEvery = 1 << 20

func (s *session) countLong() {
	if s.client.got+s.client.given-s.countedIn-s.countedOut >= countEvery {
		s.count()
	}
}
