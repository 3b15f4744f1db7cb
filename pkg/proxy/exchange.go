package proxy

import (
	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/proxy/h1"
)

// sendHead puts the request's head into the server's buffer and begins the exchange.
func (s *session) sendHead() {
	l := s.link
	s.phase = exchanging
	s.w.buffers.borrow(&l.out)
	s.req.Rebase(s.client.in.bytes())                // they may have moved while the session waited
	if name := s.be.cfg.SendNameHeader; name != "" { // anew for each server that is tried
		s.edits.Set(name, s.target.Server.Name)
	}
	out := s.req.AppendTo(l.out.data[:l.out.w], &s.edits, h1.Hop{KeepAlive: s.asksToKeep(), Upgrade: s.req.Upgrade})
	if len(out) > len(l.out.data) { // rules made it larger than a buffer
		s.failedRewrite(&s.target.Server.Backend.Counters)
		return
	}
	l.out.w = len(out)
	l.send()
}

// failedRewrite answers a head that rules made larger than a buffer, and counts it for the frontend and those behind it.
func (s *session) failedRewrite(behind ...*pool.Counters) {
	s.feShard().FailedRewrites.Add(1)
	for _, c := range behind {
		c.Shard(s.w.shard).FailedRewrites.Add(1)
		c.Shard(s.w.shard).InternalErrs.Add(1)
	}
	s.internalError()
}

func (s *session) internalError() {
	s.feShard().InternalErrs.Add(1)
	s.terminate('I', 'H')
	s.dropLink(false)
	s.answer(500)
}

// exchange moves the request's body to the server and the response to the client.
func (s *session) exchange() step {
	if s.client.hup && !s.up.open {
		s.client.fill() // tells FIN, after which the answer is still due, from a reset
	}
	if s.client.broken || s.client.lost {
		s.exchangeAborted()
		return moved
	}
	if s.client.eof && !s.up.open && !s.responded && s.abortsOnClose() {
		s.abandon()
		return moved
	}
	if s.up.open && (s.upload() == moved || s.phase != exchanging) {
		return moved
	}
	if !s.responded {
		return s.readResponse()
	}
	return s.download()
}

// upload moves a piece of the request's body.
func (s *session) upload() step {
	c := &s.client
	if c.in.len() == s.taken && s.taken > 0 { // more has to be read: the head gives up its room
		c.consume(s.taken)
		s.taken, s.forgotten, s.msg.headGone = 0, true, true
	}
	st := s.up.move(c, &s.link.conn, &s.taken)
	switch {
	case s.up.bad != h1.OK:
		s.badBody()
	case s.up.cut && !s.link.lost:
		s.exchangeAborted()
	case s.phase == exchanging && !s.up.open:
		s.w.loop.Disarm(&s.clientTimer)
	}
	if s.forgotten && s.taken > 0 && s.phase == exchanging {
		c.consume(s.taken)
		s.taken = 0
	}
	return st
}

// badBody answers a request whose chunks are malformed.
func (s *session) badBody() {
	s.terminate('P', 'H')
	s.feShard().ReqErrors.Add(1)
	s.dropLink(false)
	if s.responded {
		s.abort()
		return
	}
	s.up.open = true // nobody reads the rest
	s.answer(400)
}

// readResponse waits for a response head and passes it on.
func (s *session) readResponse() step {
	l := s.link
	if s.respLen > 0 {
		return s.passHead()
	}
	if l.in.len() > 0 {
		n, why := s.resp.Parse(l.in.bytes(), h1.Asked{Method: s.req.Method, Upgrade: s.req.Upgrade})
		switch {
		case why != h1.OK:
			s.badResponse(why)
			return moved
		case n > 0:
			if !s.resp.Interim() && s.retry(config.RetryStatus(s.resp.Status)) {
				return moved
			}
			s.respLen = n
			return moved
		}
	}
	if !l.fill() {
		return stuck
	}
	if l.eof {
		s.responseCut()
	}
	return moved
}

// passHead writes the response's head to the client once there is room for it.
func (s *session) passHead() step {
	c := &s.client
	if !c.reserve(min(s.respLen+s.w.e.sizes.rewrite, s.w.buffers.size)) {
		return stuck
	}
	if s.resp.Interim() {
		s.passInterim()
		return moved
	}
	if s.resp.Framing == h1.BodyTunnel && !s.up.complete() { // the rest of the body would become the tunnel's
		s.badResponse(h1.BadStatus)
		return moved
	}
	s.clock.response = s.w.loop.Now()
	s.status = s.resp.Status
	s.tallyFailure(s.status)
	s.target.Server.ReportTraffic(trafficOf(s.status))
	s.notePrivate()
	compresses := s.compresses()
	if s.responseRules() {
		return moved
	}
	sh := s.target.Server.Counters.Shard(s.w.shard)
	sh.Requests.Add(1) // HAProxy counts a server's requests by its responses
	sh.CountStatus(s.status)
	s.down.begin(s.resp.Framing, s.resp.ContentLength)
	hop := h1.Hop{Minor: s.req.Minor}
	switch {
	case compresses:
		s.compress()
		hop.Body = h1.Recoded
		s.keep = s.mayKeep() && !s.msg.response.Closes()
	case s.resp.Framing == h1.BodyTunnel:
		hop.Upgrade = true
	case s.resp.Framing == h1.BodyChunked && s.req.Minor == 0:
		s.down.dechunk = true
		hop.Body = h1.Dechunked
	default:
		s.keep = s.mayKeep() && s.resp.Framing != h1.BodyUntilClose && !s.msg.response.Closes()
	}
	hop.KeepAlive = s.keep
	if !s.writeHead(hop) {
		return moved
	}
	s.countStatus(s.status)
	s.responded = true
	s.recordEarly()
	if s.resp.Framing == h1.BodyTunnel {
		s.switchProtocol()
	} else if !s.down.open {
		s.exchangeDone()
	}
	return moved
}

// writeHead puts the response's head into the client's buffer.
func (s *session) writeHead(hop h1.Hop) bool {
	c, l := &s.client, s.link
	s.resp.Rebase(l.in.bytes())
	out := s.resp.AppendTo(c.out.data[:c.out.w], s.responseEdits(), hop)
	if len(out) > len(c.out.data) {
		s.status = 500
		s.failedRewrite(&s.target.Server.Backend.Counters, &s.target.Server.Counters)
		return false
	}
	c.out.w = len(out)
	c.send()
	l.consume(s.respLen)
	s.respLen = 0
	return true
}

// passInterim passes a 1xx on, unless the client is too old to know it.
func (s *session) passInterim() {
	if s.req.Minor > 0 {
		s.countStatus(s.resp.Status)
		if !s.writeHead(h1.Hop{Minor: 1, KeepAlive: true}) {
			return
		}
	} else {
		s.link.consume(s.respLen)
		s.respLen = 0
	}
	s.resp.Reset()
	s.forgotten = true // the server is at work on it
}

// download moves a piece of the response's body.
func (s *session) download() step {
	l := s.link
	at := 0
	st := s.down.move(&l.conn, &s.client, &at)
	if at > 0 {
		l.consume(at)
	}
	switch {
	case s.client.lost:
		s.exchangeAborted()
	case s.down.bad != h1.OK, s.down.cut:
		s.downloadCut()
	case !s.down.open:
		s.exchangeDone()
	}
	return st
}

// exchangeDone ends an exchange whose response is complete. If the request is not, neither connection can
// be used again.
func (s *session) exchangeDone() {
	if !s.up.complete() {
		s.keep = false
	}
	if s.down.coding != nil {
		s.coding.count(func(sh *pool.Shard) { sh.CompResponses.Add(1) })
	}
	s.finish()
}

// responseCut handles a server that closes before its response's head is complete.
func (s *session) responseCut() {
	fresh := s.link.in.len() == 0 && !s.forgotten
	switch {
	case s.reused && fresh && s.repeatable():
		s.repeat()
	case s.link.in.len() == 0 && s.retry(config.RetryEmptyResponse):
	case s.reused && fresh && s.requests > 1:
		// The connection had died before the request came. The client may know whether it can be repeated,
		// and must expect a kept connection to close (RFC 9112 section 9.3.1).
		s.terminate('S', 'H')
		s.record()
		s.leaveServer(false)
		s.shutDown()
	default:
		s.target.Server.ReportTraffic(pool.TrafficClosed)
		s.terminate('S', 'H')
		s.bothShards(func(sh *pool.Shard) { sh.RespErrors.Add(1) }) // no transfer that could be broken off had begun
		s.dropLink(false)
		s.answer(502)
	}
}

// badResponse answers in place of a server whose response cannot be passed on.
func (s *session) badResponse(why h1.Reason) {
	s.target.Server.ReportTraffic(pool.TrafficInvalid)
	if s.retry(config.RetryJunkResponse) {
		return
	}
	s.terminate('P', 'H')
	s.captureResponse(why)
	s.bothShards(func(sh *pool.Shard) { sh.RespErrors.Add(1) })
	s.w.e.log.Debug("response refused", "backend", s.be.cfg.Name, "server", s.target.Server.Name, "reason", why)
	s.dropLink(false)
	s.answer(502)
}

func (s *session) serverAborted() {
	s.bothShards(func(sh *pool.Shard) { sh.ServerAborts.Add(1); sh.RespErrors.Add(1) })
}

// downloadCut ends a response that will never be complete.
func (s *session) downloadCut() {
	if s.down.bad != h1.OK {
		s.terminate('P', 'D')
	} else {
		s.terminate('S', 'D')
	}
	s.serverAborted()
	s.abort()
}

// exchangeAborted ends an exchange whose client is gone.
func (s *session) exchangeAborted() {
	when := byte('H')
	if s.responded || s.up.open || s.up.cut {
		when = 'D'
	}
	s.terminate('C', when)
	s.clientAborted()
	s.record()
	s.end()
}

// abandon ends an exchange without a response whose client has sent FIN, for `option abortonclose`. The client may
// still read, and is told what HAProxy tells it.
func (s *session) abandon() {
	s.terminate('C', 'H')
	s.clientAborted()
	s.dropLink(false)
	s.answer(400)
}

// abort ends an exchange in the middle. What has come from the server is still passed on; then the client
// must be able to see that something is missing: where the response's end is the connection's end, RST
// says so.
func (s *session) abort() {
	s.record()
	ambiguous := s.responded && (s.down.framing == h1.BodyUntilClose || s.down.dechunk)
	s.leaveServer(false)
	if ambiguous {
		s.client.push()
		s.client.reset()
		s.end()
		return
	}
	s.keep = false
	s.up.open = false
	s.shutDown()
}

// exchangeClientTimeout is `timeout client` while bodies move.
func (s *session) exchangeClientTimeout() {
	s.terminate('c', 'D')
	if s.up.open && !s.responded && s.client.out.len() == 0 {
		s.feShard().ReqErrors.Add(1)
		s.dropLink(false)
		s.answer(408)
		return
	}
	s.record()
	s.end()
}

// exchangeServerTimeout is `timeout server`.
func (s *session) exchangeServerTimeout() {
	if s.responded {
		s.terminate('s', 'D')
		s.serverAborted()
		s.abort()
		return
	}
	s.target.Server.ReportTraffic(pool.TrafficReadTimeout)
	if s.retry(config.RetryResponseTimeout) {
		return
	}
	s.terminate('s', 'H')
	s.bothShards(func(sh *pool.Shard) { sh.RespErrors.Add(1) })
	s.dropLink(false)
	s.answer(504)
}
