package pool

import (
	"net/netip"
	"strings"
	"testing"
)

// farm is two backends; b/t tracks c/s, and b/u tracks b/t, as measured with HAProxy 2.6.
type farm struct {
	pool    *Pool
	c, b    *Backend
	s, t, u *Server
	lines   []string
}

func newFarm() *farm {
	f := &farm{pool: New(1)}
	f.pool.Observe(func(e Event) { f.lines = append(f.lines, e.Text) })
	f.c, f.b = f.pool.AddBackend(BackendOptions{Name: "c"}), f.pool.AddBackend(BackendOptions{Name: "b"})
	add := func(b *Backend, name string, check bool) *Server {
		o := DefaultServerOptions()
		o.Name, o.Check, o.Fall, o.Addr = name, check, 2, netip.MustParseAddrPort("10.0.0.1:80")
		return b.AddServer(o)
	}
	f.s, f.t, f.u = add(f.c, "s", true), add(f.b, "t", false), add(f.b, "u", false)
	f.u.Track(f.t)
	f.t.Track(f.s)
	f.s.ReportCheck(CheckResult{Status: CheckL7OK, Code: 200})
	f.lines = nil
	return f
}

func TestTrackingServersFollow(t *testing.T) {
	f := newFarm()
	fail := CheckResult{Status: CheckL7Sts, Code: 500, Info: "X"}
	for _, step := range []struct {
		name   string
		do     func()
		states string // of t and u
		admin  Admin
		lines  []string // as HAProxy writes them
	}{
		{"down", func() { f.s.ReportCheck(fail); f.s.ReportCheck(fail) }, "DOWN DOWN", 0, []string{
			`Server c/s is DOWN, reason: Layer7 wrong status, code: 500, info: "X", check duration: 0ms. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.`,
			"Server b/t is DOWN via c/s. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
			"Server b/u is DOWN via b/t. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
			"backend b has no server available!",
		}},
		{"one of two good checks", func() { f.s.ReportCheck(CheckResult{Status: CheckL7OK, Code: 200}) }, "DOWN 1/2 DOWN 1/2", 0, nil},
		{"up", func() { f.s.ReportCheck(CheckResult{Status: CheckL7OK, Code: 200}) }, "UP UP", 0, []string{
			"Server b/t is UP via c/s. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
			"Server b/u is UP via b/t. 2 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
		}},
		{"maint", func() { f.s.Maintain(CauseCLI) }, "MAINT (via c/s) MAINT (via b/t)", InheritedMaint, []string{
			"Server b/t is going DOWN for maintenance via c/s. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
			"Server b/u is going DOWN for maintenance via b/t. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
		}},
		{"ready", func() { f.s.Ready(CauseCLI) }, "UP 1/2 UP 1/2", 0, []string{
			"Server b/t is UP/READY (leaving maintenance).", "Server b/u is UP/READY (leaving maintenance).",
		}},
		{"drain", func() { f.s.Drain(CauseCLI) }, "DRAIN 1/2 DRAIN 1/2", InheritedDrain, []string{
			"Server b/t enters drain state via c/s. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
			"Server b/u enters drain state via b/t. 0 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
		}},
		{"ready again", func() { f.s.Ready(CauseCLI) }, "UP 1/2 UP 1/2", 0, []string{"Server b/t is UP (leaving forced drain).", "Server b/u is UP (leaving forced drain)."}},
		{"the one between", func() { f.t.Maintain(CauseCLI) }, "MAINT MAINT (via b/t)", InheritedMaint, []string{
			"Server b/u is going DOWN for maintenance via b/t. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
		}},
	} {
		f.lines = nil
		step.do()
		if got := f.t.View().Status + " " + f.u.View().Status; got != step.states {
			t.Errorf("%s: %q, want %q", step.name, got, step.states)
		}
		if got := f.u.View().Admin; got != step.admin {
			t.Errorf("%s: admin state %d, want %d", step.name, got, step.admin)
		}
		log := strings.Join(f.lines, "\n")
		for _, want := range step.lines {
			if !strings.Contains(log, want) {
				t.Errorf("%s: not logged: %s\n%s", step.name, want, log)
			}
		}
	}
	if got := len(f.b.Snapshot().Targets); got != 0 {
		t.Errorf("%d targets of servers in maintenance", got)
	}
}

// A check that says 404 with disable-on-404 takes a server out of balancing, and those that track it.
func TestConditionallyPassedIsStopping(t *testing.T) {
	f := newFarm()
	f.s.ReportCheck(CheckResult{Status: CheckL7OKC, Code: 404})
	if got := f.s.View().Status + " " + f.t.View().Status; got != "NOLB NOLB" {
		t.Errorf("states %q", got)
	}
	want := "Server c/s is stopping, reason: Layer7 check conditionally passed, code: 404, check duration: 0ms. 0 active and 0 backup servers online. 0 sessions requeued, 0 total in queue."
	if f.lines[0] != want {
		t.Errorf("logged %q\nwant   %q", f.lines[0], want)
	}
	f.s.ReportCheck(CheckResult{Status: CheckL7OK, Code: 200})
	if got := f.s.View().Status + " " + f.t.View().Status; got != "UP UP" {
		t.Errorf("states %q", got)
	}
}

// passedCheck stands for a health check among what traffic tells.
const passedCheck Traffic = 99

func TestObservedTraffic(t *testing.T) {
	for _, tc := range []struct {
		name    string
		observe Observe
		onError OnError
		tell    []Traffic
		want    string
		checks  string
		hana    uint64
	}{
		{"not observed", ObserveNone, OnErrorFailCheck, []Traffic{TrafficConnectError, TrafficConnectError, TrafficConnectError}, "UP", "INI", 0},
		{"under the limit", ObserveL4, OnErrorMarkDown, []Traffic{TrafficConnectError, TrafficConnectError}, "UP", "INI", 0},
		{"a success begins anew", ObserveL4, OnErrorMarkDown, []Traffic{TrafficConnectError, TrafficConnectError, TrafficConnected, TrafficConnectError}, "UP", "INI", 0},
		{"a check that passes begins anew", ObserveL4, OnErrorMarkDown, []Traffic{TrafficConnectError, TrafficConnectError, passedCheck, TrafficConnectError}, "UP", "L4OK", 0},
		{"fail-check", ObserveL4, OnErrorFailCheck, []Traffic{TrafficConnectError, TrafficConnectError, TrafficConnectError}, "UP 2/3", "HANA", 1},
		{"fastinter", ObserveL4, OnErrorFastInter, []Traffic{TrafficConnectError, TrafficConnectError, TrafficConnectError}, "UP", "INI", 1},
		{"sudden-death", ObserveL4, OnErrorSuddenDeath, []Traffic{TrafficConnectError, TrafficConnectError, TrafficConnectError}, "UP 1/3", "HANA", 1},
		{"mark-down", ObserveL4, OnErrorMarkDown, []Traffic{TrafficConnectError, TrafficConnectError, TrafficConnectError}, "DOWN", "HANA", 1},
		{"layer4 does not look at responses", ObserveL4, OnErrorMarkDown, []Traffic{TrafficStatus, TrafficStatus, TrafficStatus}, "UP", "INI", 0},
		{"layer7 does", ObserveL7, OnErrorMarkDown, []Traffic{TrafficStatus, TrafficConnected, TrafficInvalid, TrafficReadTimeout}, "DOWN", "HANA", 1},
		{"a response begins anew", ObserveL7, OnErrorMarkDown, []Traffic{TrafficStatus, TrafficStatus, TrafficResponse, TrafficStatus}, "UP", "INI", 0},
	} {
		o := DefaultServerOptions()
		o.Name, o.Check, o.Observe, o.OnError, o.ErrorLimit, o.Addr = "s", true, tc.observe, tc.onError, 3, netip.MustParseAddrPort("10.0.0.1:80")
		o.InitState = InitFullyUp
		s := New(1).AddBackend(BackendOptions{Name: "b"}).AddServer(o)
		for _, what := range tc.tell {
			if what == passedCheck {
				s.pass(1)
			} else {
				s.ReportTraffic(what)
			}
		}
		v := s.View()
		if v.Status != tc.want || v.TrafficFailures != tc.hana || (tc.checks == "HANA") != (v.Check.Status == CheckHANA) {
			t.Errorf("%s: %s, %s, %d; want %s, %s, %d", tc.name, v.Status, v.Check.Status, v.TrafficFailures, tc.want, tc.checks, tc.hana)
		}
		if v.Check.Status == CheckHANA && !strings.HasPrefix(v.Check.Info, "Detected 3 consecutive errors, last one was: ") {
			t.Errorf("%s: info %q", tc.name, v.Check.Info)
		}
	}
}

func TestInitState(t *testing.T) {
	for state, want := range map[InitState][2]string{
		InitUp: {"UP 1/3", "UP"}, InitFullyUp: {"UP", "UP"}, InitDown: {"DOWN 1/2", "UP"}, InitFullyDown: {"DOWN", "DOWN 1/2"},
	} {
		o := DefaultServerOptions()
		o.Name, o.Check, o.InitState, o.Addr = "s", true, state, netip.MustParseAddrPort("10.0.0.1:80")
		s := New(1).AddBackend(BackendOptions{Name: "b"}).AddServer(o)
		for _, when := range []string{"at the start", "after maintenance"} {
			if got := s.View().Status; got != want[0] {
				t.Errorf("%d %s: %q, want %q", state, when, got, want[0])
			}
			s.ReportCheck(CheckResult{Status: CheckL4OK})
			if got := s.View().Status; got != want[1] {
				t.Errorf("%d %s, after a good check: %q, want %q", state, when, got, want[1])
			}
			s.SetMaint(true, CauseCLI)
			s.SetMaint(false, CauseCLI)
		}
	}
}

func TestAgentOrders(t *testing.T) {
	o := DefaultServerOptions()
	o.Name, o.Check, o.Agent, o.Weight, o.Addr = "s", true, true, 4, netip.MustParseAddrPort("10.0.0.1:80")
	b := New(1).AddBackend(BackendOptions{Name: "b"})
	s := b.AddServer(o)
	s.ReportCheck(CheckResult{Status: CheckL4OK})
	up, down, word := CheckResult{Status: CheckL7OK}, CheckResult{Status: CheckL7Sts}, CheckResult{Status: CheckChecked}
	for i, step := range []struct {
		r              AgentReport
		want           string
		weight, target int
	}{
		{AgentReport{Result: up, Percent: 50, MaxConn: -1}, "UP", 2, 2},
		{AgentReport{Result: word, Order: AgentDrain, Percent: -1, MaxConn: -1}, "DRAIN (agent)", 2, 0},
		{AgentReport{Result: up, Percent: -1, MaxConn: -1}, "DRAIN (agent)", 2, 0}, // up does not end it
		{AgentReport{Result: word, Order: AgentMaint, Percent: 100, MaxConn: 7}, "MAINT", 4, 0},
		{AgentReport{Result: word, Order: AgentReady, Percent: -1, MaxConn: -1}, "UP 1/3", 4, 4},
		{AgentReport{Result: down, Percent: -1, MaxConn: -1}, "DOWN (agent)", 4, 0},
		{AgentReport{Result: CheckResult{Status: CheckL4Con}, Percent: -1, MaxConn: -1}, "DOWN (agent)", 4, 0}, // silence changes nothing
		{AgentReport{Result: up, Percent: -1, MaxConn: -1}, "UP 1/3", 4, 4},
	} {
		s.ReportAgent(step.r)
		target := 0
		for _, t := range b.Snapshot().Targets {
			target = t.Weight
		}
		if v := s.View(); v.Status != step.want || v.Weight != step.weight || target != step.target {
			t.Errorf("step %d: %q, weight %d, in balancing %d; want %q, %d, %d", i, v.Status, v.Weight, target, step.want, step.weight, step.target)
		}
	}
	if s.Limit() != 7 {
		t.Errorf("maxconn %d, want 7", s.Limit())
	}
	// The server's own checks do not bring it up while the agent says that it is down.
	s.ReportAgent(AgentReport{Result: down, Percent: -1, MaxConn: -1})
	s.ReportCheck(CheckResult{Status: CheckL4OK})
	if got := s.View().Status; got != "DOWN (agent)" {
		t.Errorf("after a good check %q", got)
	}
	s.SetAgentChecking(false)
	s.ReportCheck(CheckResult{Status: CheckL4OK})
	if got := s.View().Status; got != "UP" {
		t.Errorf("without its agent %q", got)
	}
}
