package proxy

import (
	"time"

	"waggle/pkg/config"
	"waggle/pkg/proxy/h1"
	"waggle/pkg/sample"
)

// payload is what of a request's body has come before anything is done with it: rules look at it, or wait for it.
type payload struct {
	chunks   h1.Chunked // of a chunked body
	seen     int        // bytes behind the head that chunks has been shown
	deadline time.Duration
	least    int64 // bytes that are enough; 0 = all
	invited  bool  // a client that asked for 100 Continue has it, or is about to
}

// buffersBody is what `option http-buffer-request` has of a proxy: nothing is done with a request before its body, or as much
// of it as fits the buffer, has come.
func (s *session) buffersBody(p *config.Proxy, limit time.Duration) outcome {
	if !p.Options.BufferRequest || s.gathered(0) {
		return passed
	}
	s.awaitBody(limit, 0)
	return answered
}

// gathered says whether least bytes of the body have come, 0 for all, or as many as there is room for.
func (s *session) gathered(least int64) bool {
	have, whole := s.arrived()
	return whole || least > 0 && have >= least || s.client.in.len() >= s.w.buffers.size || s.up.bad != h1.OK
}

// arrived counts the bytes of the body that are in the buffer, without its framing, and says whether that is all.
func (s *session) arrived() (have int64, whole bool) {
	b := s.client.in.bytes()[s.headLen:]
	switch s.req.Framing {
	case h1.BodyLength:
		have = min(int64(len(b)), s.req.ContentLength)
		return have, have == s.req.ContentLength
	case h1.BodyChunked:
		p := &s.payload
		if s.up.bad == h1.OK && p.seen < len(b) {
			n, _, why := p.chunks.Scan(b[p.seen:])
			p.seen += n
			s.up.bad = why
		}
		return p.chunks.Payload(), p.chunks.Done()
	}
	return 0, true
}

// awaitBody begins to wait until least bytes of the body have come, 0 for all, for as long as limit says, 0 for as long as
// the client says something. What called it is called again then.
func (s *session) awaitBody(limit time.Duration, least int64) {
	s.phase = buffering
	s.clock.heard = 0
	s.payload.least, s.payload.deadline = least, 0
	if limit > 0 {
		s.payload.deadline = s.w.loop.Now() + limit
	}
	s.client.active = true // the time begins now
}

// bufferBody waits for more of the body.
func (s *session) bufferBody() step {
	c := &s.client
	if c.broken || c.lost {
		s.clientGone()
		return moved
	}
	if s.req.Expect100 && !s.payload.invited && !s.invite() {
		return stuck
	}
	if s.gathered(s.payload.least) {
		s.bodyGathered()
		return moved
	}
	if !c.fill() {
		return stuck
	}
	s.req.Rebase(c.in.bytes())
	if c.eof { // nothing is answered to half a request, as with HAProxy
		s.clock.heard = s.w.loop.Now()
		s.clientGone()
	}
	return moved
}

// bodyGathered goes on with the request.
func (s *session) bodyGathered() {
	s.clock.heard = s.w.loop.Now()
	s.w.loop.Disarm(&s.clientTimer)
	s.req.Rebase(s.client.in.bytes())
	if s.up.bad != h1.OK {
		s.terminate('P', 'R')
		s.badBody()
		return
	}
	s.proceed()
}

// invite tells the client to send its body, in place of the server, who is not asked any more.
func (s *session) invite() bool {
	if !s.client.reserve(len(h1.Continue)) {
		return false
	}
	out := &s.client.out
	out.w += copy(out.free(), h1.Continue)
	s.client.send()
	s.payload.invited = true
	s.edits.Del("expect")
	return true
}

// skipBody gets a body that nobody will be sent, and that is all in the buffer, out of the way of the next request.
func (s *session) skipBody() {
	if s.clock.head == 0 || !s.up.open || s.taken != s.headLen {
		return
	}
	have, whole := s.arrived()
	if !whole || s.up.bad != h1.OK {
		return
	}
	if s.req.Framing == h1.BodyChunked {
		have = int64(s.payload.seen)
	}
	s.taken += int(have)
	s.up.open = false
}

// bodyTimeout answers a client whose body is too slow.
func (s *session) bodyTimeout() {
	s.terminate('c', 'R')
	s.feShard().ReqErrors.Add(1)
	s.answer(408)
}

// armBody bounds the wait, and the silence of the client.
func (s *session) armBody() {
	if !s.client.active {
		return
	}
	wait := s.fe.timeouts.client
	if d := s.payload.deadline; d > 0 {
		wait = shorter(max(d-s.w.loop.Now(), time.Millisecond), wait)
	}
	s.w.loop.Arm(&s.clientTimer, wait)
}

var _ sample.Payload = (*subject)(nil)

// bodyAhead says whether there is a request of which nothing behind the head has been passed on.
func (s *subject) bodyAhead() bool { return s.http() && s.head() && s.taken == s.headLen }

// Body implements sample.Payload.
func (s *subject) Body() (body []byte, ok bool) {
	if !s.bodyAhead() {
		return nil, false
	}
	b := s.client.in.bytes()[s.headLen:]
	switch s.req.Framing {
	case h1.BodyLength:
		return b[:min(int64(len(b)), s.req.ContentLength)], true
	case h1.BodyChunked:
		var chunks h1.Chunked
		s.w.payload, _, _, _ = chunks.AppendPayload(s.w.payload[:0], b)
		return s.w.payload, true
	}
	return b[:0], true
}

// BodySize implements sample.Payload.
func (s *subject) BodySize() (size int64, ok bool) {
	if !s.bodyAhead() {
		return 0, false
	}
	if s.req.Framing == h1.BodyLength {
		return s.req.ContentLength, true
	}
	have, _ := (*session)(s).arrived()
	return have + s.payload.chunks.Remaining(), true
}
