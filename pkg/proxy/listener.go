package proxy

import (
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/pool"
	"waggle/pkg/proxy/adapter"
	"waggle/pkg/proxy/loop"
	"waggle/pkg/proxy/sock"
)

// listener is one loop's listening socket of a bind line.
type listener struct {
	w           *worker
	fe          *frontend
	bind        *bindLimit
	at          *binding
	front       *adapter.Front // speaks TLS or HTTP/2 with the clients; nil: they speak HTTP/1 or what is not ours
	fd          int            // -1 when it is closed
	paused      bool
	acceptProxy bool // connections begin with a PROXY header
	held        bool // connections wait in the accept queue for a place, as far as is known
	silent      bool // an operator has switched the frontend off
}

// acceptRound bounds how many connections are accepted before other sockets get their turn.
const acceptRound = 64

// recheckEvery is how often a paused listener looks again on its own: the kernel path frees places without
// telling us.
const recheckEvery = 10 * time.Millisecond

// retryAccept is how long listeners wait when there is no descriptor for a client, as in HAProxy (listener_accept); the end
// of a session ends that wait, too.
const retryAccept = 100 * time.Millisecond

func (l *listener) start() error { return l.w.loop.AddLevel(l.fd, l) }

// Ready implements loop.Handler.
func (l *listener) Ready(loop.Events) { l.accept(acceptRound) }

// accept takes up to n connections off the queue, or all if they have waited. Over a limit they stay there, as
// with HAProxy.
func (l *listener) accept(n int) {
	for i := 0; i < n || l.held; i++ {
		if !l.admit() {
			l.pause()
			return
		}
		fd, peer, errno := sock.Accept(l.fd)
		if errno != 0 {
			l.fe.leave(l.bind)
			if errno == unix.EAGAIN {
				l.hold(false)
			} else {
				l.cannotAccept(errno)
				l.pause()
				l.w.loop.Arm(&l.w.recheck, retryAccept)
			}
			return
		}
		l.w.accepted(l, fd, peer)
	}
}

// admit takes a place in the process, the frontend and the bind line; false if one of them is full. Whether anybody is there
// to take it is known only afterwards.
func (l *listener) admit() bool {
	if !l.fe.admit() {
		return false
	}
	if !l.bind.enter() {
		l.fe.leave(nil)
		return false
	}
	return true
}

func (f *frontend) admit() bool {
	p := f.plan.pool
	if !p.Process.Conns.Reserve(int64(p.Limit())) {
		return false
	}
	if !f.stats.Sessions.Reserve(int64(f.stats.Limit())) {
		p.Process.Conns.Add(-1)
		return false
	}
	return true
}

// room says whether admit has a chance.
func (f *frontend) room() bool {
	free := func(g *pool.Gauge, limit int) bool { return limit <= 0 || g.Taken() < int64(limit) }
	p := f.plan.pool
	return free(&p.Process.Conns, p.Limit()) && free(&f.stats.Sessions, f.stats.Limit())
}

// leave gives the place back.
func (f *frontend) leave(bind *bindLimit) {
	bind.leave()
	f.stats.Sessions.Add(-1)
	f.plan.pool.Process.Conns.Add(-1)
}

func (l *listener) pause() {
	if l.paused {
		return
	}
	l.paused = true
	l.hold(true)
	l.w.loop.Remove(l.fd)
	l.fe.stats.SetStatus(pool.FrontendFull)
	l.w.e.paused.Add(1)
	l.w.loop.Arm(&l.w.recheck, recheckEvery)
}

// hold tells the kernel path that connections wait here, or no more do, so that it does not let others pass them.
func (l *listener) hold(on bool) {
	if l.held == on {
		return
	}
	l.held = on
	if on {
		l.fe.stats.Hold(1)
	} else {
		l.fe.stats.Hold(-1)
	}
}

// resume lets paused listeners accept again.
func (w *worker) resume() {
	for _, l := range w.listeners {
		if l.paused && l.fd >= 0 {
			if !l.fe.room() || !l.bind.room() {
				w.loop.Arm(&w.recheck, recheckEvery)
				continue
			}
			l.paused = false
			w.e.paused.Add(-1)
			l.fe.stats.SetStatus(pool.FrontendOpen)
			if err := l.start(); err != nil {
				w.e.log.Error("cannot resume a listener", "frontend", l.fe.cfg.Name, "error", err)
				continue
			}
			l.accept(acceptRound)
		}
	}
}

// close accepts what waits in the queue, since closing resets it, and closes the socket.
func (l *listener) close() {
	if l.fd < 0 {
		return
	}
	if !l.silent {
		l.leaveLoop(l.w.loop.Forget)
	}
	sock.Close(l.fd)
	l.fd = -1
	l.fe.stats.SetStatus(pool.FrontendStopped)
}

// leaveLoop accepts what waits in the queue, and nothing any more. How the loop lets go of the socket depends on whether it
// is closed next.
func (l *listener) leaveLoop(letGo func(fd int)) {
	if !l.paused {
		l.accept(drainAccepts)
	}
	if l.paused {
		l.paused = false
		l.w.e.paused.Add(-1)
	} else {
		letGo(l.fd)
	}
	l.hold(false)
}

// drainAccepts bounds what a listener takes in before it closes.
const drainAccepts = 4096
