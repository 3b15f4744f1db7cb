package pool

import (
	"fmt"
	"net/netip"
)

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
func (s *Server) SetDrain(on bool) {
	s.Backend.commit(func(c *change) {
		if on != (s.state.admin&ForcedDrain != 0) {
			c.drain(s, ForcedDrain, on, "")
		}
	})
}

// drain sets or clears a drain bit; why is part of the line.
func (c *change) drain(s *Server, bit Admin, on bool, why string) {
	st := &s.state
	was := st.admin.Drain()
	st.admin &^= bit
	if on {
		st.admin |= bit
	}
	switch now := st.admin.Drain(); {
	case now && !was:
		c.event(EventDrain, Notice, s, "%sServer %s enters drain state%s. %s", backupWord(s), s.path(), why, c.online(s))
	case was && !now:
		c.event(EventReady, Warning, s, "%sServer %s is UP (leaving forced drain).", backupWord(s), s.path())
	}
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

// SetHealth forces the operational state: Running, Stopping (no new sessions) or Stopped. The next
// checks go on from there; a server without checks stays as it is.
func (s *Server) SetHealth(op OpState, cause Cause) {
	s.Backend.commit(func(c *change) {
		st := &s.state
		switch op {
		case Stopped:
			st.health = 0
			c.operational(s, ", "+cause.String())
		case Stopping:
			st.health = s.Rise
			c.stopping(s, ", "+cause.String())
		default:
			st.health, st.agentHealth = s.maxHealth(), 1
			if !st.admin.Maint() {
				c.operational(s, ", "+cause.String())
			}
		}
	})
}

// SetChecking switches the health checks of a server on or off; without them its state stays as it is.
// It returns false for a server that has none.
func (s *Server) SetChecking(on bool) bool {
	if !s.Check {
		return false
	}
	s.Backend.commit(func(*change) { s.state.unchecked = !on })
	return true
}

// SetCheckTarget changes where checks go to.
func (s *Server) SetCheckTarget(t CheckTarget) {
	s.Backend.commit(func(*change) { s.state.checkAt = t })
}

// SetAddr changes where a server is; port 0 keeps the port. By is who asks for it, for the log. The
// state stays as it is, except that a server that waited for an address leaves that maintenance.
// Discovery, if it decides on the server's address, may change that again, and leaves the port.
func (s *Server) SetAddr(addr netip.Addr, port uint16, by string) {
	s.Backend.commit(func(c *change) {
		st := &s.state
		if port == 0 {
			port = st.addr.Port()
		}
		if next := netip.AddrPortFrom(addr, port); next != st.addr {
			c.readdress(s, next, by)
		}
		c.leaveMaint(s, ResolutionMaint, CauseAddressChange)
	})
}

// readdress changes a server's address and reports it.
func (c *change) readdress(s *Server, next netip.AddrPort, by string) {
	st := &s.state
	old := st.addr
	st.addr, st.addrSince, st.leaving = next, c.now, false
	switch {
	case old.Addr() != next.Addr():
		c.event(EventAddress, Notice, s, "%s changed its IP from %s to %s by %s.", s.path(), orNone(old.Addr()), next.Addr(), by)
	case old.Port() != next.Port():
		c.event(EventAddress, Notice, s, "%s changed its port from %d to %d by %s.", s.path(), old.Port(), next.Port(), by)
	}
}

func orNone(a netip.Addr) string {
	if !a.IsValid() {
		return "(none)"
	}
	return a.String()
}

// Ready ends what an operator has asked for: maintenance and drain.
func (s *Server) Ready(cause Cause) {
	s.SetDrain(false)
	s.SetMaint(false, cause)
}

// Drain has a server take no new sessions; it ends an operator's maintenance.
func (s *Server) Drain(cause Cause) {
	s.SetDrain(true) // before maintenance ends, so that no session slips in
	s.SetMaint(false, cause)
}

// Maintain takes a server out; it ends a drain.
func (s *Server) Maintain(cause Cause) {
	s.SetMaint(true, cause)
	s.SetDrain(false)
}
