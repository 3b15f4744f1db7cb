package proxy

import (
	"time"

	"waggle/pkg/accesslog"
	"waggle/pkg/pool"
)

// record reports the request, or TCP session, that has ended: times for the statistics, an entry for the
// access log.
func (s *session) record() {
	now := s.w.loop.Clock()
	s.recordTimes(now)
	if !s.fe.logs {
		return
	}
	e := &s.w.entry
	*e = accesslog.Entry{
		Client: s.src, HTTPMode: s.fe.cfg.HTTP,
		Frontend: s.fe.cfg.Name, Backend: s.fe.cfg.Name,
		Bytes: s.client.taking() - s.startOut, State: [4]byte{s.why[0], s.why[1], '-', '-'},
		Retries: s.retries, Redispatched: s.redispatch,
		ActConn: int(s.w.e.setup.Pool.Process.Conns.Load()), FeConn: int(s.fe.stats.Sessions.Load()),
	}
	if o := &s.fe.cfg.Options; !o.HTTPLog && !o.TCPLog || s.fe.cfg.LogFormat != "" { // costs a system call
		e.Dest = s.Dst()
	}
	if s.be != nil {
		e.Backend, e.BeConn = s.be.cfg.Name, int(s.be.stats.Sessions.Load())
	}
	if t := s.target.Server; t != nil {
		e.Server, e.SrvConn = t.Name, int(t.Sessions.Load())
	}
	s.entryTimes(e, now)
	s.w.e.setup.Access(s.fe.cfg, e)
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
		e.TR = span(from, c.head)
		if c.head > 0 {
			e.Request = s.line
		}
		e.Ta = span(from, now)
	} else {
		e.Style = accesslog.TCP
		e.Tt = span(from, now)
	}
	e.Tw = span(c.queued, c.assigned)
	e.Tc = span(c.assigned, c.connected)
	e.Tr = span(c.connected, c.response)
	e.Time = time.Now().Add(from - now)
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
}

// keepLine keeps the request line for the log, since the buffer will not.
func (s *session) keepLine() {
	if !s.fe.logs {
		return
	}
	s.line = append(s.line[:0], s.req.MethodBytes()...)
	s.line = append(append(s.line, ' '), s.req.Target()...)
	s.line = append(append(s.line, " HTTP/1."...), '0'+s.req.Minor)
}

// count brings the byte counters of all three up to date.
func (s *session) count() {
	got, taking := s.client.got, s.client.taking()
	in, out := uint64(got-s.countedIn), uint64(max(taking-s.countedOut, 0)) // less if it was lost
	if in == 0 && out == 0 {
		return
	}
	s.countedIn, s.countedOut = got, taking
	addBytes(&s.fe.stats.Counters, s.w.shard, in, out)
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
