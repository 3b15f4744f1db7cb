package proxy

import (
	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/proxy/h1"
)

// whole says whether all of the request is still in the buffer, so that it can be sent again.
func (s *session) whole() bool {
	switch s.req.Framing {
	case h1.BodyNone:
		return true
	case h1.BodyLength:
		return s.req.ContentLength <= int64(s.client.in.len()-s.headLen) && !s.forgotten
	case h1.BodyChunked:
		return s.up.complete() && !s.forgotten
	}
	return false
}

// rewind parts with the server's connection and makes the request ready to be sent from its start.
func (s *session) rewind() {
	s.dropLink(false)
	s.taken, s.respLen = s.headLen, 0
	s.resp.Reset()
	s.up.drop(s.w)
	s.up.begin(s.req.Framing, s.req.ContentLength)
	s.w.loop.Disarm(&s.serverTimer)
}

// repeat sends the request again over a new connection to the same server: the kept one was stale. With `option
// redispatch` it goes to another one, as other retries do: a server that dies cuts its kept connections first, while
// it still takes new ones.
func (s *session) repeat() {
	s.rewind()
	if !s.redispatch && s.be.cfg.Options.Redispatch && s.elsewhere() {
		s.redispatchNow()
		return
	}
	s.bothShards(func(sh *pool.Shard) { sh.Retries.Add(1) })
	s.connect()
}

// retry sends the request again after a failure that `retry-on` names, whatever its method, as HAProxy does: whoever
// writes the line knows, and has `disable-l7-retry`. It counts as one of `retries`, and `option redispatch` says
// whether it goes to another server. It reports whether it did.
func (s *session) retry(cause config.RetryOn) bool {
	b := s.be.cfg
	if cause == 0 || b.RetryOn&cause == 0 || s.once || s.responded || s.retries >= b.Retries || !s.whole() {
		return false
	}
	s.rewind()
	s.retries++
	target, usable := refresh(s.target)
	if !usable || s.redispatches() {
		s.redispatchNow()
		return true
	}
	s.bothShards(func(sh *pool.Shard) { sh.Retries.Add(1) })
	s.target = s.aim(target)
	s.connect()
	return true
}
