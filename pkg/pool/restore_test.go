package pool

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// up is a server line of a process before, whose weight and place nobody had changed.
func up(edit func(*SavedServer)) SavedServer {
	s := SavedServer{
		Addr: netip.MustParseAddrPort("10.0.0.1:80"), Op: Running, Weight: 10, Configured: 10, Since: time.Hour,
		Check: CheckL4OK, Checked: true, Health: 4, Watched: true,
	}
	edit(&s)
	return s
}

// The rows are what HAProxy 2.6 makes of such lines, observed, but for those that say otherwise.
func TestRestore(t *testing.T) {
	for name, tc := range map[string]struct {
		line   func(*ServerOptions)
		was    SavedServer
		status string
		weight int
		addr   string        // 10.0.0.1:80 if empty
		since  time.Duration // of the last change
	}{
		"up":                         {was: up(func(*SavedServer) {}), status: "UP", weight: 10, since: time.Hour},
		"weight of an operator":      {was: up(func(s *SavedServer) { s.Weight = 33 }), status: "UP", weight: 33, since: time.Hour},
		"configured weight differs":  {was: up(func(s *SavedServer) { s.Weight, s.Configured = 33, 11 }), status: "UP", weight: 10, since: time.Hour},
		"down":                       {was: up(func(s *SavedServer) { s.Op, s.Health = Stopped, 0 }), status: "DOWN", weight: 10, since: time.Hour},
		"stopping":                   {was: up(func(s *SavedServer) { s.Op = Stopping }), status: "NOLB 1/3", weight: 10, since: time.Hour},
		"stopping, fall 1":           {line: func(o *ServerOptions) { o.Fall = 1 }, was: up(func(s *SavedServer) { s.Op = Stopping }), status: "DOWN", weight: 10, since: time.Hour},
		"drain":                      {was: up(func(s *SavedServer) { s.Admin = ForcedDrain }), status: "DRAIN", weight: 10, since: time.Hour},
		"drain of a weight of 0":     {was: up(func(s *SavedServer) { s.Admin, s.Weight, s.Configured = ForcedDrain, 0, 0 }), status: "UP", weight: 10, since: time.Hour},
		"maintenance":                {was: up(func(s *SavedServer) { s.Admin, s.Op = ForcedMaint, Stopped }), status: "MAINT", weight: 10, since: time.Hour},
		"maintenance, now disabled":  {line: disabled, was: up(func(s *SavedServer) { s.Admin, s.Op = ForcedMaint, Stopped }), status: "MAINT", weight: 10, since: time.Hour},
		"disabled":                   {line: disabled, was: up(func(s *SavedServer) { s.Admin, s.Op = ForcedMaint|ConfigMaint, Stopped }), status: "MAINT", weight: 10, since: time.Hour},
		"disabled, made ready":       {line: disabled, was: up(func(s *SavedServer) { s.Admin = ConfigMaint }), status: "UP", weight: 10, since: time.Hour},
		"ready, now disabled":        {line: disabled, was: up(func(*SavedServer) {}), status: "MAINT", weight: 10},
		"disabled, now enabled":      {was: up(func(s *SavedServer) { s.Admin, s.Op = ForcedMaint|ConfigMaint, Stopped }), status: "UP 1/3", weight: 10},
		"port":                       {was: up(func(s *SavedServer) { s.Addr = netip.MustParseAddrPort("10.0.0.9:81") }), status: "UP", weight: 10, addr: "10.0.0.1:81", since: time.Hour},
		"had no address":             {was: up(func(s *SavedServer) { s.Addr, s.Admin, s.Op = netip.AddrPort{}, ResolutionMaint, Stopped }), status: "UP 1/3", weight: 10},
		"checks switched off":        {was: up(func(s *SavedServer) { s.CheckOff = true }), status: "no check", weight: 10, since: time.Hour},
		"no checks any more, down":   {line: func(o *ServerOptions) { o.Check = false }, was: up(func(s *SavedServer) { s.Op = Stopped }), status: "no check", weight: 10},                                              // HAProxy: down for good
		"found elsewhere, down":      {line: func(o *ServerOptions) { o.FQDN = "web" }, was: up(func(s *SavedServer) { s.Addr, s.Op = netip.MustParseAddrPort("10.0.0.9:80"), Stopped }), status: "UP 1/3", weight: 10}, // HAProxy: down
		"agent said down":            {line: func(o *ServerOptions) { o.Agent = true }, was: up(func(s *SavedServer) { s.Op = Stopped }), status: "DOWN (agent)", weight: 10, since: time.Hour},
		"agent alone said down":      {line: func(o *ServerOptions) { o.Agent, o.Check = true, false }, was: up(func(s *SavedServer) { s.Op, s.Health = Stopped, 0 }), status: "DOWN (agent)", weight: 10, since: time.Hour},
		"in its slow start":          {line: func(o *ServerOptions) { o.Slowstart = 2 * time.Hour }, was: up(func(s *SavedServer) { s.Op = Starting }), status: "UP", weight: 10, since: time.Hour},
		"past its slow start by now": {line: func(o *ServerOptions) { o.Slowstart = time.Minute }, was: up(func(s *SavedServer) { s.Op = Starting }), status: "UP", weight: 10, since: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, BackendOptions{})
				s := b.server(func(o *ServerOptions) {
					o.Weight = 10
					if tc.line != nil {
						tc.line(o)
					}
				})
				s.Restore(tc.was)
				v := s.View()
				if tc.addr == "" {
					tc.addr = "10.0.0.1:80"
				}
				if v.Status != tc.status || v.Weight != tc.weight || v.Addr.String() != tc.addr || time.Since(v.LastChange) != tc.since {
					t.Errorf("the server is %s at %s with weight %d since %s; want %s at %s with weight %d since %s",
						v.Status, v.Addr, v.Weight, time.Since(v.LastChange), tc.status, tc.addr, tc.weight, tc.since)
				}
				wantThrottle := 0
				if s.Slowstart > time.Hour {
					wantThrottle = 100 * 9 / WeightScale // half of the way
				}
				if v.Throttle != wantThrottle {
					t.Errorf("throttle %d %%, want %d", v.Throttle, wantThrottle)
				}
			})
		})
	}
}

func disabled(o *ServerOptions) { o.Disabled = true }

func TestRestoreTellsWhoIsDown(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(nil)
	s.Restore(up(func(s *SavedServer) { s.Op, s.Health, s.Check = Stopped, 0, CheckL4Con }))
	want := "Server be/s1 is DOWN, changed from server-state after a reload. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.\n" +
		"backend be has no server available!\n"
	if got := b.texts(); got != want {
		t.Errorf("the log says:\n%swant:\n%s", got, want)
	}
	s.ReportCheck(CheckResult{Status: CheckL4OK})
	s.ReportCheck(CheckResult{Status: CheckL4OK})
	if v := s.View(); v.Status != "UP" {
		t.Errorf("after two good checks the server is %s", v.Status)
	}
}

// Where checks go was an operator's word, too, unless they were off: then HAProxy knows the configuration's alone.
func TestRestoreOfWhereChecksGo(t *testing.T) {
	at := CheckTarget{Addr: netip.MustParseAddr("10.0.0.7"), Port: 99}
	agentAt := AgentTarget{Port: 98}
	b := newBench(t, BackendOptions{})
	s, off := b.server(func(o *ServerOptions) { o.Agent, o.AgentAt.Addr = true, at.Addr }), b.server(nil)
	s.Restore(up(func(s *SavedServer) { s.CheckTarget, s.AgentTarget, s.AgentOff = at, agentAt, true }))
	off.Restore(up(func(s *SavedServer) { s.CheckTarget, s.CheckOff = at, true }))
	if v := s.View(); v.CheckTarget != at || v.AgentTarget != (AgentTarget{Addr: at.Addr, Port: 98}) || v.AgentChecking {
		t.Errorf("%+v", v)
	}
	if v := off.View(); v.CheckTarget != (CheckTarget{}) || v.Checking {
		t.Errorf("with checks off: %+v", v)
	}
}

// A server that tracks another one is what that one is.
func TestRestoreOfAFollower(t *testing.T) {
	b := newBench(t, BackendOptions{})
	leader, follower := b.server(nil), b.server(func(o *ServerOptions) { o.Check = false })
	follower.Track(leader)
	follower.Restore(up(func(s *SavedServer) { s.Op, s.Weight, s.Configured = Stopped, 7, 1 }))
	if v := follower.View(); v.Op != Running || v.Weight != 7 {
		t.Errorf("the follower is %s with weight %d", v.Status, v.Weight)
	}
	leader.Restore(up(func(s *SavedServer) { s.Admin, s.Op = ForcedMaint, Stopped }))
	if v := follower.View(); v.Status != "MAINT (via be/s1)" {
		t.Errorf("the follower is %s", v.Status)
	}
}
