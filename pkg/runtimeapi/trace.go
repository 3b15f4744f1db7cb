package runtimeapi

import (
	"fmt"
	"net/netip"
	"strings"
)

// Trace is what would happen to a connection now.
type Trace struct {
	Front    netip.AddrPort // that was asked about: a frontend given by name has one looked up
	Verdict  string         // kernel, userspace or neither
	Frontend string         // "" if there is none there
	Server   string         // backend/server, and where it is; "" if it does not come to that
	Why      string         // a sentence
}

// Tracer says what the kernel path would do.
type Tracer interface {
	// Trace asks about a connection from client to front, an address with port or the name of a frontend.
	Trace(client netip.AddrPort, front string) (Trace, error)
}

// tracePort is the client's port where none is given.
const tracePort = 40000

func traceCommands() []command {
	return []command{
		{[]string{"trace"}, Operator, "trace <client>[:<port>] [->] <frontend>|<address>:<port> [json]",
			"say what would happen to a connection", trace},
	}
}

func trace(c *session, args []string) string {
	asJSON := len(args) > 2 && args[len(args)-1] == "json"
	if asJSON {
		args = args[:len(args)-1]
	}
	if len(args) == 3 && args[1] == "->" {
		args = []string{args[0], args[2]}
	}
	if len(args) != 2 {
		return "usage: trace <client>[:<port>] [->] <frontend>|<address>:<port> [json]\n"
	}
	client, err := netip.ParseAddrPort(args[0])
	if err != nil {
		addr, err := netip.ParseAddr(args[0])
		if err != nil {
			return "'" + printable(args[0]) + "' is not an address of a client.\n"
		}
		client = netip.AddrPortFrom(addr, tracePort)
	}
	if c.server.opts.Tracer == nil {
		return "The kernel path is off: userspace takes all connections.\n"
	}
	t, err := c.server.opts.Tracer.Trace(client, args[1])
	if err != nil {
		return "Cannot trace: " + err.Error() + ".\n"
	}
	if asJSON {
		return traceJSON(client, t)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "# a SYN from %s to %s\n", client, t.Front)
	for _, line := range [][2]string{{"verdict", t.Verdict}, {"frontend", t.Frontend}, {"server", t.Server}, {"why", t.Why}} {
		if line[1] != "" {
			fmt.Fprintf(&out, "%-9s %s\n", line[0]+":", line[1])
		}
	}
	return out.String()
}
