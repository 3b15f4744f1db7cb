package proxy

import (
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/pool"
	"waggle/pkg/proxy/adapter"
	"waggle/pkg/proxy/loop"
	"waggle/pkg/proxy/sock"
)

// listener is one loop's part in the listening socket of a bind line.
type listener struct {
	w           *worker
	fe          *frontend
	bind        *bindLimit
	at          *binding
	front       *adapter.Front // speaks TLS with the clients; nil: they speak clear text
	proto       string         // what they speak, h1 or h2; "": HTTP/1 unless they begin with HTTP/2
	fd          int            // -1 when it is closed
	paused      bool
	acceptProxy bool     // connections begin with a PROXY header
	waits       shortage // what those in the accept queue wait for, as far as is known
	silent      bool     // an operator has switched the frontend off
}

// shortage says of what there is too little for another connection.
type shortage uint8

const (
	nothing     shortage = iota
	ownPlaces            // places of the frontend or the bind line
	ownPace              // what the frontend may take in a second
	processWide          // places of the process, for which others may wait elsewhere
	noDescriptor
)

// acceptRound bounds how many connections are accepted before other sockets get their turn.
const acceptRound = 64

// recheckEvery is how often a paused listener looks again on its own: the kernel path frees places without
// telling us.
const recheckEvery = 10 * time.Millisecond

// retryAccept is how long listeners wait when there is no descriptor for a client, as in HAProxy (listener_accept); the end
// of a session ends that wait, too.
const retryAccept = 100 * time.Millisecond

// serve has the listener accept for a binding.
func (l *listener) serve(b *binding) {
	l.at, l.fe, l.bind, l.front, l.acceptProxy, l.proto = b, b.fe, b.limit, b.front, b.line.AcceptProxy, b.line.Proto
}

func (l *listener) start() error { return l.w.loop.AddShared(l.fd, l) }

// Ready implements loop.Handler.
func (l *listener) Ready(loop.Events) {
	if l.fe.plan.pool.Held() > 0 { // others have come before, elsewhere
		l.pause(processWide)
		l.w.resume()
		return
	}
	l.accept(acceptRound)
}

// accept takes up to n connections off the queue. Over a limit they stay there, as with HAProxy. It is called where somebody
// waits; whether another one does when the last place is taken is left to the next event to tell, so that nothing is held up
// for nobody.
func (l *listener) accept(n int) {
	for i := 0; i < n && (i == 0 || l.room()) && l.acceptOne(); i++ {
	}
}

// acceptOne takes one connection off the queue. It returns false if there is none, or no place for it.
func (l *listener) acceptOne() bool {
	if short := l.admit(); short != nothing {
		l.pause(short)
		return false
	}
	return l.take()
}

// take is acceptOne for a place that has been reserved.
func (l *listener) take() bool {
	fd, peer, errno := sock.Accept(l.fd)
	switch errno {
	case 0:
		l.accepted(fd, peer)
		return true
	case unix.EAGAIN:
		l.fe.cancel(l.bind)
		l.hold(nothing)
	default:
		l.fe.cancel(l.bind)
		l.cannotAccept(errno)
		l.pause(noDescriptor)
	}
	return false
}

// admit reserves a place in the process, the frontend and the bind line, or says where there is none. Whether anybody is there
// to take it is known only afterwards.
func (l *listener) admit() shortage {
	if short := l.fe.admit(); short != nothing {
		return short
	}
	if pace := &l.fe.stats.Pace; pace.Bounded() && !pace.Reserve(l.w.date()) {
		l.fe.leavePlaces()
		return ownPace
	}
	if !l.bind.reserve() {
		l.fe.cancel(nil)
		return ownPlaces
	}
	return nothing
}

func (f *frontend) admit() shortage {
	p := f.plan.pool
	if !p.Process.Conns.Reserve(int64(p.Limit())) {
		return processWide
	}
	if !f.stats.Sessions.Reserve(int64(f.stats.Limit())) {
		p.Process.Conns.Cancel()
		return ownPlaces
	}
	return nothing
}

// room says whether admit has a chance.
func (l *listener) room() bool {
	free := func(g *pool.Gauge, limit int) bool { return limit <= 0 || g.Taken() < int64(limit) }
	p := l.fe.plan.pool
	return free(&p.Process.Conns, p.Limit()) && free(&l.fe.stats.Sessions, l.fe.stats.Limit()) && l.bind.room() && l.inPace()
}

func (l *listener) inPace() bool {
	pace := &l.fe.stats.Pace
	return !pace.Bounded() || pace.Allows(l.w.date())
}

// cancel gives back a place for which nobody came.
func (f *frontend) cancel(bind *bindLimit) {
	bind.cancel()
	if f.stats.Pace.Bounded() {
		f.stats.Pace.Cancel()
	}
	f.leavePlaces()
}

// leavePlaces is cancel of those that fe.admit has reserved.
func (f *frontend) leavePlaces() {
	f.stats.Sessions.Cancel()
	f.plan.pool.Process.Conns.Cancel()
}

// leave gives back the place of a connection.
func (f *frontend) leave(bind *bindLimit) {
	bind.leave()
	f.stats.Sessions.Add(-1)
	f.plan.pool.Process.Conns.Add(-1)
}

// pause ends polling until there is a place.
func (l *listener) pause(short shortage) {
	l.hold(short)
	if l.paused {
		return
	}
	l.paused = true
	l.w.loop.Remove(l.fd)
	l.fe.stats.SetStatus(pool.FrontendFull)
	l.w.e.paused.Add(1)
	l.w.loop.Arm(&l.w.recheck, short.recheck())
}

// recheck is when a listener looks again although nobody has told it of anything.
func (s shortage) recheck() time.Duration {
	if s == noDescriptor {
		return retryAccept
	}
	return recheckEvery
}

// hold tells the other loops and the kernel path that connections wait here, and for what, or that none do any more: others do
// not pass them then.
func (l *listener) hold(short shortage) {
	if short != l.waits {
		l.holdFor(short, 1)
		l.holdFor(l.waits, -1)
		l.waits = short
	}
}

func (l *listener) holdFor(short shortage, n int32) {
	switch short {
	case ownPlaces, ownPace, noDescriptor:
		l.fe.stats.Hold(int64(n))
	case processWide:
		l.fe.plan.pool.Hold(int64(n))
	default:
		return
	}
	l.at.in.waited.Add(n)
}

// resume gives places that have come free to those who wait, and has listeners accept again for whom nobody waits any more.
func (w *worker) resume() {
	for w.takeTurn() {
	}
	next := time.Duration(0)
	for _, l := range w.listeners {
		switch {
		case !l.paused || l.fd < 0:
		case l.waits == nothing:
			l.unpause()
		case next == 0 || l.waits.recheck() < next:
			next = l.waits.recheck()
		}
	}
	if next > 0 {
		w.loop.Arm(&w.recheck, next)
	}
}

// takeTurn serves one of those who wait in all accept queues. The addresses take turns, all loops together: the one with the most
// clients, or the first, does not keep the others from being served.
func (w *worker) takeTurn() bool {
	for tries, past := 0, 0; tries < len(w.listeners); {
		turn := w.e.turn.Load()
		l, at := w.whoseTurn(int(turn) + past)
		if l == nil {
			return false
		}
		if short := l.admit(); short != nothing { // before the turn is used, which would be lost to a loop that is quicker
			l.pause(short)
			past++
			tries++
			continue
		}
		if !w.e.turn.CompareAndSwap(turn, uint32(at+1)) { // another loop serves it: the next place is another's
			l.fe.cancel(l.bind)
			continue
		}
		if l.take() {
			return true
		}
		tries++
	}
	return false
}

// whoseTurn is the first listener from turn on where somebody may be given a place, and where it stands; nil: there is none.
func (w *worker) whoseTurn(turn int) (*listener, int) {
	n := len(w.listeners)
	for i := range n {
		at := (turn + i) % n
		l := w.listeners[at]
		if l.fd >= 0 && !l.silent && l.at.in.waited.Load() > 0 && l.room() {
			return l, at
		}
	}
	return nil, 0
}

func (l *listener) unpause() {
	l.paused = false
	l.w.e.paused.Add(-1)
	l.fe.stats.SetStatus(pool.FrontendOpen)
	if err := l.start(); err != nil {
		l.w.e.log.Error("cannot resume a listener", "frontend", l.fe.cfg.Name, "error", err)
	}
}

// close accepts what waits in the queue, since closing resets it, and closes the socket.
func (l *listener) close() {
	if l.fd < 0 {
		return
	}
	if !l.silent {
		l.leaveLoop()
	}
	sock.Close(l.fd)
	l.fd = -1
	l.fe.stats.SetStatus(pool.FrontendStopped)
}

// leaveLoop accepts what waits in the queue, and nothing any more.
func (l *listener) leaveLoop() {
	if !l.paused {
		l.accept(drainAccepts)
	}
	if l.paused {
		l.paused = false
		l.w.e.paused.Add(-1)
	} else {
		l.w.loop.Remove(l.fd)
	}
	l.hold(nothing)
}

// drainAccepts bounds what a listener takes in before it closes.
const drainAccepts = 4096
