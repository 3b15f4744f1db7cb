package pool

import "net/netip"

// AgentOrder is an administrative state that an agent asks for.
type AgentOrder uint8

// The orders.
const (
	AgentNone AgentOrder = iota
	AgentReady
	AgentDrain
	AgentMaint
)

// AgentReport is what an agent said in one check, or why it said nothing.
type AgentReport struct {
	// Result is CheckL7OK if it said up, CheckL7Sts if it said down, and CheckChecked if it said neither; with any other
	// status nothing was said, which changes nothing.
	Result  CheckResult
	Order   AgentOrder
	Percent int // of the configured weight; negative = nothing was said
	MaxConn int // negative = nothing was said
}

// AgentTarget is where the agent is asked instead of where the configuration says, and what it is sent; what is zero is
// the configuration's.
type AgentTarget struct {
	Addr netip.Addr
	Port uint16
	Send *string
}

// ReportAgent acts on an agent's words, in the order in which HAProxy does: maintenance and drain, weight, maxconn, and
// then up or down (section 5.2, agent-check). An agent's rise and fall are 1.
func (s *Server) ReportAgent(r AgentReport) {
	if !s.heeds() {
		return
	}
	switch r.Order {
	case AgentReady:
		s.Ready(CauseAgent)
	case AgentDrain:
		s.Drain(CauseAgent)
	case AgentMaint:
		s.Maintain(CauseAgent)
	}
	if r.Percent >= 0 {
		_ = s.SetWeight(min(s.Weight*min(r.Percent, 100*MaxWeight)/100, MaxWeight))
	}
	if r.MaxConn >= 0 {
		s.SetLimit(r.MaxConn)
	}
	s.Backend.commit(func(c *change) {
		if s.Backend.former() {
			return
		}
		st := &s.state
		st.agent = r.Result
		switch r.Result.Status {
		case CheckL7OK:
			st.agentHealth = 1
		case CheckL7Sts:
			st.agentHealth = 0
		default:
			return
		}
		if st.admin.Maint() || st.op == Stopping && st.agentHealth > 0 {
			return
		}
		c.operational(s, s.because(st.agent))
	})
}

// heeds says whether an agent's words count.
func (s *Server) heeds() bool {
	s.Backend.mu.Lock()
	defer s.Backend.mu.Unlock()
	return s.asked() && !s.Backend.former()
}

// SetAgentChecking switches the agent checks of a server on or off; without them what the agent said last is forgotten.
// It returns false for a server that has none.
func (s *Server) SetAgentChecking(on bool) bool {
	if !s.Agent {
		return false
	}
	s.Backend.commit(func(*change) {
		if s.state.agentOff = !on; !on {
			s.state.agentHealth = 1
		}
	})
	return true
}

// SetAgentHealth says in the agent's place whether the server is up. It returns false for a server without agent checks.
func (s *Server) SetAgentHealth(up bool, cause Cause) bool {
	if !s.Agent {
		return false
	}
	s.Backend.commit(func(c *change) {
		s.state.agentHealth = 0
		if up {
			s.state.agentHealth = 1
		}
		if !s.state.admin.Maint() {
			c.operational(s, ", "+cause.String())
		}
	})
	return true
}

// SetAgentTarget changes where the agent is asked, and with what.
func (s *Server) SetAgentTarget(t AgentTarget) {
	s.Backend.commit(func(*change) { s.state.agentAt = t })
}

// MarkAgentRunning says whether an agent check is under way, for reports.
func (s *Server) MarkAgentRunning(on bool) { s.asking.Store(on) }
