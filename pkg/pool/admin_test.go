package pool

import "testing"

func TestMaintenance(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(nil)
	b.server(nil)
	s.pass(1)
	s.SetMaint(true, CauseCLI)
	s.SetMaint(true, CauseStatsPage) // it is in maintenance already
	b.wantStates("10.0.0.1 MAINT, 10.0.0.2 UP 1/3")
	b.wantTargets("s2")
	s.SetMaint(false, CauseCLI)
	s.SetMaint(false, CauseCLI)
	b.wantStates("10.0.0.1 UP 1/3, 10.0.0.2 UP 1/3")
	b.wantTargets("s1 s2")
	b.wantLines(
		"Server be/s1 is going DOWN for maintenance. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
		"Server be/s1 is UP/READY (leaving forced maintenance).")
}

func TestDisabledByConfiguration(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(func(o *ServerOptions) { o.Disabled = true })
	b.wantStates("10.0.0.1 MAINT")
	if v := s.View(); v.Admin != ConfigMaint || b.View().Up {
		t.Errorf("%+v", v)
	}
	s.SetMaint(false, CauseCLI)
	b.wantTargets("s1")
}

func TestDrain(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(nil)
	b.server(nil)
	s.pass(1)
	s.SetDrain(true)
	b.wantStates("10.0.0.1 DRAIN, 10.0.0.2 UP 1/3")
	b.wantTargets("s2")
	s.SetDrain(false)
	b.wantTargets("s1 s2")
	lines := b.lines()
	if len(lines) != 2 || lines[1] != "Server be/s1 is UP (leaving forced drain)." {
		t.Errorf("log: %q", lines)
	}
}

func TestWeight(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(nil)
	for _, w := range []int{-1, MaxWeight + 1} {
		if s.SetWeight(w) == nil {
			t.Errorf("weight %d was accepted", w)
		}
	}
	if err := s.SetWeight(MaxWeight); err != nil {
		t.Fatal(err)
	}
	if got := b.Snapshot().Targets[0].Weight; got != MaxWeight {
		t.Errorf("weight %d in the snapshot", got)
	}
	s.pass(1)
	s.SetWeight(0)
	b.wantStates("10.0.0.1 UP")
	b.wantTargets("")
}

// TestAdminBitsAreHAProxys: state files and scripts hold these numbers.
func TestAdminBitsAreHAProxys(t *testing.T) {
	for bit, want := range map[Admin]uint8{
		ForcedMaint: 0x01, InheritedMaint: 0x02, ConfigMaint: 0x04, ForcedDrain: 0x08, InheritedDrain: 0x10, ResolutionMaint: 0x20,
	} {
		if uint8(bit) != want {
			t.Errorf("%#x, want %#x", uint8(bit), want)
		}
		if drain := want == 0x08 || want == 0x10; bit.Drain() != drain || bit.Maint() == drain {
			t.Errorf("%#x: maint %v, drain %v", want, bit.Maint(), bit.Drain())
		}
	}
	if Stopped != 0 || Starting != 1 || Running != 2 || Stopping != 3 {
		t.Error("operational states differ from srv_op_state")
	}
}

func TestStatusWords(t *testing.T) {
	for _, tc := range []struct {
		name  string
		state serverState
		check bool
		want  string
	}{
		{"DNS before operator", serverState{admin: ForcedMaint | ResolutionMaint}, true, "MAINT (resolution)"}, // as seen on HAProxy 2.6
		{"DNS", serverState{admin: ResolutionMaint}, true, "MAINT (resolution)"},
		{"tracked", serverState{admin: InheritedMaint}, true, "MAINT (via tracking)"},
		{"no check", serverState{op: Running, weight: 1}, false, "no check"},
		{"no check, draining", serverState{op: Running, admin: ForcedDrain}, false, "DRAIN"},
		{"draining, degraded", serverState{op: Running, admin: ForcedDrain, health: 2, weight: 1}, true, "DRAIN 1/3"},
		{"asked for no new sessions", serverState{op: Stopping, health: 4, weight: 1}, true, "NOLB"},
		{"the same, degraded", serverState{op: Stopping, health: 3, weight: 1}, true, "NOLB 2/3"},
		{"starting", serverState{op: Starting, health: 4, weight: 1}, true, "UP"},
		{"down", serverState{op: Stopped}, true, "DOWN"},
		{"coming up", serverState{op: Stopped, health: 1}, true, "DOWN 1/2"},
	} {
		s := &Server{ServerOptions: DefaultServerOptions(), serverLife: &serverLife{state: tc.state}}
		s.Check = tc.check
		if got := s.status(); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
