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
	b.unsent = append(b.unsent, c.events...)
	b.mu.Unlock()

	if changed {
		b.pool.signal()
		b.scatter()
		b.drainQueue()
	}
	b.tell()
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
		Time: c.now, Kind: kind, Level: level, Backend: c.b, Server: s, Text: fmt.Sprintf(format, args...),
	})
}

// operational makes the operational state follow the health integer and reports the transition.
func (c *change) operational(s *Server, cause Cause) {
	st := &s.state
	why := st.check.reason()
	if cause != CauseHealth {
		why = cause.String()
	}
	switch healthy := st.health >= s.Rise; {
	case healthy && (st.op == Stopped || st.op == Stopping):
		c.markUp(s)
		c.event(EventUp, Notice, s, "%sServer %s is UP, %s. %s", backupWord(s), s.path(), why, c.online(s))
	case !healthy && st.op != Stopped:
		c.markDown(s)
		c.event(EventDown, Alert, s, "%sServer %s is DOWN, %s. %s", backupWord(s), s.path(), why, c.left(s))
	}
}

// enterMaint sets an administrative maintenance bit.
func (c *change) enterMaint(s *Server, bit Admin, cause Cause) {
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
		c.event(EventMaint, Warning, s, "%sServer %s was DOWN and now enters maintenance%s.", backupWord(s), s.path(), cause.parenthesis())
		return
	}
	c.markDown(s)
	c.event(EventMaint, Warning, s, "%sServer %s is going DOWN for maintenance%s. %s", backupWord(s), s.path(), cause.parenthesis(), c.left(s))
}

// leaveMaint clears an administrative maintenance bit. A server that leaves its last one is up at
// once, with its health at rise: one failed check takes it down.
func (c *change) leaveMaint(s *Server, bit Admin, cause Cause) {
	st := &s.state
	if st.admin&bit == 0 {
		return
	}
	st.admin &^= bit
	if st.admin.Maint() {
		return
	}
	st.health = s.maxHealth()
	if s.Check {
		st.health = s.Rise
	}
	st.check, st.checked = CheckResult{Status: CheckInit}, false
	c.markUp(s)
	if cause == CauseResolved {
		c.event(EventReady, Warning, s, "%sServer %s ('%s') is UP/READY (%s).", backupWord(s), s.path(), s.FQDN, cause)
		c.event(EventReady, Warning, s, "%sServer %s administratively READY thanks to valid DNS answer.", backupWord(s), s.path())
		return
	}
	c.event(EventReady, Warning, s, "%sServer %s is UP/READY (leaving forced maintenance).", backupWord(s), s.path())
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
		c.event(EventBackendUp, Notice, nil, "backend %s has a server available again.", b.Name)
		return
	}
	b.changed = c.now
	b.downs++
	c.event(EventBackendDown, Emergency, nil, "backend %s has no server available!", b.Name)
}

// online is the end of HAProxy's lines about a server that is up.
func (c *change) online(s *Server) string {
	active, backup := c.b.count()
	return fmt.Sprintf("%d active and %d backup servers online.%s 0 sessions requeued, %d total in queue.",
		active, backup, runningOnBackup(active, backup), s.Queue.Load())
}

// left is the end of HAProxy's lines about a server that goes down.
func (c *change) left(s *Server) string {
	active, backup := c.b.count()
	return fmt.Sprintf("%d active and %d backup servers left.%s %d sessions active, 0 requeued, %d remaining in queue.",
		active, backup, runningOnBackup(active, backup), s.Sessions.Load(), s.Queue.Load())
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
