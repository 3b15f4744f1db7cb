package pool

// trail is what the followers of a server (track) need to know of it. It is published at each commit, so that no two
// backends are locked at the same time.
type trail struct {
	admin              Admin
	op                 OpState
	health, rise, fall int
	checking           bool
}

// reference is whose checks a server's state comes from: its own, or those at the end of what it tracks.
func (s *Server) reference() trail {
	if s.tracks != nil {
		if t := s.tracks.trail.Load(); t != nil {
			return *t
		}
	}
	st := &s.state
	return trail{health: st.health, rise: s.Rise, fall: s.Fall, checking: s.checking()}
}

// Track makes a server without checks follow the state of another, of this backend or another one: up and down,
// maintenance and drain (HAProxy, section 5.2, track). It must be called before traffic starts, and must make no loop.
func (s *Server) Track(other *Server) {
	s.tracks = other
	other.trailed = append(other.trailed, s)
	other.Backend.commit(func(*change) {})
}

// Tracks returns the server that this one follows, nil if none.
func (s *Server) Tracks() *Server { return s.tracks }

// publishTrails tells which servers have followers that must look at them; the lock is held.
func (b *Backend) publishTrails() (changed []*Server) {
	for _, s := range b.servers {
		if len(s.trailed) == 0 {
			continue
		}
		t := s.reference()
		t.admin, t.op = s.state.admin, s.state.op
		if old := s.trail.Load(); old == nil || *old != t {
			s.trail.Store(&t)
			changed = append(changed, s)
		}
	}
	return changed
}

// follow makes a server what the one is that it tracks. It states all that is so now, so that followers of changes that
// overtake each other end up right.
func (s *Server) follow() {
	s.Backend.commit(func(c *change) {
		t := s.tracks.trail.Load()
		if t == nil {
			return
		}
		st := &s.state
		via := " via " + s.tracks.path()
		if t.admin.Maint() {
			c.enterMaintText(s, InheritedMaint, via)
			return
		}
		c.leaveMaint(s, InheritedMaint, CauseTracking)
		if drains := t.admin.Drain(); drains != (st.admin&InheritedDrain != 0) {
			c.drain(s, InheritedDrain, drains, via)
		}
		if st.admin.Maint() || t.op == st.op || t.op != Stopped && t.op != Stopping && st.op != Stopped && st.op != Stopping {
			return
		}
		switch t.op {
		case Stopped:
			st.health = 0
			c.markDown(s)
			c.event(EventDown, Alert, s, "%sServer %s is DOWN%s. %s", backupWord(s), s.path(), via, c.left(s))
		case Stopping:
			st.health = s.maxHealth()
			c.stopping(s, via)
		default:
			st.health = s.maxHealth()
			c.markUp(s)
			c.event(EventUp, Notice, s, "%sServer %s is UP%s. %s", backupWord(s), s.path(), via, c.online(s))
		}
	})
}

// trailUp says whether a tracked server was up at its last commit.
func (s *Server) trailUp() bool {
	t := s.trail.Load()
	return t == nil || t.op != Stopped
}
