package proxy

import (
	"cmp"
	"math"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/proxy/loop"
	"waggle/pkg/sample"
)

// arm sets the timers that the present phase wants. Activity on a socket, in either direction, moves that
// socket's timer, as in HAProxy without `option independent-streams`.
func (s *session) arm() {
	switch s.phase {
	case reading:
		s.armReading()
	case buffering:
		s.armBody()
	case exchanging:
		s.armExchange()
	case tunneling:
		s.armTunnel()
	case replying, draining, gathering:
		s.armClient(true, s.fe.timeouts.client)
	case checking, serving, queued, pausing, connecting, tarpitting:
		s.w.loop.Disarm(&s.clientTimer)
	}
	s.client.active = false
	if s.link != nil {
		s.link.active = false
	}
}

// armExchange: while a request's body comes it is `timeout server` that runs, begun anew by each piece that goes to the server, and
// `timeout client` only where the client has to read, as HAProxy 2.6 does it: a client that stalls is answered 504. Without a
// `timeout server`, where HAProxy waits for ever, `timeout client` is.
func (s *session) armExchange() {
	blocked, jammed := s.clientBlocked(), s.serverBlocked()
	server := s.serverTimeoutNow()
	s.armClient(blocked || server == 0 && s.up.open && !jammed, s.fe.timeouts.client)
	s.armServer(jammed || !blocked, server)
}

// armReading sees to it that a client which has yet to read the end of the response before is not taken for an idle one:
// until it has read that, it has `timeout client`, as with HAProxy (h1_refresh_timeout).
func (s *session) armReading() {
	switch {
	case s.client.jammed():
		if !s.behind || s.client.active {
			s.w.loop.Arm(&s.clientTimer, s.fe.timeouts.client)
		}
		s.behind = true
	case s.behind && s.client.out.len() == 0:
		s.behind = false
		s.awaitHead()
	}
}

// setTimeout has a rule's say about `timeout server` or `timeout tunnel`. What is no time changes nothing.
func (s *session) setTimeout(r *config.HTTPRule) {
	d := r.Time
	if r.Expr != nil {
		ms, ok := s.integer(r.Expr)
		if !ok || ms <= 0 || ms > math.MaxInt32 {
			return
		}
		d = time.Duration(ms) * time.Millisecond
	}
	if r.Target == "tunnel" {
		s.ruled.tunnel = d
	} else {
		s.ruled.server = d
	}
}

func (s *session) serverTimeoutNow() time.Duration {
	return cmp.Or(s.ruled.server, s.be.timeouts.server)
}

// clientBlocked says whether bytes wait for the client to read them. Then nothing is read from the server,
// which therefore cannot be late.
func (s *session) clientBlocked() bool { return s.client.jammed() || s.down.waiting() }

// serverBlocked is the same for the server.
func (s *session) serverBlocked() bool { return s.link.jammed() || s.up.waiting() }

func (s *session) armClient(want bool, d time.Duration) {
	switch {
	case !want:
		s.w.loop.Disarm(&s.clientTimer)
	case s.client.active || !s.clientTimer.Armed():
		s.w.loop.Arm(&s.clientTimer, d)
	}
}

func (s *session) armServer(want bool, d time.Duration) {
	switch {
	case !want:
		s.w.loop.Disarm(&s.serverTimer)
	case s.link.active || !s.serverTimer.Armed():
		s.w.loop.Arm(&s.serverTimer, d)
	}
}

// armTunnel: `timeout tunnel` replaces both sides' timeouts, and so do the -fin ones, where they are set, once a side has
// been shut.
func (s *session) armTunnel() {
	client, server := s.fe.timeouts.client, s.serverTimeoutNow()
	if t := cmp.Or(s.ruled.tunnel, s.be.timeouts.tunnel); t > 0 {
		client, server = t, t
		if s.link.active { // one timeout for the whole: activity anywhere counts
			s.client.active = true
		}
		s.link.active = s.link.active || s.client.active
	}
	if fin := s.fe.timeouts.clientFin; fin > 0 && (s.client.shut || s.client.eof) {
		client = fin
	}
	if fin := s.be.timeouts.serverFin; fin > 0 && (s.link.shut || s.link.eof) {
		server = fin
	}
	blocked, jammed := s.clientBlocked(), s.serverBlocked()
	s.armClient(blocked || !jammed && !s.client.eof, client) // nothing more is expected of a side that has closed
	s.armServer(jammed || !blocked && !s.link.eof, server)
}

// Expired implements loop.Expirer.
func (s *session) Expired(t *loop.Timer) {
	s.wake()
	if t == &s.clientTimer {
		s.clientTimeout()
	} else {
		s.serverTimeout()
	}
}

// clientTimeout is called when the client has been waited for too long.
func (s *session) clientTimeout() {
	switch s.phase {
	case greeting:
		s.feShard().ReqErrors.Add(1)
		s.refuseGreeting(sample.ProxyTimeout)
	case inspecting:
		s.hurried, s.late = true, s.impatient
	case reading:
		s.headTimeout()
	case buffering:
		s.bodyTimeout()
	case gathering:
		s.terminate('c', 'D')
		s.answer(408)
	case exchanging:
		s.exchangeClientTimeout()
	case tunneling:
		s.terminate('c', 'D')
		s.clientAborted()
		s.abort()
	case replying, draining, lingering:
		if s.phase == replying {
			s.terminate('c', 'D')
			s.record()
		}
		s.end()
	}
	s.advance()
}

// serverTimeout is called when the server, or a place on one, has been waited for too long.
func (s *session) serverTimeout() {
	switch s.phase {
	case queued:
		s.queueTimeout()
	case pausing:
		s.reconnect()
	case tarpitting:
		s.refusal(s.refused)
	case connecting:
		s.connectTimeout()
	case exchanging:
		s.exchangeServerTimeout()
	case tunneling:
		if s.w.loop.Left(&s.clientTimer) == 0 { // of both at once, as with timeout tunnel, HAProxy tells of the client's
			s.clientTimeout()
			return
		}
		s.terminate('s', 'D')
		s.bothShards(func(sh *pool.Shard) { sh.ServerAborts.Add(1) }) // and, as with HAProxy, no response error
		s.abort()
	}
	s.advance()
}
