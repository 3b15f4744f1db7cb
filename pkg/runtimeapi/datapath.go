package runtimeapi

import (
	"fmt"
	"strings"

	"waggle/pkg/stats"
)

// pathCommands are waggle's own: HAProxy has one path.
func pathCommands() []command {
	return []command{
		{[]string{"show", "datapath"}, User, "show datapath [json]", "how the kernel path stands, and what it has left to userspace", showDatapath},
		{[]string{"show", "explain"}, User, "show explain [<frontend>]", "which path serves each frontend, and why", showExplain},
	}
}

func showDatapath(c *session, args []string) string {
	return string(stats.PathReport(c.snapshot(), format(args)))
}

func showExplain(c *session, args []string) string {
	var out strings.Builder
	snapshot := c.snapshot()
	for _, p := range snapshot.Proxies {
		if p.Frontend == nil || (len(args) > 0 && p.Frontend.Name != args[0]) {
			continue
		}
		path := p.Frontend.Path()
		where := "userspace"
		if path.Kernel {
			where = "kernel"
		}
		fmt.Fprintf(&out, "frontend %s: %s", p.Frontend.Name, where)
		if path.Reason != "" {
			fmt.Fprintf(&out, " (%s)", path.Reason)
		}
		out.WriteString("\n")
	}
	if out.Len() == 0 && len(args) > 0 {
		return "No such frontend.\n"
	}
	if len(args) == 0 {
		explainInterfaces(&out, snapshot.Datapath.Interfaces)
	}
	return out.String()
}

// explainInterfaces says how the kernel path has the packets of each interface.
func explainInterfaces(out *strings.Builder, interfaces []stats.Interface) {
	for _, i := range interfaces {
		fmt.Fprintf(out, "interface %s: %s", i.Name, i.Attach)
		if i.WithoutXDP != "" {
			fmt.Fprintf(out, " (no XDP: %s)", i.WithoutXDP)
		}
		out.WriteString("\n")
	}
}
