package proxy

import (
	"net/netip"
	"time"

	"waggle/pkg/proxy/h1"
	"waggle/pkg/sample"
)

// subject is a session as expressions see it.
type subject session

// Now implements sample.Subject.
func (s *subject) Now() time.Time { return time.Now() }

var _ sample.Subject = (*subject)(nil)

// Src implements sample.Subject.
func (s *subject) Src() netip.AddrPort { return s.src }

// Dst implements sample.Subject. The kernel is asked, once a call: few configurations want it.
func (s *subject) Dst() netip.AddrPort { return (*session)(s).Dst() }

// Dst is the address that the client connected to, or the one that a PROXY header named.
func (s *session) Dst() netip.AddrPort {
	if s.dst.IsValid() {
		return s.dst
	}
	if s.client.peer != nil {
		return s.client.peer.Dst
	}
	if s.client.fd < 0 {
		return netip.AddrPort{}
	}
	return s.via.local(s.client.fd)
}

// http says whether there is a request.
func (s *subject) http() bool { return s.clock.head > 0 && s.fe.cfg.HTTP }

// previewed says whether the first bytes of a TCP client, which are looked at now, begin with a request.
func (s *subject) previewed() bool { return s.phase == inspecting && s.preview.whole }

// AwaitRequest implements sample.Preview.
func (s *subject) AwaitRequest() (more bool) {
	if s.fe.cfg.HTTP || s.phase != inspecting {
		return false
	}
	b, more := s.Content()
	p := &s.preview
	if !p.whole && !p.none && len(b) > p.looked {
		n, why := s.req.Parse(b)
		p.looked, p.whole, p.none = len(b), n > 0, why != h1.OK
	}
	if p.whole {
		s.req.Rebase(b) // they may have moved
	}
	return more && !p.whole && !p.none
}

// head says whether the request's head can be looked at: when rules for responses run, it has gone.
func (s *subject) head() bool { return s.http() && !s.msg.headGone || s.previewed() }

// RequestLine implements sample.Subject.
func (s *subject) RequestLine() []byte {
	if !s.http() {
		return nil
	}
	return s.line
}

// Method implements sample.Subject.
func (s *subject) Method() []byte {
	if s.previewed() {
		return s.req.MethodBytes()
	}
	if !s.http() {
		return nil
	}
	if m := s.edits.Method(); m != nil {
		return m
	}
	return s.msg.method
}

// URI implements sample.Subject.
func (s *subject) URI() []byte {
	if !s.head() {
		return nil
	}
	if t := s.edits.Target(); t != nil {
		return t
	}
	return s.req.Target()
}

// Version implements sample.Subject.
func (s *subject) Version() []byte {
	switch {
	case !s.head():
		return nil
	case (*session)(s).h2():
		return []byte("2.0")
	case s.req.Minor == 0:
		return []byte("1.0")
	}
	return []byte("1.1")
}

// Header implements sample.Subject. Rules see what rules before them have changed.
func (s *subject) Header(name string) []byte {
	if !s.head() {
		return nil
	}
	return s.edits.Header(&s.req.Head, name)
}

// Headers implements sample.Subject.
func (s *subject) Headers(name string, fn func(value []byte) bool) {
	if s.head() {
		s.edits.Headers(&s.req.Head, name, fn)
	}
}

// FrontendName implements sample.Subject.
func (s *subject) FrontendName() string { return s.fe.cfg.Name }

// Stopping says whether the process is about to stop, which rules see before any connection does.
func (s *subject) Stopping() bool { return s.w.e.setup.Stopping != nil && s.w.e.setup.Stopping() }

// TLS implements sample.Subject.
func (s *subject) TLS() bool { return s.TLSState() != nil }

// ConnError implements sample.Subject: what has come this far has not failed.
func (s *subject) ConnError() sample.ConnError { return sample.ConnOK }

// TLSState implements sample.Subject.
func (s *subject) TLSState() *sample.TLS {
	if s.client.peer == nil {
		return nil
	}
	return s.client.peer.TLS
}

// h2 says whether the client speaks HTTP/2.
func (s *session) h2() bool { return s.client.peer != nil && s.client.peer.H2 }
