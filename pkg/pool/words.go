package pool

import "strconv"

// status renders the state in the words of HAProxy's stats page (stats-proxy.c).
func (s *Server) status() string {
	st := &s.state
	switch {
	case st.admin&ResolutionMaint != 0:
		return "MAINT (resolution)"
	case st.admin&InheritedMaint != 0:
		return "MAINT (via " + s.trackedPath() + ")"
	case st.admin.Maint():
		return "MAINT"
	case st.op == Stopped && s.asked() && st.agentHealth == 0:
		return "DOWN (agent)"
	case st.op != Stopped && st.op != Stopping && st.admin.Drain() && s.asked():
		return "DRAIN (agent)"
	}
	ref := s.reference()
	if !ref.checking {
		return s.uncheckedStatus()
	}
	word, degraded, top := "UP", ref.health < ref.rise+ref.fall-1, ref.fall
	n := ref.health - ref.rise + 1
	switch {
	case st.op == Stopped:
		word, degraded, top, n = "DOWN", ref.health > 0, ref.rise, ref.health
	case st.op == Stopping:
		word = "NOLB"
	case st.admin.Drain():
		word = "DRAIN"
	}
	if degraded {
		return word + " " + strconv.Itoa(n) + "/" + strconv.Itoa(top)
	}
	return word
}

// uncheckedStatus is the state of a server that no check looks at: only an operator or an agent changes it.
func (s *Server) uncheckedStatus() string {
	switch st := &s.state; {
	case st.op == Stopped:
		return "DOWN"
	case st.op == Stopping:
		return "NOLB"
	case st.admin.Drain():
		return "DRAIN"
	}
	return "no check"
}

func (s *Server) trackedPath() string {
	if s.tracks == nil {
		return "tracking"
	}
	return s.tracks.path()
}
