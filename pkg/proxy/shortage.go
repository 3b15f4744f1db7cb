package proxy

import (
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/proxy/sock"
)

// Shortages tells how often a connection could not be opened because the process, or the machine, is out of something:
// descriptors, memory, source ports.
type Shortages struct {
	Accepts  uint64 // clients that had to wait in the accept queue
	Connects uint64 // connections to servers
	Last     time.Time
}

// warnEvery is how often a shortage is said in the log while it lasts. Each client and each attempt adds to it.
const warnEvery = 10 * time.Second

// shortages counts. Loops share it, since there is little to count while all is well.
type shortages struct {
	mu     sync.Mutex
	now    Shortages
	warned [2]time.Time // accepts, connects
	before [2]uint64    // how many there were then
}

// note counts one more; more is how many there have been since the log was last told, if it is to be told now.
func (s *shortages) note(connect bool, now time.Time) (more uint64, say bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	count, kind := &s.now.Accepts, 0
	if connect {
		count, kind = &s.now.Connects, 1
	}
	*count++
	s.now.Last = now
	if !s.warned[kind].IsZero() && now.Sub(s.warned[kind]) < warnEvery {
		return 0, false
	}
	more = *count - s.before[kind]
	s.warned[kind], s.before[kind] = now, *count
	return more, true
}

// Shortages may be called from any goroutine.
func (e *Engine) Shortages() Shortages {
	e.shortages.mu.Lock()
	defer e.shortages.mu.Unlock()
	return e.shortages.now
}

// scarce says whether an error is this machine's and says nothing about the peer: tcp(7), socket(2), accept(2).
func scarce(errno unix.Errno) bool {
	switch errno {
	case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EAGAIN:
		return true
	}
	return sock.Taken(errno)
}

// blame is the first letter of the termination state of a connection to a server that could not be begun.
func blame(errno unix.Errno) byte {
	if scarce(errno) {
		return 'R'
	}
	return 'S'
}

// cannotAccept tells of a client that waits although there is a place for it.
func (l *listener) cannotAccept(errno unix.Errno) {
	if more, say := l.w.e.shortages.note(false, time.Now()); say {
		l.w.e.log.Warn("cannot accept connections for a moment", "frontend", l.fe.cfg.Name, "error", errno, slog.Uint64("times", more))
	}
}

// cannotConnect tells of a connection to a server that could not even be begun.
func (s *session) cannotConnect(errno unix.Errno) {
	if more, say := s.w.e.shortages.note(true, time.Now()); say {
		s.w.e.log.Warn("cannot connect to servers for a moment", "backend", s.be.cfg.Name, "server", s.target.Server.Name,
			"error", errno, slog.Uint64("times", more))
	}
}
