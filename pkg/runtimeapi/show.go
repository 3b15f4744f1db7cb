package runtimeapi

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"waggle/pkg/stats"
)

func showCommands() []command {
	return []command{
		{[]string{"show", "version"}, User, "show version", "version of this process", showVersion},
		{[]string{"show", "info"}, User, "show info [desc|json|typed]*", "statistics of the process", showInfo},
		{[]string{"show", "stat"}, User, "show stat [{<iid>|<proxy>} <type> <sid>] [desc|json|no-maint|typed|up]*",
			"statistics of proxies and servers", showStat},
		{[]string{"show", "backend"}, User, "show backend", "names of the backends", showBackend},
		{[]string{"show", "servers", "state"}, User, "show servers state [<backend>]", "what changes about servers", showServersState},
		{[]string{"show", "servers", "conn"}, User, "show servers conn [<backend>]", "connections of servers", showServersConn},
		{[]string{"show", "resolvers"}, User, "show resolvers [<section>]", "counters of nameservers", showResolvers},
		{[]string{"clear", "counters"}, Operator, "clear counters [all]", "forget the highest values seen, or begin all counters anew", clearCounters},
	}
}

func showVersion(c *session, _ []string) string {
	s := c.snapshot()
	return s.Process.HAProxyVersion() + "\n"
}

func showInfo(c *session, args []string) string {
	return string(stats.ProcessInfo(c.snapshot(), format(args), slices.Contains(args, "desc")))
}

// format finds the format among the words of a command.
func format(args []string) stats.Format {
	switch {
	case slices.Contains(args, "json"):
		return stats.JSON
	case slices.Contains(args, "typed"):
		return stats.Typed
	default:
		return stats.Plain
	}
}

func showStat(c *session, args []string) string {
	s := c.snapshot()
	f := stats.Filter{Legends: c.level >= Operator, Describe: slices.Contains(args, "desc")}
	if len(args) >= 1 && args[0] == "domain" {
		if len(args) < 2 || args[1] != "proxy" {
			return "Invalid statistics domain.\n"
		}
		args = args[2:]
	}
	if len(args) >= 3 && !isOption(args[0]) {
		if msg := selectRows(&f, s, args[:3]); msg != "" {
			return msg
		}
		args = args[3:]
	}
	f.Up = slices.Contains(args, "up")
	f.NoMaint = slices.Contains(args, "no-maint")
	return string(stats.Proxies(s, format(args), f))
}

func isOption(word string) bool {
	return slices.Contains([]string{"json", "typed", "desc", "up", "no-maint"}, word)
}

// selectRows reads {<iid>|<proxy>} <type> <sid>; types add up: 1 frontends, 2 backends, 4 servers, and
// -1 is everything.
func selectRows(f *stats.Filter, s *stats.Snapshot, args []string) string {
	if id, err := strconv.Atoi(args[0]); err == nil {
		f.ProxyID = id
	} else if f.ProxyID = proxyID(s, args[0]); f.ProxyID == 0 {
		return "No such proxy.\n"
	}
	if kinds, err := strconv.Atoi(args[1]); err == nil && kinds != -1 {
		for bit, scope := range map[int]stats.Scope{1: stats.Frontends, 2: stats.Backends, 4: stats.Servers, 8: stats.Listeners} {
			if kinds&bit != 0 {
				f.Scopes |= scope
			}
		}
		if f.Scopes == 0 {
			f.Proxies = []string{""} // nothing was chosen: no proxy has this name
		}
	}
	if sid, err := strconv.Atoi(args[2]); err == nil && sid != -1 {
		f.ID, f.ByID = sid, true
	}
	return ""
}

func proxyID(s *stats.Snapshot, name string) int {
	for _, p := range s.Proxies {
		switch {
		case p.Frontend != nil && p.Frontend.Name == name:
			return p.Frontend.ID
		case p.Backend != nil && p.Backend.Name == name:
			return p.Backend.ID
		}
	}
	return 0
}

func showBackend(c *session, _ []string) string {
	var out strings.Builder
	out.WriteString("# name\n")
	for _, p := range c.snapshot().Proxies {
		if p.Backend != nil {
			out.WriteString(p.Backend.Name + "\n")
		}
	}
	return out.String()
}

func showResolvers(c *session, args []string) string {
	var out strings.Builder
	all := c.snapshot().Resolvers
	if len(args) > 0 {
		all = slices.DeleteFunc(slices.Clone(all), func(r stats.Resolvers) bool { return r.Name != args[0] })
		if len(all) == 0 {
			return "Can't find that resolvers section\n"
		}
	}
	if len(all) == 0 {
		return "No resolvers found\n"
	}
	for _, r := range all {
		fmt.Fprintf(&out, "Resolvers section %s\n", r.Name)
		for i := range r.Nameservers {
			fmt.Fprintf(&out, " nameserver %s:\n", r.Nameservers[i].Name)
			for _, n := range r.Nameservers[i].Counts() {
				fmt.Fprintf(&out, "  %-12s %d\n", n.Name+":", n.Value)
			}
		}
	}
	return out.String()
}

func clearCounters(c *session, args []string) string {
	all := word(args, 0) == "all"
	switch p := c.snapshot().Pool; {
	case all && c.level < Admin:
		return "Permission denied\n"
	case p == nil:
	case all:
		p.ClearCounters()
	default:
		p.ClearMaxima()
	}
	return ""
}

// setTimeout takes a delay in HAProxy's notation; a bare number is in seconds here.
func setTimeout(c *session, args []string) string {
	if len(args) == 0 {
		return "Expects an integer value.\n"
	}
	d, err := cliDelay(args[0], "s")
	if err != nil || d < time.Second {
		return "Invalid timeout value.\n"
	}
	c.idle = d
	return ""
}

// maxIdle is the longest idle time that a client may ask for.
const maxIdle = 24 * time.Hour
