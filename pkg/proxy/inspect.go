package proxy

import (
	"time"

	"waggle/pkg/config"
)

// lookInto runs the tcp-request content rules of a proxy over what a TCP client sends first, for as long as its
// inspect-delay allows, or at once without any.
func (s *session) lookInto(p *config.Proxy) {
	s.phase, s.hurried = inspecting, true
	if p.InspectDelay > 0 && len(p.TCPContent) > 0 {
		wait := shorter(p.InspectDelay, s.fe.timeouts.client)
		s.hurried, s.impatient = false, wait < p.InspectDelay
		s.w.loop.Arm(&s.clientTimer, wait)
	}
}

// shorter gives the shorter of two times, of which 0 is without end.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// inspect runs the rules, and waits while they cannot be decided. The frontend's come first, then its use_backend lines,
// which see the same bytes, then the backend's.
func (s *session) inspect() step {
	p := s.fe.cfg
	if s.be != nil {
		p = s.be.cfg
	}
	accepted, _, waits := s.inspectBy(p.TCPContent)
	if waits {
		return s.awaitMore()
	}
	s.w.loop.Disarm(&s.clientTimer)
	if !accepted {
		s.reject()
		return stuck
	}
	if s.be == nil {
		b, waits := s.fe.choose((*subject)(s))
		if waits {
			return s.awaitMore()
		}
		s.enter(b)
		switch {
		case s.be == nil:
			s.noServer('C')
			return moved
		case s.be.cfg != s.fe.cfg:
			s.lookInto(s.be.cfg)
			return moved
		}
	}
	if s.late { // the rules have had their say, as with HAProxy
		s.terminate('c', 'R')
		s.record()
		s.end()
		return stuck
	}
	if s.persistence() == waiting {
		return s.awaitMore()
	}
	s.dispatch()
	return moved
}

// awaitMore waits for a password to be checked, if that is what is asked for, or for content.
func (s *session) awaitMore() step {
	if s.login.list == nil {
		return s.awaitContent()
	}
	s.checkLogin()
	return moved
}

// awaitContent reads more of what the client sends.
func (s *session) awaitContent() step {
	if !s.client.fill() {
		return stuck
	}
	if s.client.broken || s.client.lost {
		s.terminate('C', 'R')
		s.record()
		s.end()
		return stuck
	}
	return moved
}

// Content implements sample.Content: the first bytes of a TCP client, or the head of a request. Nothing more is waited
// for when the time is over, the client has nothing more to say or the buffer is full.
func (s *subject) Content() (b []byte, more bool) {
	if s.http() {
		if !s.head() {
			return nil, false
		}
		return s.req.Bytes(), false
	}
	in := &s.client.in
	full := in.data != nil && in.len() == len(in.data)
	return in.bytes(), s.phase == inspecting && !s.hurried && !s.client.eof && !full
}
