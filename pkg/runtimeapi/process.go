package runtimeapi

import (
	"os"
	"slices"
	"strings"

	"waggle/pkg/stats"
)

// processCommands tell of the process itself.
func processCommands() []command {
	return []command{
		{[]string{"show", "env"}, Operator, "show env [<name>]", "environment variables of the process", showEnv},
		{[]string{"show", "cli", "sockets"}, User, "show cli sockets", "sockets of this interface", showSockets},
		{[]string{"show", "errors"}, Operator, "show errors [<iid>|<proxy>] [request|response]", "the last malformed messages of each proxy", showErrors},
		{[]string{"show", "startup-logs"}, Operator, "show startup-logs", "what was said while starting", showStartupLogs},
		{[]string{"show", "schema", "json"}, User, "show schema json", "JSON schema of the statistics", showSchema},
	}
}

func showEnv(_ *session, args []string) string {
	all := os.Environ()
	if len(args) == 0 {
		return lines(all)
	}
	i := slices.IndexFunc(all, func(v string) bool { return strings.HasPrefix(v, args[0]+"=") })
	if i < 0 {
		return "Variable not found\n"
	}
	return lines(all[i : i+1])
}

func lines(all []string) string {
	var out strings.Builder
	for _, l := range all {
		out.WriteString(printable(l) + "\n")
	}
	return out.String()
}

func showSockets(c *session, _ []string) string {
	var out strings.Builder
	out.WriteString("# socket lvl processes\n")
	for _, l := range c.server.sockets() {
		addr, kind := l.Addr().String(), "ipv4@"
		switch {
		case l.Addr().Network() == "unix":
			kind = "unix@"
		case strings.HasPrefix(addr, "["):
			kind = "ipv6@"
		}
		out.WriteString(kind + addr + " " + l.Level.String() + " all\n")
	}
	return out.String()
}

func showStartupLogs(c *session, _ []string) string {
	if c.server.opts.StartupLogs == nil {
		return "\n"
	}
	return c.server.opts.StartupLogs() + "\n"
}

func showSchema(*session, []string) string { return string(stats.Schema()) }
