package resolver_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"waggle/pkg/resolver"
)

const serviceName = "_http._tcp.web.local"

// services answers queries for the service with records "priority weight port target".
func services(records ...string) answer {
	var a answer
	for _, r := range records {
		a.srv = append(a.srv, serviceName+". SRV "+r)
	}
	return a
}

// slots renders where each slot is and with what weight.
func (s *swarm) slots() string {
	var out []string
	for _, srv := range s.backend.Servers() {
		v := srv.View()
		if !v.Addr.Addr().IsValid() {
			out = append(out, "-")
			continue
		}
		text := fmt.Sprintf("%s*%d", v.Addr, v.Weight)
		if v.Leaving {
			text += "~"
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

func (s *swarm) wantSlots(want string) {
	s.t.Helper()
	s.within(2500*time.Millisecond, want, func() bool { return s.slots() == want })
}

func TestServiceRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwarm(t, swarmOptions{name: serviceName, first: services("0 256 8001 a.local.", "0 1 8002 b.local.", "5 512 8003 A.local.")})
		s.dns.setName("a.local.", tasks("10.0.1.1"))
		s.dns.setName("b.local.", tasks("10.0.1.2"))
		s.wantSlots("10.0.1.1:8001*1 10.0.1.1:8003*2 10.0.1.2:8002*1")

		// A record goes: the server is leaving at once, and a new one takes its slot.
		s.dns.set(0, services("0 256 8001 a.local.", "0 1 8002 b.local."))
		s.wantSlots("10.0.1.1:8001*1 10.0.1.1:8003*2~ 10.0.1.2:8002*1")
		s.dns.set(0, services("0 256 8001 a.local.", "0 65535 8002 b.local.", "0 0 8004 b.local."))
		s.wantSlots("10.0.1.1:8001*1 10.0.1.2:8004*0 10.0.1.2:8002*256") // 0 is no traffic

		// A target that cannot be asked for stays where it was; one that does not exist goes.
		s.dns.setName("a.local.", servfail)
		after(30 * time.Second)
		s.wantSlots("10.0.1.1:8001*1 10.0.1.2:8004*0 10.0.1.2:8002*256")
		s.dns.setName("a.local.", nxdomain)
		s.wantSlots("10.0.1.1:8001*1~ 10.0.1.2:8004*0 10.0.1.2:8002*256")

		// A target moves.
		s.dns.setName("a.local.", tasks("10.0.1.7"))
		s.wantSlots("10.0.1.7:8001*1 10.0.1.2:8004*0 10.0.1.2:8002*256")
	})
}

func TestServiceRecordsBringTheirAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := services("0 0 8001 a.local.", "0 0 8002 b.local.")
		a.extra = []string{"a.local. A 10.0.1.1", "a.local. A 10.0.1.9", "b.local. AAAA fd00::2"}
		s := newSwarm(t, swarmOptions{name: serviceName, first: a, want: resolver.Want{IgnoreWeight: true}})
		s.dns.setName("b.local.", tasks("10.0.1.2")) // AAAA was not asked for
		s.wantSlots("10.0.1.1:8001*1 10.0.1.2:8002*1 -")
		for _, q := range s.dns.asked() {
			if q.name == "a.local." {
				t.Fatal("asked for a target whose address was in the answer")
			}
		}
		// A target's address stays the one that was chosen while it has it.
		a.extra = []string{"a.local. A 10.0.1.1", "a.local. A 10.0.1.0"}
		s.dns.set(0, a)
		after(3 * time.Second)
		s.wantSlots("10.0.1.1:8001*1 10.0.1.2:8002*1 -")
	})
}

func TestServiceRecordsOverIPv6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := services("0 0 8001 a.local.")
		a.extra = []string{"a.local. A 10.0.1.1", "a.local. AAAA fd00::1"}
		s := newSwarm(t, swarmOptions{name: serviceName, first: a, want: resolver.Want{Prefer: "ipv6", IgnoreWeight: true}})
		s.wantSlots("[fd00::1]:8001*1 - -")
	})
}

// In HAProxy's mode a slot whose record is gone goes into maintenance after hold obsolete, for this cause.
func TestServiceRecordRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := haproxyMode(services("0 0 8001 a.local.", "0 0 8002 a.local."))
		o.name, o.want.IgnoreWeight = serviceName, true
		s := newSwarm(t, o)
		s.dns.setName("a.local.", tasks("10.0.1.1"))
		s.wantSlots("10.0.1.1:8001*1 10.0.1.1:8002*1 -")
		s.dns.set(0, services("0 0 8001 a.local."))
		after(9 * time.Second)
		s.wantSlots("10.0.1.1:8001*1 10.0.1.1:8002*1 -")
		s.within(3*time.Second, "hold obsolete", func() bool { return s.slots() == "10.0.1.1:8001*1 - -" })
		s.wantLogged("Server web_service/web-2 is going DOWN for maintenance (entry removed from SRV record). 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.")
	})
}

// Many targets cost one query each and cycle, and no more than the cycle's time.
func TestManyTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var records []string
		for i := range 9 {
			records = append(records, fmt.Sprintf("0 0 80 n%d.local.", i))
		}
		s := newSwarm(t, swarmOptions{name: serviceName, slots: 9, first: services(records...), want: resolver.Want{IgnoreWeight: true}})
		for i := range 9 {
			s.dns.setName(fmt.Sprintf("n%d.local.", i), tasks(fmt.Sprintf("10.0.1.%d", i+1)))
		}
		after(60 * time.Second)
		n := map[uint16]int{}
		for _, q := range s.dns.asked() {
			n[q.typ]++
		}
		if n[dns.TypeSRV] > 60 || n[dns.TypeA] > 9*60 || n[dns.TypeSRV] < 50 {
			t.Errorf("%d queries for the service and %d for 9 targets in 60 s", n[dns.TypeSRV], n[dns.TypeA])
		}
		if len(s.backend.Snapshot().Targets) != 9 {
			t.Errorf("slots: %s", s.slots())
		}
	})
}
