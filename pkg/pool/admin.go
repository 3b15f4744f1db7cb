package pool

import "fmt"

// SetMaint puts a server into forced maintenance on an operator's word, or takes it out of it and of
// the configuration's `disabled`.
func (s *Server) SetMaint(on bool, cause Cause) {
	s.Backend.commit(func(c *change) {
		if on {
			c.enterMaint(s, ForcedMaint, cause)
			return
		}
		c.leaveMaint(s, ForcedMaint|ConfigMaint, cause)
	})
}

// SetDrain stops, or resumes, giving new sessions to a server; persistence may still reach it.
func (s *Server) SetDrain(on bool, cause Cause) {
	s.Backend.commit(func(c *change) {
		st := &s.state
		switch {
		case on && st.admin&ForcedDrain == 0:
			st.admin |= ForcedDrain
			c.event(EventDrain, Warning, s, "%sServer %s enters drain state (%s). %s", backupWord(s), s.path(), cause, c.left(s))
		case !on && st.admin&ForcedDrain != 0:
			st.admin &^= ForcedDrain
			c.event(EventReady, Warning, s, "%sServer %s is UP (leaving forced drain).", backupWord(s), s.path())
		}
	})
}

// MaxWeight is the largest weight of a server (HAProxy, section 5.2).
const MaxWeight = 256

// SetWeight changes the weight used from now on; 0 takes the server out of balancing.
func (s *Server) SetWeight(w int) error {
	if w < 0 || w > MaxWeight {
		return fmt.Errorf("weight %d is out of range: 0 to %d", w, MaxWeight)
	}
	s.Backend.commit(func(*change) { s.state.weight = w })
	return nil
}
