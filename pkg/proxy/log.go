package proxy

import (
	"net/netip"
	"time"

	"waggle/pkg/accesslog"
	"waggle/pkg/pool"
	"waggle/pkg/unixaddr"
)

// record reports the request, or TCP session, that has ended: times for the statistics, an entry for the
// access log.
func (s *session) record() {
	now := s.w.loop.Clock()
	s.recordTimes(now)
	s.log(now, false)
}

// recordEarly is for `option logasap`: the line is written when the response has begun, or a TCP session stands.
func (s *session) recordEarly() {
	if s.fe.cfg.Options.LogASAP {
		s.log(s.w.loop.Clock(), true)
	}
}

// log hands out the entry of the request or session, once; early says that it still goes on.
func (s *session) log(now time.Duration, early bool) {
	if !s.fe.logs || s.logged || s.msg.level == silent || s.fe.cfg.Options.DontLogNull && s.client.got == 0 {
		return
	}
	s.logged = true
	e := &s.w.entry
	s.describe(e, now)
	if !early { // HAProxy writes the line when the session has left its server and its backend, and not yet its frontend
		e.BeConn, e.SrvConn = max(e.BeConn-1, 0), max(e.SrvConn-1, 0)
	}
	if s.fe.formatted {
		s.recall()
		e.Subject, e.UniqueID = (*subject)(s), (*subject)(s).UniqueID()
	}
	s.fe.plan.access(s.fe.cfg, e)
	e.Subject = nil
}

// silent is the level of requests that are not logged.
const silent = "silent"

// describe fills an entry with what is known of the request, or TCP session, so far.
func (s *session) describe(e *accesslog.Entry, now time.Duration) {
	*e = accesslog.Entry{
		Client: s.src, HTTPMode: s.fe.cfg.HTTP, ASAP: s.fe.cfg.Options.LogASAP,
		Frontend: s.fe.cfg.Name, Backend: s.fe.cfg.Name, Server: s.service,
		Bytes: s.client.taking() - s.startOut, Uploaded: s.consumed() - s.startIn,
		State:    [4]byte{s.why[0], s.why[1], '-', '-'},
		SrvQueue: s.passed.Server, BeQueue: s.passed.Backend,
		Retries: s.retries, Redispatched: s.redispatch,
		ActConn: int(s.fe.plan.pool.Process.Conns.Load()), FeConn: int(s.fe.stats.Sessions.Load()),
		Counter: s.number,
	}
	if e.TLSState = (*subject)(s).TLSState(); e.TLSState != nil {
		e.TLS = true
	}
	if l, ok := accesslog.ParseLevel(s.msg.level); ok {
		e.Level, e.HasLevel = l, true
	}
	if s.wantsDest() { // costs a system call
		e.Dest = s.Dst()
	}
	if s.be != nil {
		e.Backend, e.BeConn = s.be.cfg.Name, int(s.be.stats.Sessions.Load())
		if c := s.be.cookies; c != nil && c.makes() {
			e.State[2], e.State[3] = s.persist.cookie, s.persist.answer
		}
	}
	if t := s.target.Server; t != nil {
		e.Server, e.SrvConn, e.Target = t.Name, int(t.Sessions.Load()), s.target.Addr
	} else if t := s.awaited; t != nil {
		e.Server, e.SrvConn = t.Name, int(t.Sessions.Load())
	}
	if s.fe.source { // costs a system call
		e.Source = s.comesFrom()
	}
	if s.fe.cfg.HTTP {
		e.RequestHeaders, e.ResponseHeaders = s.msg.captured[0].shown(), s.msg.captured[1].shown()
		e.CookieIn, e.CookieOut = shownCookie(s.msg.cookies[0]), shownCookie(s.msg.cookies[1])
	}
	s.entryTimes(e, now)
}

// comesFrom is the address that the connection to the server comes from, if there is one: of one to a unix socket that it is one.
func (s *session) comesFrom() netip.AddrPort {
	switch {
	case s.link == nil:
		return netip.AddrPort{}
	case unixaddr.Is(s.target.Addr.Addr()):
		return s.target.Addr
	default:
		return s.link.source()
	}
}

// shown gives the slots for the log, nil where none are declared.
func (c *captures) shown() [][]byte {
	if len(c.values) == 0 {
		return nil
	}
	return c.values
}

// shownCookie gives a captured cookie for the log, nil where there is none.
func shownCookie(c []byte) []byte {
	if len(c) == 0 {
		return nil
	}
	return c
}

// wantsDest says whether the log shows where the client connected to.
func (s *session) wantsDest() bool {
	p := s.fe.cfg
	if s.fe.dest || p.LogFormat != nil {
		return s.fe.dest
	}
	return !p.Options.HTTPLog && !p.Options.TCPLog
}

// consumed counts the bytes of the client that belong to this request and those before.
func (s *session) consumed() int64 {
	return s.client.got - int64(s.client.in.len()) + int64(s.taken)
}

func (s *session) entryTimes(e *accesslog.Entry, now time.Duration) {
	e.NoTimers()
	c := &s.clock
	from := c.idle
	if s.fe.cfg.HTTP {
		e.Style = accesslog.HTTP
		e.Status = max(s.status, 0)
		if c.first > 0 {
			from = c.first
		}
		e.TR = span(from, c.heard)
		if c.head > 0 {
			e.Request = s.line
		}
		e.Ta = span(from, now)
		e.Ti = span(c.idle, c.first)
		e.Tt = span(c.idle, now)
	} else {
		e.Style = accesslog.TCP
		e.Tt = span(from, now)
	}
	e.Tw = span(c.queued, c.assigned)
	e.Tc = span(c.assigned, c.connected)
	e.Tr = span(c.connected, c.response)
	e.Time = time.Now().Add(from - now)
	e.Accept = e.Time.Add(c.idle - from)
}

// span is the milliseconds between two moments, -1 if either has not come.
func span(from, to time.Duration) int {
	if from == 0 || to == 0 {
		return -1
	}
	return int((to - from) / time.Millisecond)
}

// recordTimes adds to the four averages of server and backend.
func (s *session) recordTimes(now time.Duration) {
	if s.be == nil || s.target.Server == nil {
		return
	}
	us := func(from, to time.Duration) uint64 {
		if from == 0 || to < from {
			return 0
		}
		return uint64((to - from) / time.Microsecond)
	}
	c, srv, be := &s.clock, &s.target.Server.Times, &s.be.stats.Times
	from := max(c.first, c.idle)
	queue, connect := us(c.queued, c.assigned), us(c.assigned, c.connected)
	response, total := us(c.connected, c.response), us(from, now)
	srv.Queue.Add(queue)
	be.Queue.Add(queue)
	srv.Connect.Add(connect)
	be.Connect.Add(connect)
	srv.Response.Add(response)
	be.Response.Add(response)
	srv.Total.Add(total)
	be.Total.Add(total)
	latency := s.be.stats.Latency.Shard(s.w.shard)
	if c.connected > 0 && !s.reused {
		latency.Connect.Add(connect)
	}
	if c.response > 0 {
		latency.Response.Add(response)
	}
	latency.Total.Add(total)
}

// keepLine keeps the request line for the log and for rules of responses, since the buffer will not.
func (s *session) keepLine() {
	s.line = append(s.line[:0], s.req.MethodBytes()...)
	s.line = append(s.line, ' ')
	if s.h2() {
		s.keepH2Line()
		return
	}
	s.line = append(s.line, (*subject)(s).URI()...)
	s.line = append(append(s.line, " HTTP/1."...), '0'+s.req.Minor)
}

// keepH2Line keeps the rest of the line as HAProxy logs requests of HTTP/2, with the whole URI.
func (s *session) keepH2Line() {
	if t := s.req.Target(); len(t) > 0 && t[0] == '/' {
		scheme := "http://"
		if s.client.peer.TLS != nil {
			scheme = "https://"
		}
		s.line = append(append(s.line, scheme...), s.req.Host()...)
	}
	s.line = append(append(s.line, s.req.Target()...), " HTTP/2.0"...)
}

// count brings the byte counters of all three up to date.
func (s *session) count() {
	got, taking := s.client.got, s.client.taking()
	in, out := uint64(got-s.countedIn), uint64(max(taking-s.countedOut, 0)) // less if it was lost
	if in == 0 && out == 0 {
		return
	}
	s.countedIn, s.countedOut = got, taking
	addBytes(s.feCounters(), s.w.shard, in, out)
	if s.be != nil {
		addBytes(&s.be.stats.Counters, s.w.shard, in, out)
	}
	if s.target.Server != nil {
		addBytes(&s.target.Server.Counters, s.w.shard, in, out)
	}
}

func addBytes(c *pool.Counters, shard int, in, out uint64) {
	sh := c.Shard(shard)
	sh.BytesIn.Add(in)
	sh.BytesOut.Add(out)
}
