package runtimeapi

import (
	"net/netip"
	"strconv"

	"waggle/pkg/pool"
)

func enableAgent(s *pool.Server) string {
	if !s.SetAgentChecking(true) {
		return "Agent was not configured on this server, cannot enable.\n"
	}
	return ""
}

func disableAgent(s *pool.Server) string {
	s.SetAgentChecking(false)
	return ""
}

// setAgent says in an agent's place what it thinks, or changes where it is and what it is sent.
func setAgent(s *pool.Server, what string, args []string) string {
	target, value := s.View().AgentTarget, word(args, 0)
	switch {
	case !s.Agent && (what == "agent" || what == "agent-send"):
		return "agent checks are not enabled on this server.\n"
	case !s.Agent:
		return "agent checks are not enabled on this server"
	case what == "agent":
		if value != "up" && value != "down" {
			return "'set server <srv> agent' expects 'up' or 'down'.\n"
		}
		s.SetAgentHealth(value == "up", pool.CauseCLI)
		return ""
	case what == "agent-send":
		target.Send = &value
	case what == "agent-port":
		port, err := strconv.ParseUint(value, 10, 16)
		if err != nil {
			return "provided port is not an integer"
		}
		target.Port = uint16(port)
	default:
		addr, err := netip.ParseAddr(value)
		if err != nil || addr.Zone() != "" {
			return "set server <b>/<s> agent-addr requires an address and optionally a port.\n"
		}
		target.Addr = addr
		if word(args, 1) == "port" {
			port, err := strconv.ParseUint(word(args, 2), 10, 16)
			if err != nil {
				return "provided port is not an integer"
			}
			target.Port = uint16(port)
		}
	}
	s.SetAgentTarget(target)
	return ""
}

// agentState is HAProxy's number of the state of agent checks.
func agentState(s *pool.Server, v *pool.View) int {
	const isAgent = 16
	switch {
	case !s.Agent:
		return 0
	case !v.AgentChecking:
		return checkConfigured | isAgent
	default:
		return checkConfigured | checkEnabled | isAgent
	}
}

func agentAddress(v *pool.View) string {
	if !v.AgentTarget.Addr.IsValid() {
		return "-"
	}
	return v.AgentTarget.Addr.String()
}
