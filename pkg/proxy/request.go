package proxy

import (
	"bytes"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/proxy/h1"
	"waggle/pkg/stick"
)

// readHead waits for a complete request head.
func (s *session) readHead() step {
	c := &s.client
	if c.broken || c.lost {
		s.clientGone()
		return moved
	}
	if c.out.len() > 0 && !c.canWrite { // a client that pipelines must also read
		return stuck
	}
	if c.in.len() > 0 && c.in.len() > s.headLen {
		if s.clock.first == 0 {
			s.firstByte()
		}
		switch yes, waits := s.greetedInH2(); {
		case yes:
			s.becomeMux()
			return stuck
		case waits && !c.eof:
			if c.fill() {
				return moved
			}
			return stuck
		}
		s.headLen = c.in.len() // so far looked at
		n, why := s.req.Parse(c.in.bytes())
		if why != h1.OK {
			s.refuse(why)
			return moved
		}
		if n > 0 {
			s.begin(n)
			return moved
		}
	}
	if !c.fill() && !c.eof {
		if c.in.len() == 0 && s.requests > 0 && (s.w.stopping || s.orphaned()) {
			s.shutDown()
			return moved
		}
		return stuck
	}
	if c.eof {
		s.headCut()
	}
	return moved
}

// firstByte is where waiting between requests ends and the time for a head begins. The first request's time
// runs from the accept on, so that a client that says nothing is not given twice the time.
func (s *session) firstByte() {
	s.clock.first = s.w.loop.Now()
	if s.requests > 0 {
		s.w.loop.Arm(&s.clientTimer, s.fe.timeouts.httpRequest)
	}
}

// headCut ends a session whose client closes before a head is complete.
func (s *session) headCut() {
	if s.client.in.len() == 0 { // between requests, or it never said anything
		if s.requests == 0 {
			s.nullRequest()
		}
		s.shutDown() // the last bytes of the response before may still be on their way
		return
	}
	s.terminate('C', 'R')
	s.badRequest()
	s.keep = false
	s.answer(400)
}

// nullRequest counts and logs a connection on which nothing came, in HAProxy's way: as a bad request.
func (s *session) nullRequest() {
	s.terminate('C', 'R')
	s.status = 400
	s.badRequest()
	s.feShard().CountStatus(s.status)
	s.tallyStatus(s.status)
	s.record()
}

// badRequest counts a request whose head never came whole, or was none: like HAProxy, as a request and as an error.
func (s *session) badRequest() {
	sh := s.feShard()
	sh.Requests.Add(1)
	sh.ReqErrors.Add(1)
	s.tally(stick.HTTPReqCnt, stick.HTTPReqRate)
}

// headTimeout answers 408, or closes in silence where the client never began a further request, or has not even read the
// response before.
func (s *session) headTimeout() {
	if s.requests > 0 && (s.client.in.len() == 0 || s.behind) {
		s.end()
		return
	}
	s.terminate('c', 'R')
	s.badRequest()
	s.answer(408)
}

// refuse answers what is not an HTTP request that may be forwarded.
func (s *session) refuse(why h1.Reason) {
	s.terminate('P', 'R')
	s.captureRequest(why)
	s.badRequest()
	s.w.e.log.Debug("request refused", "frontend", s.fe.cfg.Name, "client", s.src, "reason", why)
	status := why.Status()
	if status == 414 || status == 431 { // HAProxy has one answer for what is malformed and what is too large
		status = 400
	}
	s.answer(status)
}

// feShard is where what the frontend counts goes.
func (s *session) feShard() *pool.Shard { return s.feCounters().Shard(s.w.shard) }

func (s *session) feCounters() *pool.Counters {
	bind := s.bind
	if s.guest != nil {
		bind = s.guest.bind
	}
	return bind.counters(s.fe)
}

// begin handles a request whose head has n bytes.
func (s *session) begin(n int) {
	s.headLen, s.taken = n, n
	s.requests++
	s.clock.head = s.w.loop.Now()
	s.clock.heard = s.clock.head
	s.w.loop.Disarm(&s.clientTimer)
	s.up.begin(s.req.Framing, s.req.ContentLength)
	s.dropImpliedPort()
	s.keepLine()
	s.keepHead()
	s.takeNumber()
	s.feShard().Requests.Add(1)
	s.tally(stick.HTTPReqCnt, stick.HTTPReqRate)
	s.proceed()
}

// dropImpliedPort takes a port that its scheme implies out of an absolute target and out of Host, before any rule sees them,
// as HAProxy does: otherwise a client could call a host by a name that the rules about it do not know.
func (s *session) dropImpliedPort() {
	before, authority, after := s.req.WithoutImpliedPort()
	if authority == nil {
		return
	}
	s.edits.SetTarget(bytes.Join([][]byte{before, authority, after}, nil))
	if s.req.Header("host") != nil {
		s.edits.SetBytes("host", authority)
	}
}

// choose returns the backend of a request, nil if there is none; waits says that it cannot be said yet.
func (f *frontend) choose(subj *subject) (b *backend, waits bool) {
	for i := range f.routes {
		r := &f.routes[i]
		switch holds, waits := (*session)(subj).judge(r.line.Cond); {
		case waits, holds && r.line.Format.Waits(subj):
			return nil, true
		case !holds:
			continue
		case r.line.Format == nil:
			return r.to, false
		}
		if b := subj.named(r.line.Format); b != nil {
			return b, false
		}
		break // HAProxy: a name that is none ends the search
	}
	return f.fallback, false
}

// enter counts the session in its backend.
func (s *session) enter(be *backend) {
	s.be = be
	if be == nil {
		return
	}
	be.stats.Sessions.Add(1)
	be.stats.LastSession.Set(s.w.unix())
	sh := be.stats.Counters.Shard(s.w.shard)
	sh.Sessions.Add(1)
	if s.fe.cfg.HTTP {
		sh.Requests.Add(1)
	}
}

// leaveBackend undoes enter.
func (s *session) leaveBackend() {
	if s.be != nil {
		s.be.stats.Sessions.Add(-1)
		s.be = nil
	}
}

// date is the wall clock's time, by the loop's clock.
func (w *worker) date() time.Time { return w.calendar.date(w.loop.Now()) }

func (w *worker) unix() int64 { return w.date().Unix() }

func (s *session) addForwardFor() {
	opt, ifNone := forwardFor(s.fe, s.be)
	if opt == nil || !s.src.IsValid() { // who comes by a unix socket has no address
		return
	}
	for _, net := range opt.Except {
		if net.Contains(s.src.Addr()) {
			return
		}
	}
	name := opt.Header
	if name == "" {
		name = "x-forwarded-for"
	}
	if ifNone && s.edits.Header(&s.req.Head, name) != nil {
		return
	}
	s.w.text = s.src.Addr().AppendTo(s.w.text[:0])
	s.edits.AddBytes(name, s.w.text)
}

// addOriginalTo tells the server where the client connected to. As with forwardfor the backend's header wins, and both
// sides' exceptions count.
func (s *session) addOriginalTo() {
	fe, be := s.fe.cfg.Options.OriginalTo, s.be.cfg.Options.OriginalTo
	if fe == nil && be == nil {
		return
	}
	dst, header := s.Dst().Addr(), ""
	if !dst.IsValid() {
		return
	}
	for _, opt := range []*config.ForwardFor{fe, be} {
		if opt == nil {
			continue
		}
		for _, net := range opt.Except {
			if net.Contains(dst) {
				return
			}
		}
		header = opt.Header
	}
	s.w.text = dst.AppendTo(s.w.text[:0])
	s.edits.AddBytes(header, s.w.text)
}

// mode is how connections to servers are kept: the stricter side wins.
func (s *session) mode() config.ConnectionMode {
	m := s.fe.cfg.Options.ConnectionMode
	if s.be != nil {
		m = max(m, s.be.cfg.Options.ConnectionMode)
	}
	return m
}

// mayKeep says whether the client's connection can be used again once this request has been read to its
// end. A client that has sent FIN may have pipelined further requests before it. Of `option httpclose` the frontend's
// counts here, and for servers both (HAProxy, section 4.2, option httpclose).
func (s *session) mayKeep() bool {
	more := !s.client.eof || s.client.in.len() > s.taken
	return s.clock.head > 0 && s.req.KeepAlive && s.fe.cfg.Options.ConnectionMode != config.Close && !s.w.stopping && !s.orphaned() && more && !s.up.cut && s.up.bad == h1.OK
}

// clientGone ends a session whose client has gone before a response was due.
func (s *session) clientGone() {
	if s.phase != reading || s.client.in.len() > 0 {
		when := byte('R')
		switch s.phase {
		case queued:
			when = 'Q'
			s.cancelTicket()
			s.clock.assigned = s.w.loop.Now() // it has waited, though for nothing
		case connecting, pausing:
			when = 'C'
		case serving, gathering, exchanging:
			when = 'D'
		}
		s.terminate('C', when)
		if when != 'Q' { // as HAProxy 2.6 was seen to do
			s.clientAborted()
		}
		s.record()
	}
	s.end()
}

// clientAborted counts an exchange that the client broke off.
func (s *session) clientAborted() {
	s.feShard().ClientAborts.Add(1)
	if s.be != nil {
		s.be.stats.Counters.Shard(s.w.shard).ClientAborts.Add(1)
	}
	if t := s.target.Server; t != nil {
		t.Counters.Shard(s.w.shard).ClientAborts.Add(1)
	}
}

// nextRequest makes the session ready for the client's next request.
func (s *session) nextRequest() {
	s.count()
	s.leaveBackend()
	s.client.consume(s.taken)
	s.reset()
	s.phase = reading
	s.follow()
	s.w.loop.Disarm(&s.serverTimer)
	s.behind = false
	s.awaitHead()
}

// awaitHead begins to wait for a further request, or for the rest of one.
func (s *session) awaitHead() {
	wait := s.fe.timeouts.keepAlive
	if s.client.in.len() > 0 {
		wait = s.fe.timeouts.httpRequest
	}
	s.w.loop.Arm(&s.clientTimer, wait)
}
