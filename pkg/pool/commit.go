package pool

import (
	"fmt"
	"time"
)

// change is one transaction on a backend's state, under its lock.
type change struct {
	b      *Backend
	now    time.Time
	events []Event
}

// commit is the one place where state changes: it runs fn under the lock, derives the backend's own
// state, publishes the snapshot and then, without the lock, tells the observers and wakes the queue.
func (b *Backend) commit(fn func(*change)) {
	b.mu.Lock()
	c := &change{b: b, now: time.Now()}
	fn(c)
	c.backend()
	changed := b.publish()
	trails := b.publishTrails()
	b.unsent = append(b.unsent, c.events...)
	b.mu.Unlock()

	if changed {
		b.pool.signal()
		b.scatter()
		b.drainQueue()
	}
	b.tell()
	for _, s := range trails {
		for _, follower := range s.trailed {
			follower.follow()
		}
	}
}

// tell gives the observers the events that were committed, in commit order. Of goroutines that commit
// at the same time one tells the events of all; so an observer may itself change state.
func (b *Backend) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.telling {
		return
	}
	b.telling = true
	for len(b.unsent) > 0 {
		events := b.unsent
		b.unsent = nil
		b.mu.Unlock()
		b.pool.emit(events)
		b.mu.Lock()
	}
	b.telling = false
}

func (c *change) event(kind EventKind, level Level, s *Server, format string, args ...any) {
	c.events = append(c.events, Event{
		Kind: kind, Level: level, Backend: c.b, Server: s, Text: fmt.Sprintf(format, args...),
	})
}

// operational makes the operational state follow what checks and agent say, and reports the transition and why: "", or words that begin with a comma.
func (c *change) operational(s *Server, why string) {
	st := &s.state
	switch healthy := s.healthy(); {
	case healthy && (st.op == Stopped || st.op == Stopping):
		c.markUp(s)
		c.event(EventUp, Notice, s, "%sServer %s is UP%s. %s", backupWord(s), s.path(), why, c.online(s))
	case !healthy && st.op != Stopped:
		c.markDown(s)
		c.event(EventDown, Alert, s, "%sServer %s is DOWN%s. %s", backupWord(s), s.path(), why, c.left(s))
	}
}

// stopping takes a server out of balancing without its being down.
func (c *change) stopping(s *Server, why string) {
	st := &s.state
	if st.op == Stopping || st.admin.Maint() {
		return
	}
	c.markUp(s)
	st.op = Stopping
	c.event(EventDrain, Notice, s, "%sServer %s is stopping%s. %s", backupWord(s), s.path(), why, c.online(s))
}

// enterMaint sets an administrative maintenance bit.
func (c *change) enterMaint(s *Server, bit Admin, cause Cause) {
	c.enterMaintText(s, bit, cause.parenthesis())
}

// enterMaintText is enterMaint with the words of the cause.
func (c *change) enterMaintText(s *Server, bit Admin, cause string) {
	st := &s.state
	if st.admin&bit != 0 {
		return
	}
	was := st.admin
	st.admin |= bit
	if was.Maint() {
		return
	}
	if st.op == Stopped {
		c.event(EventMaint, Warning, s, "%sServer %s was DOWN and now enters maintenance%s.", backupWord(s), s.path(), cause)
		return
	}
	c.markDown(s)
	c.event(EventMaint, Warning, s, "%sServer %s is going DOWN for maintenance%s. %s", backupWord(s), s.path(), cause, c.left(s))
}

// leaveMaint clears an administrative maintenance bit. A server that leaves its last one begins anew: it is up at once,
// with its health at rise, so that one failed check takes it down, unless init-state says otherwise. One whose agent has
// said that it is down stays down.
func (c *change) leaveMaint(s *Server, bit Admin, cause Cause) {
	st := &s.state
	if st.admin&bit == 0 {
		return
	}
	st.admin &^= bit
	if st.admin.Maint() {
		return
	}
	word := "DOWN"
	c.renew(s)
	if s.healthy() && (s.tracks == nil || bit == InheritedMaint || s.tracks.trailUp()) {
		word = "UP"
		c.markUp(s)
	}
	switch cause {
	case CauseResolved:
		c.event(EventReady, Warning, s, "%sServer %s ('%s') is %s/READY (%s).", backupWord(s), s.path(), s.name(), word, cause)
		c.event(EventReady, Warning, s, "%sServer %s administratively READY thanks to valid DNS answer.", backupWord(s), s.path())
	case CauseTracking:
		c.event(EventReady, Warning, s, "%sServer %s is %s/READY (leaving maintenance).", backupWord(s), s.path(), word)
	default:
		c.event(EventReady, Warning, s, "%sServer %s is %s/READY (leaving forced maintenance).", backupWord(s), s.path(), word)
	}
}

// renew forgets what checks have said.
func (c *change) renew(s *Server) {
	s.state.health = s.initialHealth()
	s.state.check, s.state.checked = CheckResult{Status: CheckInit}, false
}

func (c *change) markUp(s *Server) {
	st := &s.state
	switch st.op {
	case Stopped:
		st.downtime += c.now.Sub(st.changed)
	case Stopping:
	default:
		return
	}
	st.op = Running
	if s.startsSlowly(c.now) {
		st.op = Starting
	}
	st.changed = c.now
	s.warm(c.now)
}

func (c *change) markDown(s *Server) {
	st := &s.state
	if st.op == Stopped {
		return
	}
	st.op = Stopped
	st.downs++
	st.changed = c.now
}

// backend derives whether the backend as a whole is up from its servers.
func (c *change) backend() {
	b := c.b
	active, backup := b.count()
	up := active+backup > 0
	if up == b.hasUp {
		return
	}
	b.hasUp = up
	if up {
		b.downtime += c.now.Sub(b.changed)
		b.changed = c.now
		c.event(EventBackendUp, Notice, nil, "%s %s has a server available again.", b.word(), b.Name)
		return
	}
	b.changed = c.now
	b.downs++
	c.event(EventBackendDown, Emergency, nil, "%s %s has no server available!", b.word(), b.Name)
}

// word is what HAProxy's lines call it.
func (b *Backend) word() string {
	if b.Listen {
		return "proxy"
	}
	return "backend"
}

// online is the end of HAProxy's lines about a server that is up.
func (c *change) online(s *Server) string {
	active, backup := c.b.count()
	return fmt.Sprintf("%d active and %d backup servers online.%s %d sessions requeued, %d total in queue.",
		active, backup, runningOnBackup(active, backup), c.taken(s), s.Queue.Load())
}

// left is the end of HAProxy's lines about a server that goes down.
func (c *change) left(s *Server) string {
	active, backup := c.b.count()
	requeued, remain := int64(0), s.Queue.Load()
	if c.b.Requeue {
		requeued, remain = remain, 0
	}
	return fmt.Sprintf("%d active and %d backup servers left.%s %d sessions active, %d requeued, %d remaining in queue.",
		active, backup, runningOnBackup(active, backup), s.Sessions.Load(), requeued, remain)
}

// taken is how many of those who wait for any server one that has come up takes.
func (c *change) taken(s *Server) int64 {
	if !s.usable() || s.Backup && c.b.hasActive() {
		return 0
	}
	return max(0, min(c.b.Queue.Load(), s.room()))
}

// hasActive says whether a server is up that is no backup; the lock is held.
func (b *Backend) hasActive() bool {
	active, _ := b.count()
	return active > 0
}

func runningOnBackup(active, backup int) string {
	if active == 0 && backup > 0 {
		return " Running on backup."
	}
	return ""
}

func backupWord(s *Server) string {
	if s.Backup {
		return "Backup "
	}
	return ""
}

func (s *Server) path() string { return s.Backend.Name + "/" + s.Name }
