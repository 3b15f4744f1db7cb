package pool

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// bench is a backend under test with the log of what it told its observers.
type bench struct {
	*Backend
	t    *testing.T
	pool *Pool

	mu  sync.Mutex
	log []Event
}

func newBench(t *testing.T, o BackendOptions) *bench {
	p := New(2)
	o.Name = "be"
	b := &bench{t: t, pool: p, Backend: p.AddBackend(o)}
	p.Observe(func(e Event) {
		b.mu.Lock()
		b.log = append(b.log, e)
		b.mu.Unlock()
	})
	return b
}

// server adds a server with a literal address 10.0.0.<n>:80, its name s<n>.
func (b *bench) server(edit func(*ServerOptions)) *Server {
	o := DefaultServerOptions()
	n := len(b.Servers()) + 1
	o.Name, o.Check = fmt.Sprintf("s%d", n), true
	o.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}), 80)
	if edit != nil {
		edit(&o)
	}
	return b.AddServer(o)
}

// template adds n slots that follow the name "web".
func (b *bench) template(n int, edit func(*ServerOptions)) *Group {
	var slots []*Server
	for range n {
		slots = append(slots, b.server(func(o *ServerOptions) {
			o.FQDN, o.Addr = "web", netip.AddrPortFrom(netip.Addr{}, 8000)
			if edit != nil {
				edit(o)
			}
		}))
	}
	return b.AddGroup("web", slots)
}

// states renders each server's address and status: "10.0.1.1 UP 1/3, 10.0.1.2~ UP, - MAINT (resolution)";
// ~ marks an address that is leaving.
func (b *bench) states() string {
	var out []string
	for _, s := range b.Servers() {
		v := s.View()
		addr := "-"
		if v.Addr.Addr().IsValid() {
			addr = v.Addr.Addr().String()
		}
		if v.Leaving {
			addr += "~"
		}
		out = append(out, addr+" "+v.Status)
	}
	return strings.Join(out, ", ")
}

// targets renders the names of the servers that balancing chooses from.
func (b *bench) targets() string {
	var out []string
	for _, t := range b.Snapshot().Targets {
		out = append(out, t.Server.Name)
	}
	return strings.Join(out, " ")
}

// lines returns the texts logged since the last call.
func (b *bench) lines() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, e := range b.log {
		out = append(out, e.Text)
	}
	b.log = nil
	return out
}

func (b *bench) wantStates(want string) {
	b.t.Helper()
	if got := b.states(); got != want {
		b.t.Errorf("states:\n got %s\nwant %s", got, want)
	}
}

func (b *bench) wantTargets(want string) {
	b.t.Helper()
	if got := b.targets(); got != want {
		b.t.Errorf("targets: got %q, want %q", got, want)
	}
}

// wantLines compares the whole log since the last look.
func (b *bench) wantLines(want ...string) {
	b.t.Helper()
	got := b.lines()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		b.t.Errorf("log:\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

func (s *Server) pass(times int) {
	for range times {
		s.ReportCheck(CheckResult{Status: CheckL4OK})
	}
}

func (s *Server) failCheck(times int) {
	for range times {
		s.ReportCheck(CheckResult{Status: CheckL4Con, Info: "Connection refused"})
	}
}

// found is a resolution with addresses 10.0.1.<n>; a negative number is leaving.
func found(last ...int) Resolution {
	r := Resolution{By: "docker/dns1"}
	for _, n := range last {
		leaving := n < 0
		r.Records = append(r.Records, Record{Addr: netip.AddrFrom4([4]byte{10, 0, 1, byte(max(n, -n))}), Leaving: leaving})
	}
	return r
}

func gone(c Cause) Resolution { return Resolution{Cause: c, By: "docker/dns1"} }
