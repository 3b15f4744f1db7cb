package proxy

import (
	"bytes"

	"waggle/pkg/config"
	"waggle/pkg/proxy/h1"
	"waggle/pkg/sample"
)

// message is what rules and the log keep of a request and its response beyond their heads.
type message struct {
	vars     [sample.NumScopes]sample.Vars
	method   []byte   // a copy: the head goes before the response comes
	response h1.Edits // changes to the response
	captured [2]captures
	cookies  [2][]byte // the captured cookie of the request and of the response; empty: there is none
	id       []byte    // unique-id; empty until it is asked for
	level    string    // of the log line, "" = as usual, silent = none
	head     []byte    // a copy of the request's head, for a log format that asks for it
	respHead []byte    // and of the response's, unless the client gets one of ours
	headGone bool      // the request's head is not to be looked at
	answered bool      // the response's head is there
	replaced bool      // the server's response is not to be looked at: the one that takes its place is being made
}

// captures are the slots for parts of requests or of responses.
type captures struct {
	values [][]byte
	text   []byte // the storage of the values
}

// reset forgets the message, and keeps the client's variables and all storage.
func (m *message) reset() {
	for _, scope := range []sample.Scope{sample.Transaction, sample.Request, sample.Response} {
		m.vars[scope].Reset()
	}
	m.response.Reset()
	m.captured[0].reset()
	m.captured[1].reset()
	m.cookies[0], m.cookies[1] = m.cookies[0][:0], m.cookies[1][:0]
	m.method, m.id, m.head, m.respHead = m.method[:0], m.id[:0], m.head[:0], m.respHead[:0]
	m.level = ""
	m.headGone, m.answered, m.replaced = false, false, false
}

func (c *captures) reset() {
	for i := range c.values {
		c.values[i] = nil
	}
	c.values, c.text = c.values[:0], c.text[:0]
}

// size makes room for n slots, all empty.
func (c *captures) size(n int) {
	for len(c.values) < n {
		c.values = append(c.values, nil)
	}
}

// set fills a slot with at most n bytes of value.
func (c *captures) set(slot int, value []byte, n int) {
	if slot >= len(c.values) {
		return
	}
	from := len(c.text)
	c.text = append(c.text, value[:min(n, len(value))]...)
	c.values[slot] = c.text[from:len(c.text):len(c.text)]
}

// captureCookie keeps the first cookie of a line that begins as asked, cut to the length asked for; false if there is
// none. A Set-Cookie line has one cookie, and attributes behind it.
func (m *message) captureCookie(side int, line []byte, c config.CookieCapture) bool {
	if len(m.cookies[side]) > 0 {
		return true
	}
	for len(line) > 0 {
		end := sample.CookieEnd(line)
		pair, rest := bytes.Trim(line[:end], " \t"), line[min(end+1, len(line)):]
		if bytes.HasPrefix(pair, []byte(c.Prefix)) {
			m.cookies[side] = append(m.cookies[side], pair[:min(len(pair), c.Length)]...)
			return true
		}
		if side == 1 {
			return false
		}
		line = rest
	}
	return false
}

// Status implements sample.Subject.
func (s *subject) Status() int {
	if s.msg.replaced {
		return 0
	}
	return max(s.status, 0)
}

// ResponseVersion implements sample.Subject.
func (s *subject) ResponseVersion() []byte {
	switch {
	case !s.msg.answered:
		return nil
	case s.resp.Minor == 0:
		return []byte("1.0")
	}
	return []byte("1.1")
}

// ResponseHeaders implements sample.Subject. Rules see what rules before them have changed.
func (s *subject) ResponseHeaders(name string, fn func(value []byte) bool) {
	if s.msg.answered {
		s.msg.response.Headers(&s.resp.Head, name, fn)
	}
}

// BackendName implements sample.Subject.
func (s *subject) BackendName() string {
	if s.be == nil {
		return ""
	}
	return s.be.cfg.Name
}

// ServerName implements sample.Subject.
func (s *subject) ServerName() string {
	if s.target.Server == nil {
		return ""
	}
	return s.target.Server.Name
}

// FirstRequest implements sample.Subject.
func (s *subject) FirstRequest() bool { return s.requests <= 1 }

// Vars implements sample.Subject.
func (s *subject) Vars(scope sample.Scope) *sample.Vars {
	if scope == sample.Session && s.guest != nil {
		return &s.guest.vars
	}
	return &s.msg.vars[scope]
}

// Captured implements sample.Subject.
func (s *subject) Captured(response bool, i int) []byte {
	c := &s.msg.captured[0]
	if response {
		c = &s.msg.captured[1]
	}
	if i >= len(c.values) {
		return nil
	}
	return c.values[i]
}

// UniqueID implements sample.Subject. The identifier is made when it is first asked for.
func (s *subject) UniqueID() []byte {
	f := s.fe.cfg.UniqueID
	if f == nil || !s.http() {
		return nil
	}
	if len(s.msg.id) == 0 {
		s.msg.id = f.Append(s.msg.id[:0], s, (*session)(s))
	}
	return s.msg.id
}

// UsableServers implements sample.Subject.
func (s *subject) UsableServers(name string) int {
	b := s.be
	if name != "" {
		b = s.fe.plan.backends[name]
	}
	if b == nil {
		return -1
	}
	v := b.stats.View()
	return v.Active + v.Backup
}

// AppendVariable implements sample.Variables: what the log would say of the session at this moment.
func (s *session) AppendVariable(dst []byte, v sample.Variable, f sample.Flags) []byte {
	e := &s.w.entry
	s.describe(e, s.w.loop.Clock())
	switch v { // addresses that the log may have no use for
	case sample.VarFrontendIP, sample.VarFrontendPort:
		e.Dest = s.Dst()
	case sample.VarSourceIP, sample.VarSourcePort:
		e.Source = s.comesFrom()
	}
	return e.AppendVariable(dst, v, f)
}

// keep copies what the rules and the log will ask for when the request's head is gone.
func (s *session) keepHead() {
	m, p := &s.msg, s.fe.cfg
	m.method = append(m.method[:0], s.req.MethodBytes()...)
	if s.fe.keepsHead {
		m.head = append(m.head[:0], s.req.Bytes()...)
	}
	if p.CookieCapture.Length > 0 {
		s.req.Headers("cookie", func(v []byte) bool { return !m.captureCookie(0, v, p.CookieCapture) })
	}
	m.captured[0].size(len(p.RequestCaptures))
	m.captured[1].size(len(p.ResponseCaptures))
	for i, c := range p.RequestCaptures {
		if c.Header != "" {
			s.req.Headers(c.Header, func(v []byte) bool { m.captured[0].set(i, v, c.Length); return true })
		}
	}
}

// keepResponse does the same for the response.
func (s *session) keepResponse() {
	m, p := &s.msg, s.fe.cfg
	if s.fe.keepsResponse {
		m.respHead = append(m.respHead[:0], s.resp.Bytes()...)
	}
	if p.CookieCapture.Length > 0 {
		s.resp.Headers("set-cookie", func(v []byte) bool { return !m.captureCookie(1, v, p.CookieCapture) })
	}
	for i, c := range p.ResponseCaptures {
		if c.Header != "" {
			s.resp.Headers(c.Header, func(v []byte) bool { m.captured[1].set(i, v, c.Length); return true })
		}
	}
}

// recall makes the heads visible again to the log's format, from their copies.
func (s *session) recall() {
	m := &s.msg
	m.headGone = len(m.head) == 0
	if !m.headGone {
		s.req.Rebase(m.head)
	}
	m.answered = len(m.respHead) > 0
	if m.answered {
		s.resp.Rebase(m.respHead)
	}
}
