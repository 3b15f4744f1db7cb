package lab

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
)

// printer writes what the demo shows. It uses no control sequence, so that the text can be kept in a file.
type printer struct{ w io.Writer }

func (p printer) line(format string, args ...any) {
	fmt.Fprintf(p.w, format+"\n", args...)
}

// topology shows what was built.
func (p printer) topology(d *demo) {
	p.line("waggle demo: a small swarm in network namespaces. Nothing else on this machine is changed.\n")
	left := []string{d.http.Addr().String(), d.tcp.Addr().String(), d.stats.Addr().String()}
	tasks := d.lab.Tasks(demoService)
	for i := range max(len(left), len(tasks)) {
		p.line("%s", strings.TrimRight(p.row(d, i, left, tasks), " "))
	}
	var argv []string
	for _, arg := range d.opts.Argv {
		if rest, ok := strings.CutPrefix(arg, FilesDir+"/"); ok {
			arg = rest
		}
		argv = append(argv, arg)
	}
	argv[0] = filepath.Base(argv[0])
	p.line("\n  balancer  %s", strings.Join(argv, " "))
	p.line("            haproxy.cfg was written for HAProxy and is unchanged; extra.cfg adds a TCP frontend and the metrics")
	p.line("  dns       %s in the balancer's namespace, like Docker's: web, tasks.web, demo_web", DNSAddr)
	for _, note := range d.notes {
		p.line("  note      %s", note)
	}
}

// row is one line of the diagram: a port of this machine, the way through the namespaces, a task.
func (p printer) row(d *demo, i int, ports []string, tasks []*Task) string {
	var b strings.Builder
	joint := func(n int) string {
		switch {
		case i >= n || n == 1:
			return "─"
		case i == 0:
			return "┬"
		case i == n-1:
			return "┘"
		}
		return "┤"
	}
	if i < len(ports) {
		fmt.Fprintf(&b, "  %-15s ─%s", ports[i], joint(len(ports)))
	} else {
		fmt.Fprintf(&b, "  %-15s   ", "")
	}
	switch i {
	case 0:
		b.WriteString("─ client ────── node ─── balancer ─── overlay ──")
	case 1:
		fmt.Fprintf(&b, "  %-21s %-12s MTU %-7d", d.lab.Client.Addr(), d.lab.Balancer.Addr(), overlayMTU)
	default:
		b.WriteString(strings.Repeat(" ", 48))
	}
	if i < len(tasks) {
		corner := "├"
		switch {
		case len(tasks) == 1:
			corner = "─"
		case i == 0:
			corner = "┬"
		case i == len(tasks)-1:
			corner = "└"
		}
		t := tasks[i]
		fmt.Fprintf(&b, "%s─ %-7s %-11s %s", corner, t.Name(), t.Addr(), t.Kind())
	}
	return b.String()
}

func (p printer) path(way path) {
	p.line("\n%s\n  http://%s/", way.title, localhost(way.addr))
}

// responses shows the order of responses and each task's share.
func (p printer) responses(got []string, shares []share) {
	p.line("  %s", strings.Join(got, " "))
	for _, s := range shares {
		part := float64(s.count) / float64(len(got))
		p.line("    hostname: %-8s %3d of %d  %5.1f %%  %s", s.name, s.count, len(got), 100*part, strings.Repeat("█", int(part*30+0.5)))
	}
}

func (p printer) noTask(err error) {
	p.line("  no task, so no hostname: %v", err)
}

func (p printer) page(http, stats net.Addr, status int, err error) {
	answer := fmt.Sprintf("answered %d", status)
	if err != nil {
		answer = err.Error()
	}
	p.line("\nstats page\n  http://%s/my-stats  %s", localhost(http), answer)
	p.line("  http://%s/  and  http://%s/metrics", localhost(stats), localhost(stats))
}

func (p printer) scaling(n int) {
	p.line("\nscale %s to %d ...", demoService, n)
	if n > demoSlots {
		p.line("the configuration has %d slots (server-template): the other tasks wait for one", demoSlots)
	}
}

func (p printer) problem(err error) { p.line("\nnot as it should be: %v", err) }

func (p printer) help() {
	p.line("\nkeys: + and - scale the service, space shows another round, q or Ctrl-C ends the demo")
}

// localhost is an address as one writes it in a browser.
func localhost(addr net.Addr) string {
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	return "localhost:" + port
}
