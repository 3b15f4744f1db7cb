package proxy

import (
	"net/netip"

	"waggle/pkg/proxy/sock"
	"waggle/pkg/sample"
)

// subject is a session as expressions see it.
type subject session

var _ sample.Subject = (*subject)(nil)

// Src implements sample.Subject.
func (s *subject) Src() netip.AddrPort { return s.src }

// Dst implements sample.Subject. The kernel is asked, once a call: few configurations want it.
func (s *subject) Dst() netip.AddrPort { return (*session)(s).Dst() }

// Dst is the address that the client connected to.
func (s *session) Dst() netip.AddrPort {
	if s.client.fd < 0 {
		return netip.AddrPort{}
	}
	return sock.LocalAddr(s.client.fd)
}

// http says whether there is a request to look at.
func (s *subject) http() bool { return s.clock.head > 0 && s.fe.cfg.HTTP }

// Method implements sample.Subject.
func (s *subject) Method() []byte {
	if !s.http() {
		return nil
	}
	return s.req.MethodBytes()
}

// URI implements sample.Subject.
func (s *subject) URI() []byte {
	if !s.http() {
		return nil
	}
	return s.req.Target()
}

// Version implements sample.Subject.
func (s *subject) Version() []byte {
	switch {
	case !s.http():
		return nil
	case s.req.Minor == 0:
		return []byte("1.0")
	}
	return []byte("1.1")
}

// Header implements sample.Subject. Rules see what rules before them have changed.
func (s *subject) Header(name string) []byte {
	if !s.http() {
		return nil
	}
	return s.edits.Header(&s.req.Head, name)
}

// Headers implements sample.Subject.
func (s *subject) Headers(name string, fn func(value []byte) bool) {
	if s.http() {
		s.edits.Headers(&s.req.Head, name, fn)
	}
}

// FrontendName implements sample.Subject.
func (s *subject) FrontendName() string { return s.fe.cfg.Name }

// TLS implements sample.Subject.
func (s *subject) TLS() bool { return false }
