package runtimeapi

import (
	"slices"
	"strconv"
	"strings"

	"waggle/pkg/pool"
	"waggle/pkg/stats"
)

func serverCommands() []command {
	return []command{
		{[]string{"set", "server"}, Admin, "set server <bk>/<srv> <what> <value>", "change a server: state, weight, health, addr, fqdn, check-addr, check-port, agent, agent-addr, agent-port, agent-send", setServer},
		{[]string{"enable", "server"}, Admin, "enable server <bk>/<srv>", "end a server's maintenance or drain (see 'set server')",
			onServer(func(s *pool.Server) string { return setState(s, "ready") })},
		{[]string{"disable", "server"}, Admin, "disable server <bk>/<srv>", "put a server into maintenance (see 'set server')",
			onServer(func(s *pool.Server) string { return setState(s, "maint") })},
		{[]string{"enable", "health"}, Admin, "enable health <bk>/<srv>", "resume a server's health checks", onServer(enableHealth)},
		{[]string{"disable", "health"}, Admin, "disable health <bk>/<srv>", "pause a server's health checks", onServer(disableHealth)},
		{[]string{"enable", "agent"}, Admin, "enable agent <bk>/<srv>", "resume a server's agent checks", onServer(enableAgent)},
		{[]string{"disable", "agent"}, Admin, "disable agent <bk>/<srv>", "pause a server's agent checks", onServer(disableAgent)},
		{[]string{"get", "weight"}, User, "get weight <bk>/<srv>", "a server's weight, now and at first", onServer(getWeight)},
		{[]string{"set", "weight"}, Admin, "set weight <bk>/<srv> <weight>[%]", "change a server's weight (see 'set server')", setWeightCommand},
	}
}

// target finds the server that a word names: "backend/server", or "backend/#id". The proxy is the
// section it is in; the message is empty if there is one.
func (c *session) target(args []string) (*pool.Server, *stats.Proxy, string) {
	backend, server, ok := "", "", false
	if len(args) > 0 {
		backend, server, ok = strings.Cut(args[0], "/")
	}
	if !ok || server == "" {
		return nil, nil, "Require 'backend/server'.\n"
	}
	proxies := c.snapshot().Proxies
	for i := range proxies {
		be := proxies[i].Backend
		if be == nil || be.Name != backend {
			continue
		}
		for _, s := range be.Servers() {
			if s.Name == server || server == "#"+strconv.Itoa(s.ID) {
				return s, &proxies[i], ""
			}
		}
		return nil, nil, "No such server.\n"
	}
	return nil, nil, "No such backend.\n"
}

// onServer makes a command of one argument, a server.
func onServer(do func(*pool.Server) string) func(*session, []string) string {
	return func(c *session, args []string) string {
		s, _, msg := c.target(args)
		if msg != "" {
			return msg
		}
		return do(s)
	}
}

func setServer(c *session, args []string) string {
	s, proxy, msg := c.target(args)
	if msg != "" {
		return msg
	}
	what, value := word(args, 1), word(args, 2)
	switch what {
	case "state":
		return setState(s, value)
	case "weight":
		return setWeight(s, proxy, value)
	case "health":
		return setHealth(s, value)
	case "addr":
		return setAddress(s, args[2:])
	case "check-port":
		return setCheckPort(s, value)
	case "check-addr":
		return setCheckAddress(s, args[2:])
	case "agent", "agent-send", "agent-addr", "agent-port":
		return setAgent(s, what, args[2:])
	case "fqdn":
		return setName(c, s, value)
	case "ssl":
		return "'set server <srv> ssl' cannot be set.  default-server should define ssl settings\n"
	default:
		return "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | " +
			"check-addr | check-port | fqdn | health | ssl | state | weight\n"
	}
}

func word(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return ""
}

// setState puts a server into one of the three states that an operator can ask for. Each ends the
// other two.
func setState(s *pool.Server, state string) string {
	switch state {
	case "ready":
		s.Ready(pool.CauseCLI)
	case "drain":
		s.Drain(pool.CauseCLI)
	case "maint":
		s.Maintain(pool.CauseCLI)
	default:
		return "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n"
	}
	return ""
}

func getWeight(s *pool.Server) string {
	return strconv.Itoa(s.View().Weight) + " (initial " + strconv.Itoa(s.Weight) + ")\n"
}

func setWeightCommand(c *session, args []string) string {
	s, proxy, msg := c.target(args)
	if msg != "" {
		return msg
	}
	return setWeight(s, proxy, word(args, 1))
}

// maxPercent is the largest relative weight; more makes no difference, since weights end at 256.
const maxPercent = 25600

// setWeight changes a weight: a number, or a percentage of the configured one.
func setWeight(s *pool.Server, proxy *stats.Proxy, text string) string {
	if text == "" {
		return "Require <weight> or <weight%>.\n"
	}
	number, relative := strings.CutSuffix(text, "%")
	w, err := strconv.Atoi(number)
	switch {
	case err != nil:
		return "Empty weight string empty or preceded by garbage\n"
	case relative && w < 0:
		return "Relative weight must be positive.\n"
	case relative:
		w = min(s.Weight*min(w, maxPercent)/100, pool.MaxWeight)
	case w < 0 || w > pool.MaxWeight:
		return "Absolute weight can only be between 0 and 256 inclusive.\n"
	}
	if w != 0 && w != s.Weight && !dynamicBalance(proxy) {
		return "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n"
	}
	if err := s.SetWeight(w); err != nil {
		return err.Error() + "\n"
	}
	return ""
}

// dynamicBalance says whether weights and servers of a backend may change at run time in HAProxy: not with static-rr, nor
// with the hashes with their default, map-based type.
func dynamicBalance(p *stats.Proxy) bool {
	dynamic := []string{"", "roundrobin", "leastconn", "random", "first"}
	return p.Config == nil || p.Config.Balance.Consistent || slices.Contains(dynamic, p.Config.Balance.Algorithm)
}
