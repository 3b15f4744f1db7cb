package proxy

import (
	"net/netip"
	"time"

	"waggle/pkg/proxy/loop"
	"waggle/pkg/stick"
)

// phase is what a session is doing.
type phase uint8

const (
	ended      phase = iota
	greeting         // the PROXY header of the connection
	inspecting       // what a TCP client says first
	reading          // a request's head, or waiting for one
	buffering        // a request's body, for rules or because it is said so
	gathering        // the same, for a service of ours
	checking         // the password of a request
	serving          // a service goroutine makes the answer
	queued           // no server has room
	tarpitting       // a client that is refused waits for its answer
	pausing          // before another attempt at the same server
	connecting       // to the server
	exchanging       // request and response bodies move
	replying         // an answer of our own is written
	tunneling        // bytes move both ways, opaque
	draining         // the last bytes are written, then the connection is closed
	lingering        // FIN is sent; what the client still sends is thrown away, so that no RST overtakes the answer
)

// session is a client's connection. What it knows of the request, or TCP session, that the connection carries now is its
// transaction, which it has only while there is one: an idle client costs a few hundred bytes.
type session struct {
	w          *worker
	fe         *frontend
	bind       *bindLimit // of the address that the client connected to
	via        *listener  // that accepted it
	prev, next *session   // in the worker's list

	client      conn
	src         netip.AddrPort
	dst         netip.AddrPort // as a PROXY header told; the zero value is what the socket says
	guest       *guest         // the connection that an adapter has, and with it the places in the limits; nil: they are ours
	phase       phase
	again       bool      // queued for the loop's next round
	hurried     bool      // nothing more is waited for while inspecting
	impatient   bool      // `timeout client` ends before the time for inspection does
	late        bool      // it has ended
	behind      bool      // the end of the response before waits for the client to read it
	private     bool      // a connection to a server is this client's alone
	sticky      *counters // what is counted in stick tables; a guest's connection counts by itself
	turn        uint32    // counts requests, to tell a late answer of a service from one of now
	requests    int
	idle        time.Duration // when waiting for the request began, on the loop's clock
	countedIn   int64         // of the client's bytes, already in the counters
	countedOut  int64
	clientTimer loop.Timer

	id    uint64        // see name
	begun time.Duration // when it was named

	*transaction // nil while the client is idle; see wake and rest
}

// times are the moments of a request on the loop's clock; 0 = has not come yet.
type times struct {
	idle, first, head time.Duration
	heard             time.Duration // the head, or the part of the body that was waited for
	queued, assigned  time.Duration
	connected         time.Duration
	response          time.Duration
}

// open begins with what the client says. The time for a first request's head runs since the accept.
func (s *session) open() {
	if s.speaksH2() {
		s.becomeMux()
		return
	}
	if !s.sessionAllowed() {
		return
	}
	if g := s.guest; g == nil {
		s.tally(stick.SessCnt, stick.SessRate)
	} else if !g.opened {
		g.opened = true
		s.tally(stick.SessCnt, stick.SessRate)
	}
	if s.fe.cfg.HTTP {
		s.phase = reading
		return
	}
	s.w.loop.Disarm(&s.clientTimer)
	s.startTCP()
}

// roundBudget is how many steps a session may take before others get their turn.
const roundBudget = 64

// advance does all that can be done now.
func (s *session) advance() {
	if s.phase == ended {
		s.rest()
		return
	}
	s.wake()
	s.requeue()
	for work := 0; s.step() == moved; work++ {
		if work == roundBudget {
			s.yield()
			break
		}
	}
	if s.phase != ended {
		s.arm()
	}
	s.rest()
}

// step does one piece of work.
func (s *session) step() step {
	switch s.phase {
	case greeting:
		return s.greet()
	case inspecting:
		return s.inspect()
	case reading:
		return s.readHead()
	case buffering:
		return s.bufferBody()
	case gathering:
		return s.gather()
	case connecting:
		return s.checkConnect()
	case exchanging:
		return s.exchange()
	case replying:
		return s.writeReply()
	case tunneling:
		return s.tunnel()
	case draining:
		return s.drain()
	case lingering:
		return s.linger()
	case checking, serving, queued, pausing, tarpitting:
		return s.watchClient()
	}
	return stuck
}

// requeue has what an earlier flush had to leave written now that the socket may take it.
func (s *session) requeue() {
	if s.client.out.len() > 0 && s.client.canWrite {
		s.client.send()
	}
	if l := s.link; l != nil && l.out.len() > 0 && l.canWrite {
		l.send()
	}
}

// yield lets other sessions work before this one goes on.
func (s *session) yield() {
	if !s.again {
		s.again = true
		s.w.loop.Again(s)
	}
}

// Run implements loop.Runner.
func (s *session) Run() {
	s.again = false
	s.advance()
}

// watchClient notices a client that is gone for good while we wait for something else. One that has only
// sent FIN still gets its answer.
func (s *session) watchClient() step {
	if s.client.hup {
		s.client.fill()
	}
	if s.client.broken || s.client.lost || s.client.gone || s.client.eof && s.abortsOnClose() {
		s.clientGone()
		return moved
	}
	return stuck
}

// abortsOnClose says whether FIN is enough to give a request up that has no answer yet. As with HAProxy it is the
// backend's word, or before there is one the frontend's that a defaults section gave it.
func (s *session) abortsOnClose() bool {
	if s.be != nil {
		return s.be.cfg.Options.Abortonclose
	}
	return s.fe.cfg.Options.Abortonclose
}

// drain writes the last bytes and closes.
func (s *session) drain() step {
	c := &s.client
	if c.out.len() > 0 && !c.lost {
		c.starved = true
		return stuck
	}
	if !c.lost && s.up.complete() && c.in.len() == 0 {
		c.fill() // something may have come that gets no answer
	}
	if c.lost || c.eof || c.lane != nil || !s.unread() {
		s.end()
		return stuck
	}
	c.finish()
	s.phase = lingering
	s.w.loop.Arm(&s.clientTimer, lingerTime)
	return moved
}

// unread says whether the client may still be sending: closing then would answer with RST, which makes the
// client's system throw away what it has not read of our answer (RFC 9112 section 9.6).
func (s *session) unread() bool {
	return !s.up.complete() || s.phase == draining && s.client.in.len() > 0
}

// lingerTime bounds how long a client may go on sending after its answer.
const lingerTime = 2 * time.Second

// linger throws away what the client sends until it closes.
func (s *session) linger() step {
	c := &s.client
	c.in.consume(c.in.len())
	if !c.fill() {
		return stuck
	}
	if c.eof {
		s.end()
		return stuck
	}
	return moved
}

// shutDown closes the client's connection after what is written to it.
func (s *session) shutDown() {
	s.phase = draining
	s.client.consume(s.taken)
	s.taken = 0
	s.w.loop.Disarm(&s.serverTimer)
}

// end closes everything and retires the session.
func (s *session) end() {
	s.count()
	s.cancelTicket()
	s.sticky.release()
	s.sticky = nil
	s.leaveServer(false)
	if s.private {
		s.w.idle.discardPrivate(s.id)
	}
	s.leaveBackend()
	s.up.drop(s.w)
	s.down.drop(s.w)
	s.client.push() // responses before that nobody has written yet
	if s.client.lane != nil && s.phase != draining && s.phase != reading {
		s.client.reset() // in the middle of something
	}
	if s.fe.cfg.HTTP && s.fe.cfg.Options.NoLinger { // the response has an end, and then comes the reset
		s.client.finish()
	}
	s.client.close()
	s.w.loop.Drop(&s.clientTimer)
	s.w.loop.Drop(&s.serverTimer)
	s.phase = ended
	s.turn++
	s.pending, s.handler = nil, nil
	if s.guest == nil {
		s.w.leave(s.fe, s.bind)
	}
	s.fe.plan.leave()
	s.w.retire(s)
}

// kill ends a session from outside.
func (s *session) kill() {
	s.wake()
	if s.phase != greeting && s.phase != reading && s.phase != draining && s.phase != lingering {
		s.terminate('K', 'D')
		s.record()
	}
	s.end()
	s.rest()
}

// terminate notes why the session ends, once.
func (s *session) terminate(by, when byte) {
	if s.why[0] == '-' {
		s.why = [2]byte{by, when}
	}
}
