package resolver_test

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"waggle/pkg/pool"
	"waggle/pkg/resolver"
)

// settle makes all servers fully up.
func (s *swarm) settle(targets string) {
	s.t.Helper()
	s.within(1500*time.Millisecond, "start", func() bool { return s.targets() == targets })
	s.check(pool.CheckL4OK, 1)
}

func TestScaleIsFollowedWithinSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwarm(t, swarmOptions{first: tasks("10.0.1.1", "10.0.1.2", "10.0.1.3")})
		s.settle("10.0.1.1 10.0.1.2 10.0.1.3")

		s.dns.set(0, tasks("10.0.1.2"))
		s.within(3*time.Second, "3 -> 1", func() bool { return s.targets() == "10.0.1.2" })
		s.wantStates("10.0.1.1 leaving UP, 10.0.1.2 UP, 10.0.1.3 leaving UP")
		s.within(11*time.Second, "leaving servers are dropped", func() bool {
			return s.states() == none+", 10.0.1.2 UP, "+none
		})

		s.dns.set(0, nxdomain)
		after(8900 * time.Millisecond)
		s.wantStates(none + ", 10.0.1.2 UP, " + none) // as last known, and not leaving
		took := s.within(5*time.Second, "1 -> 0", func() bool { return s.targets() == "" })
		if total := 8900*time.Millisecond + took; total > 13*time.Second {
			t.Errorf("1 -> 0 took %v, want hold nx and a retry cycle at most", total)
		}

		s.dns.set(0, tasks("10.0.1.4", "10.0.1.5", "10.0.1.6"))
		s.within(3*time.Second, "0 -> 3", func() bool { return s.targets() == "10.0.1.4 10.0.1.5 10.0.1.6" })
	})
}

func TestLeavingSlotGoesToANewAddressAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwarm(t, swarmOptions{first: tasks("10.0.1.1", "10.0.1.2", "10.0.1.3")})
		s.settle("10.0.1.1 10.0.1.2 10.0.1.3")
		s.dns.set(0, tasks("10.0.1.1", "10.0.1.2", "10.0.1.4")) // a rolling update, stop-first
		s.within(1100*time.Millisecond, "the new task has the slot", func() bool {
			return s.states() == "10.0.1.1 UP, 10.0.1.2 UP, 10.0.1.4 UP 1/3"
		})
	})
}

func TestLeavingServerIsLastResort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwarm(t, swarmOptions{first: tasks("10.0.1.1")})
		s.settle("10.0.1.1")
		s.dns.set(0, nodata) // a valid answer without addresses
		after(2 * time.Second)
		s.wantStates("10.0.1.1 leaving UP, " + none + ", " + none)
		s.wantTargets("10.0.1.1")
		s.within(10*time.Second, "no address after hold obsolete", func() bool { return s.targets() == "" })
		s.wantLogged("Server web_service/web-1 is going DOWN for maintenance (No IP for server ). 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.")

		s.dns.set(0, tasks("10.0.1.1"))
		s.within(1100*time.Millisecond, "back", func() bool { return s.targets() == "10.0.1.1" })
	})
}

func TestAddressThatComesBackStopsLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwarm(t, swarmOptions{first: tasks("10.0.1.1", "10.0.1.2")})
		s.settle("10.0.1.1 10.0.1.2")
		s.dns.set(0, tasks("10.0.1.2"))
		s.within(1100*time.Millisecond, "leaving", func() bool { return s.targets() == "10.0.1.2" })
		s.dns.set(0, tasks("10.0.1.1", "10.0.1.2"))
		s.within(1100*time.Millisecond, "back in its slot", func() bool {
			return s.states() == "10.0.1.1 UP, 10.0.1.2 UP, "+none
		})
	})
}

func TestFailingDNSKeepsServersThatPassTheirChecks(t *testing.T) {
	for name, failure := range map[string]answer{"SERVFAIL": servfail, "REFUSED": refused, "silence": silent, "unreachable": {broken: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSwarm(t, swarmOptions{first: tasks("10.0.1.1", "10.0.1.2")})
				s.settle("10.0.1.1 10.0.1.2")
				s.dns.set(0, failure)
				after(time.Minute)
				s.wantStates("10.0.1.1 UP, 10.0.1.2 UP, " + none)
				if s.res.Totals().KeptHealthy == 0 {
					t.Error("nothing was counted as kept by its checks")
				}

				// One task dies: with DNS unable to vouch for it, it loses its slot.
				srv := s.backend.Servers()[0]
				for range 3 {
					srv.ReportCheck(pool.CheckResult{Status: pool.CheckL4Con})
				}
				after(5 * time.Second)
				s.wantStates(none + ", 10.0.1.2 UP, " + none)

				s.dns.set(0, tasks("10.0.1.2", "10.0.1.3"))
				s.within(5*time.Second, "DNS is back", func() bool { return s.targets() == "10.0.1.3 10.0.1.2" })
			})
		})
	}
}

func TestFailingDNSTakesUncheckedServersAfterHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwarm(t, swarmOptions{first: tasks("10.0.1.1"), noCheck: true})
		s.within(1500*time.Millisecond, "start", func() bool { return s.targets() == "10.0.1.1" })
		s.dns.set(0, servfail)
		after(8900 * time.Millisecond)
		s.wantTargets("10.0.1.1")
		s.within(2200*time.Millisecond, "nothing vouches for it any more", func() bool { return s.targets() == "" })
		s.wantLogged("Server web_service/web-1 is going DOWN for maintenance (unspecified DNS error). 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.")
	})
}

// TestErrorsDoNotGiveSlotsBack: once a hold time is over only a valid answer brings servers back, even
// when another error with a longer hold time follows.
func TestErrorsDoNotGiveSlotsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sec := seedSection()
		sec.Hold.Other = 3 * time.Second
		s := newSwarm(t, swarmOptions{first: tasks("10.0.1.1"), noCheck: true, section: sec})
		s.within(1500*time.Millisecond, "start", func() bool { return s.targets() == "10.0.1.1" })
		s.dns.set(0, servfail)
		s.within(5*time.Second, "gone", func() bool { return s.targets() == "" })
		s.dns.set(0, nxdomain)
		for range 20 {
			after(500 * time.Millisecond)
			s.wantTargets("")
		}
	})
}

func TestAddressFromInitAddrHasItsHoldTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwarm(t, swarmOptions{first: nxdomain})
		s.group.Resolve(pool.Resolution{Records: []pool.Record{{Addr: netip.MustParseAddr("10.0.1.9")}}, By: "libc"})
		after(9 * time.Second)
		s.wantTargets("10.0.1.9")
		s.within(3*time.Second, "hold nx since the start", func() bool { return s.targets() == "" })
	})
}

func TestRotatingNameIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwarm(t, swarmOptions{name: "web.service.consul", slots: 6})
		parts := []answer{tasks("10.2.0.1", "10.2.0.2", "10.2.0.3"), tasks("10.2.0.4", "10.2.0.5", "10.2.0.6")}
		for i := range 60 {
			s.dns.set(0, parts[i%2])
			after(1001 * time.Millisecond)
		}
		s.wantTargets("10.2.0.1 10.2.0.2 10.2.0.3 10.2.0.4 10.2.0.5 10.2.0.6")
		if !s.res.Status()[0].Rotating {
			t.Error("not shown as rotating")
		}
		if n := strings.Count(strings.Join(s.texts, ""), "changing parts"); n != 1 {
			t.Errorf("logged %d times, want once: %v", n, s.texts)
		}
	})
}

func TestSubnetGuard(t *testing.T) {
	overlay := func() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24")} }
	guarded := func(name string, first answer) swarmOptions {
		return swarmOptions{name: name, first: first, Options: resolver.Options{LocalSubnets: overlay}}
	}
	t.Run("a wildcard answer is no task", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSwarm(t, guarded("tasks.web", tasks("10.0.1.1", "10.0.1.2")))
			s.settle("10.0.1.1 10.0.1.2")
			s.dns.set(0, tasks("203.0.113.7")) // scaled to 0, and the upstream has a wildcard
			after(3 * time.Second)
			s.wantStates("10.0.1.1 UP, 10.0.1.2 UP, " + none)
			if st := s.res.Status()[0]; st.Answer != "nx" || len(st.Refused) != 1 {
				t.Errorf("status: %+v", st)
			}
			s.within(13*time.Second, "as after NXDOMAIN", func() bool { return s.targets() == "" })
			after(10 * time.Second)
			s.wantTargets("")
			if s.res.Totals().Refused < 10 {
				t.Errorf("refused: got %d, want one for each answer", s.res.Totals().Refused)
			}
			if n := strings.Count(strings.Join(s.texts, ""), "addresses refused"); n != 1 {
				t.Errorf("logged %d times, want once: %v", n, s.texts)
			}
			s.dns.set(0, tasks("10.0.1.3"))
			s.within(1100*time.Millisecond, "tasks again", func() bool { return s.targets() == "10.0.1.3" })
		})
	})
	t.Run("a foreign name may be anywhere", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSwarm(t, guarded("db.example.com", tasks("203.0.113.7")))
			s.settle("203.0.113.7")
		})
	})
	t.Run("a name once seen inside must stay inside", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSwarm(t, guarded("web.stack_net", tasks("10.0.1.1", "203.0.113.7")))
			s.settle("10.0.1.1")
			s.dns.set(0, tasks("203.0.113.7"))
			s.within(13*time.Second, "gone", func() bool { return s.targets() == "" })
		})
	})
	t.Run("off in HAProxy's mode", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := guarded("tasks.web", tasks("203.0.113.7"))
			o.HAProxyHold = true
			s := newSwarm(t, o)
			s.settle("203.0.113.7")
		})
	})
}
