package pool

import (
	"net/netip"
	"testing"
)

// TestForcedHealth follows the states and log lines measured with HAProxy 2.6 and `set server … health`.
func TestForcedHealth(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(nil)
	b.server(nil)
	s.pass(1)
	s.SetHealth(Stopping, CauseCLI)
	b.wantStates("10.0.0.1 NOLB 1/3, 10.0.0.2 UP 1/3")
	b.wantTargets("s2")
	s.pass(1)
	b.wantStates("10.0.0.1 UP, 10.0.0.2 UP 1/3")
	s.SetHealth(Stopped, CauseCLI)
	s.SetHealth(Stopped, CauseCLI)
	b.wantStates("10.0.0.1 DOWN, 10.0.0.2 UP 1/3")
	s.SetHealth(Running, CauseCLI)
	b.wantStates("10.0.0.1 UP, 10.0.0.2 UP 1/3")
	b.wantTargets("s1 s2")
	b.wantLines(
		"Server be/s1 is stopping, changed from CLI. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
		"Server be/s1 is UP, reason: Layer4 check passed, check duration: 0ms. 2 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
		"Server be/s1 is DOWN, changed from CLI. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
		"Server be/s1 is UP, changed from CLI. 2 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.")
}

func TestForcedHealthWithoutChecks(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(func(o *ServerOptions) { o.Check = false })
	for _, step := range []struct {
		op   OpState
		want string
	}{{Stopping, "NOLB"}, {Stopped, "DOWN"}, {Running, "no check"}} {
		s.SetHealth(step.op, CauseCLI)
		b.wantStates("10.0.0.1 " + step.want)
	}
}

// TestForcedHealthInMaintenance: an operator's maintenance is not ended by what is said of health.
func TestForcedHealthInMaintenance(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(nil)
	s.SetMaint(true, CauseCLI)
	for _, op := range []OpState{Running, Stopping, Stopped} {
		s.SetHealth(op, CauseCLI)
		b.wantStates("10.0.0.1 MAINT")
		b.wantTargets("")
	}
}

func TestChecksSwitchedOff(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(nil)
	if !s.SetChecking(false) {
		t.Error("a server with checks is said to have none")
	}
	for range 5 {
		s.ReportCheck(CheckResult{Status: CheckL4Con})
	}
	b.wantStates("10.0.0.1 no check")
	s.SetChecking(true)
	s.ReportCheck(CheckResult{Status: CheckL4Con})
	b.wantStates("10.0.0.1 DOWN")
	if b.server(func(o *ServerOptions) { o.Check = false }).SetChecking(true) {
		t.Error("a server without checks is said to have some")
	}
}

func TestAddressByOperator(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(func(o *ServerOptions) { o.Check = false })
	waiting := b.server(func(o *ServerOptions) { o.Addr, o.Check = netip.AddrPortFrom(netip.Addr{}, 81), false })
	version := b.Snapshot().Version
	s.SetAddr(netip.MustParseAddr("10.0.0.1"), 0, "stats socket command")
	if b.Snapshot().Version != version {
		t.Error("the same address made a change")
	}
	s.SetAddr(netip.MustParseAddr("10.0.0.9"), 0, "stats socket command")
	s.SetAddr(netip.MustParseAddr("10.0.0.9"), 8080, "stats socket command")
	waiting.SetAddr(netip.MustParseAddr("10.0.0.3"), 0, "stats socket command")
	if got := b.Snapshot().Targets; len(got) != 2 || got[0].Addr.String() != "10.0.0.9:8080" || got[1].Addr.String() != "10.0.0.3:81" {
		t.Errorf("targets %v", got)
	}
	b.wantLines(
		"be/s1 changed its IP from 10.0.0.1 to 10.0.0.9 by stats socket command.",
		"be/s1 changed its port from 80 to 8080 by stats socket command.",
		"be/s2 changed its IP from (none) to 10.0.0.3 by stats socket command.",
		"Server be/s2 is UP/READY (leaving forced maintenance).")
}
