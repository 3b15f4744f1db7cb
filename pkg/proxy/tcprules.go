package proxy

import (
	"net/netip"

	"waggle/pkg/config"
)

// connectionAllowed runs tcp-request connection rules. greets says that a PROXY header has to come first.
func (s *session) connectionAllowed() (allowed, greets bool) {
	allowed, greets = s.tcpRules(s.fe.cfg.TCPConnection)
	if !allowed {
		s.feShard().DeniedConn.Add(1)
	}
	return allowed, greets
}

// sessionAllowed runs tcp-request session rules, when the PROXY header has been read. If they reject, the session has
// ended.
func (s *session) sessionAllowed() bool {
	if allowed, _ := s.tcpRules(s.fe.cfg.TCPSession); allowed {
		return true
	}
	s.feShard().DeniedSess.Add(1)
	if g := s.guest; g != nil { // the connection, and not only this stream of it
		g.close()
	}
	s.end()
	return false
}

// tcpRules runs rules until one ends the evaluation; the last word is to accept.
func (s *session) tcpRules(rules []config.TCPRule) (accepted, greets bool) {
	accepted, greets, _ = s.inspectBy(rules)
	return accepted, greets
}

// inspectBy is tcpRules for rules about the client's first bytes: waits says that one cannot be decided before more of
// them have come. Then all are run again.
func (s *session) inspectBy(rules []config.TCPRule) (accepted, greets, waits bool) {
	for i := range rules {
		r := &rules[i]
		switch holds, waits := s.judge(r.Cond); {
		case waits:
			return false, greets, true
		case !holds:
			continue
		}
		switch r.Action {
		case config.TCPAccept:
			return true, greets, false
		case config.TCPReject:
			return false, greets, false
		case config.TCPSilentDrop:
			s.silence(r.Hops)
			return false, greets, false
		case config.TCPExpectProxy:
			greets = true
		case config.TCPSetVar:
			r.Expr.Store((*subject)(s), r.Var)
		case config.TCPSetPriorityClass:
			s.setPriorityClass(r.Expr)
		case config.TCPSetPriorityOffset:
			s.setPriorityOffset(r.Expr)
		case config.TCPTrack0, config.TCPTrack1, config.TCPTrack2:
			s.trackByTCP(r)
		case config.TCPIncGPC:
			s.bump(r.Counter, r.Table)
		case config.TCPSetGPT:
			s.setTag(r.Counter, r.Expr, r.Number)
		case config.TCPUnsetVar:
			(*subject)(s).Vars(r.Var.Scope).Unset(r.Var.Name)
		}
	}
	return true, greets, false
}

// trackByTCP is what a track rule of tcp-request does: for the connection, or for the request where there is one.
func (s *session) trackByTCP(r *config.TCPRule) {
	n := int(r.Action - config.TCPTrack0)
	if (*subject)(s).http() {
		s.track(n, r.Expr, r.Table, true)
		return
	}
	s.track(n, r.Expr, r.Table, false)
}

// contentAllowed runs the tcp-request content rules of a proxy. If they reject, the connection is closed and the
// session has ended.
func (s *session) contentAllowed(p *config.Proxy) outcome {
	switch accepted, _, waits := s.inspectBy(p.TCPContent); {
	case waits:
		return waiting
	case accepted:
		return passed
	}
	s.reject()
	return answered
}

// reject closes the connection without an answer.
func (s *session) reject() {
	s.countDenied()
	s.terminate('P', 'R')
	s.record()
	s.end()
}

// tarpit keeps the client waiting before it is refused.
func (s *session) tarpit(r *config.HTTPRule) {
	s.countDenied()
	s.terminate('P', 'T')
	s.phase, s.refused = tarpitting, r
	wait := s.fe.timeouts.tarpit
	if s.be != nil {
		wait = s.be.timeouts.tarpit
	}
	if wait == 0 {
		s.refusal(r)
		return
	}
	s.w.loop.Arm(&s.serverTimer, wait)
}

// setSource gives the client another address until the end of the request.
func (s *session) setSource(r *config.HTTPRule) {
	addr, ok := r.Expr.Addr((*subject)(s))
	if !ok {
		return
	}
	if s.peer == (netip.AddrPort{}) {
		s.peer = s.src
	}
	s.src = netip.AddrPortFrom(addr, s.src.Port())
}
