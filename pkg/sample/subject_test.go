package sample

import (
	"net/netip"
	"strings"
	"time"
)

// request is a Subject for tests.
type request struct {
	Nothing
	vars                 [NumScopes]Vars
	response             [][2]string
	status               int
	captures             []string
	src, dst             netip.AddrPort
	method, uri, version string
	headers              [][2]string
	frontend             string
	tlsState             *TLS
	tls                  bool
}

func (r *request) Src() netip.AddrPort  { return r.src }
func (r *request) Dst() netip.AddrPort  { return r.dst }
func (r *request) FrontendName() string { return r.frontend }
func (r *request) TLS() bool            { return r.tls }
func (r *request) TLSState() *TLS       { return r.tlsState }
func (r *request) Method() []byte       { return orNil(r.method) }
func (r *request) URI() []byte          { return orNil(r.uri) }
func (r *request) Version() []byte      { return orNil(r.version) }

func (r *request) Header(name string) (first []byte) {
	r.Headers(name, func(v []byte) bool { first = v; return false })
	return first
}

func (r *request) Headers(name string, fn func([]byte) bool) {
	for _, h := range r.headers {
		if strings.EqualFold(h[0], name) && !fn([]byte(h[1])) {
			return
		}
	}
}

func (r *request) Now() time.Time     { return time.Unix(1700000000, 123456000) }
func (r *request) Status() int        { return r.status }
func (r *request) Vars(s Scope) *Vars { return &r.vars[s] }
func (r *request) UniqueID() []byte   { return []byte("id-7") }

func (r *request) UsableServers(backend string) int {
	if backend == "be1" {
		return 2
	}
	return -1
}

func (r *request) ResponseHeaders(name string, fn func([]byte) bool) {
	for _, h := range r.response {
		if strings.EqualFold(h[0], name) && !fn([]byte(h[1])) {
			return
		}
	}
}

func (r *request) Captured(response bool, i int) []byte {
	if response || i >= len(r.captures) {
		return nil
	}
	return []byte(r.captures[i])
}

func orNil(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// static is a Subject whose bytes exist already, so that a test can count what an evaluation allocates.
type static struct {
	request
	methodBytes, uriBytes, versionBytes []byte
	names                               []string
	values                              [][]byte
}

func newStatic(r request) *static {
	s := &static{request: r, methodBytes: []byte(r.method), uriBytes: []byte(r.uri), versionBytes: []byte(r.version)}
	for _, h := range r.headers {
		s.names = append(s.names, h[0])
		s.values = append(s.values, []byte(h[1]))
	}
	return s
}

func (s *static) Method() []byte  { return s.methodBytes }
func (s *static) URI() []byte     { return s.uriBytes }
func (s *static) Version() []byte { return s.versionBytes }

func (s *static) Header(name string) []byte {
	for i, n := range s.names {
		if strings.EqualFold(n, name) {
			return s.values[i]
		}
	}
	return nil
}

func (s *static) Headers(name string, fn func([]byte) bool) {
	for i, n := range s.names {
		if strings.EqualFold(n, name) && !fn(s.values[i]) {
			return
		}
	}
}
