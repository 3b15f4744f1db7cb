package pool

import (
	"net/netip"
	"time"
)

// SavedServer is what is known of a server from a process before this one: a line of `show servers state`.
type SavedServer struct {
	Backend, Server string
	FQDN            string         // the name that it was found by, or that of its service records; "" = none
	Addr            netip.AddrPort // without an address: it had none
	Op              OpState
	Admin           Admin // as HAProxy has it: a server that the configuration disables has ForcedMaint, too
	Weight          int   // as it was used
	Configured      int   // as the configuration had it
	Since           time.Duration
	Check           CheckStatus
	Checked         bool
	Health          int
	Watched         bool // checks or an agent said whether it is up
	CheckOff        bool // checks were switched off
	AgentOff        bool
	CheckTarget     CheckTarget
	AgentTarget     AgentTarget // its Send is unknown
}

// causeRestored is in the log lines about states that were taken over, in HAProxy's words.
const causeRestored = ", changed from server-state after a reload"

// Restore gives a server, which nobody has used yet, what a process before this one made of it. It goes by HAProxy's rules
// (server_state.c, observed on 2.6): what the configuration says otherwise than then wins, as far as the file tells, which
// is for weight and `disabled`; the port is the file's in any case. The address is not taken over here: init-addr decides.
// The state of one that tracks another one is that one's.
func (s *Server) Restore(was SavedServer) {
	s.Backend.commit(func(c *change) {
		st := &s.state
		if was.Configured == s.Weight {
			st.weight = was.Weight
		}
		if port := was.Addr.Port(); port != 0 && !s.MapPort {
			st.addr = netip.AddrPortFrom(st.addr.Addr(), port)
		}
		st.unchecked = st.unchecked || s.Check && was.CheckOff
		if s.checking() {
			st.checkAt = was.CheckTarget
		}
		if was.Admin&NameChanged != 0 && s.grouped && was.FQDN != "" && was.FQDN[0] != '_' {
			st.name = was.FQDN
		}
		c.restoreAgent(s, was)
		c.restoreMaint(s, was.Admin)
		c.restoreDrain(s, was)
		if s.tracks == nil {
			c.restoreState(s, was)
		}
		s.warm(c.now)
	})
}

func (c *change) restoreAgent(s *Server, was SavedServer) {
	st := &s.state
	if !s.Agent {
		return
	}
	st.agentOff = st.agentOff || was.AgentOff
	if was.AgentTarget.Addr.IsValid() {
		st.agentAt.Addr = was.AgentTarget.Addr
	}
	if was.AgentTarget.Port != 0 {
		st.agentAt.Port = was.AgentTarget.Port
	}
}

// restoreMaint compares what the configuration said with what it says; where that is the same, the operator's word holds.
func (c *change) restoreMaint(s *Server, was Admin) {
	disabled := was&ConfigMaint != 0
	switch {
	case disabled != s.Disabled:
	case s.Disabled && was&ForcedMaint == 0:
		c.leaveMaint(s, ConfigMaint, CauseConfig)
	case !s.Disabled && was&ForcedMaint != 0:
		c.enterMaint(s, ForcedMaint, CauseNone)
	}
}

// restoreDrain keeps a drain, unless it came of a weight of 0 that the configuration has no more.
func (c *change) restoreDrain(s *Server, was SavedServer) {
	st := &s.state
	if was.Admin&ForcedDrain == 0 || st.admin&(ForcedMaint|ConfigMaint) != 0 || was.Configured == 0 && s.Weight > 0 {
		return
	}
	c.drain(s, ForcedDrain, true, "")
}

// restoreState takes over what checks, agents and operators said. A server that is in maintenance, or was, begins anew
// when it leaves it, and so does one that is found at another address than then.
func (c *change) restoreState(s *Server, was SavedServer) {
	st := &s.state
	held := (was.Admin &^ ConfigMaint).Maint()
	if st.admin.Maint() || held {
		if st.admin.Maint() == held {
			st.changed = c.now.Add(-was.Since)
		}
		return
	}
	if s.FQDN != "" && st.addr.Addr() != was.Addr.Addr() {
		return
	}
	switch {
	case was.Op == Stopped && was.Watched && !s.Check && !s.asked(): // nobody would ever say that it is up again
		return
	case was.Op == Stopped || was.Op == Stopping && s.Fall == 1: // then there is nothing between up and down
		c.restoreDown(s, was)
	case was.Op == Stopping:
		st.health = s.Rise
		c.stopping(s, causeRestored)
	default:
		st.health = s.maxHealth()
		c.markUp(s)
		if was.Op == Starting && s.Slowstart > 0 {
			st.op = Starting
		}
	}
	if s.Check && was.Checked {
		st.check, st.checked = CheckResult{Status: was.Check}, true
	}
	st.changed = c.now.Add(-was.Since)
}

// restoreDown has a server be down, by the word of who said it.
func (c *change) restoreDown(s *Server, was SavedServer) {
	st := &s.state
	if s.asked() && (!s.Check || was.Health >= s.Rise) {
		st.agentHealth = 0
	} else {
		st.health = 0
	}
	c.markDown(s)
	c.event(EventDown, Alert, s, "%sServer %s is DOWN%s. %s", backupWord(s), s.path(), causeRestored, c.left(s))
}
