package resolver_test

import (
	"testing"
	"testing/synctest"
	"time"

	"waggle/pkg/pool"
	"waggle/pkg/resolver"
)

const none = "- MAINT (resolution)"

func haproxyMode(first answer) swarmOptions {
	return swarmOptions{Options: resolver.Options{HAProxyHold: true}, first: first}
}

// TestMeasuredTimeline replays what was measured on HAProxy 2.6 with the seed's timers
// (reference: the table of events and what was observed).
func TestMeasuredTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwarm(t, haproxyMode(tasks("127.0.1.1", "127.0.1.2")))
		s.wantStates(none + ", " + none + ", " + none) // libc failed, nothing resolved yet
		if s.backend.View().Up {
			t.Error("the backend is up before there is an address")
		}

		s.within(1500*time.Millisecond, "two slots of two records", func() bool {
			return s.states() == "127.0.1.1 UP 1/3, 127.0.1.2 UP 1/3, "+none
		})
		if !s.backend.View().Up {
			t.Error("the backend is down with two servers")
		}
		s.wantLogged(
			"web_service/web-1 changed its IP from (none) to 127.0.1.1 by docker/dns1.",
			"Server web_service/web-1 ('web') is UP/READY (resolves again).",
			"Server web_service/web-1 administratively READY thanks to valid DNS answer.",
			"web_service/web-2 changed its IP from (none) to 127.0.1.2 by docker/dns1.")
		s.check(pool.CheckL4OK, 1)
		s.wantStates("127.0.1.1 UP, 127.0.1.2 UP, " + none)

		s.dns.set(0, tasks("127.0.1.5", "127.0.1.3", "127.0.1.2", "127.0.1.4", "127.0.1.1"))
		s.within(1500*time.Millisecond, "third slot of five records", func() bool {
			return s.states() == "127.0.1.1 UP, 127.0.1.2 UP, 127.0.1.3 UP 1/3"
		})
		if got := len(s.group.Surplus()); got != 2 {
			t.Errorf("surplus: got %d, want 2", got)
		}
		s.check(pool.CheckL4OK, 1)

		// A removed record stays in use for hold obsolete, and only then a new one gets its slot.
		s.dns.set(0, tasks("127.0.1.4", "127.0.1.5", "127.0.1.1"))
		after(8900 * time.Millisecond)
		s.wantStates("127.0.1.1 UP, 127.0.1.2 UP, 127.0.1.3 UP")
		s.wantTargets("127.0.1.1 127.0.1.2 127.0.1.3")
		s.within(2200*time.Millisecond, "switch after hold obsolete", func() bool {
			return s.states() == "127.0.1.1 UP, 127.0.1.4 UP 1/3, 127.0.1.5 UP 1/3"
		})
		s.wantLogged("web_service/web-2 changed its IP from 127.0.1.2 to 127.0.1.4 by docker/dns1.")

		s.dns.set(0, tasks("127.0.1.4"))
		after(8900 * time.Millisecond)
		s.wantTargets("127.0.1.1 127.0.1.4 127.0.1.5")
		s.within(2200*time.Millisecond, "two slots in maintenance", func() bool {
			return s.states() == none+", 127.0.1.4 UP 1/3, "+none
		})
		s.wantLogged(
			"Server web_service/web-1 is going DOWN for maintenance (No IP for server ). 2 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
			"Server web_service/web-3 is going DOWN for maintenance (No IP for server ). 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.")

		server := "web-2"
		for _, e := range []struct {
			name   string
			answer answer
			cause  string
		}{
			{"NXDOMAIN", nxdomain, "DNS NX status"},
			{"no answers", silent, "DNS timeout status"},
			{"SERVFAIL", servfail, "unspecified DNS error"},
			{"REFUSED", refused, "DNS refused status"},
		} {
			s.dns.set(0, e.answer)
			after(8900 * time.Millisecond)
			s.wantTargets("127.0.1.4")
			s.within(3200*time.Millisecond, "maintenance after "+e.name, func() bool { return s.targets() == "" })
			s.wantLogged("Server web_service/"+server+" is going DOWN for maintenance ("+e.cause+"). 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
				"backend web_service has no server available!")

			s.dns.set(0, tasks("127.0.1.4"))
			limit := 1100 * time.Millisecond
			if e.answer.silent {
				limit += 3 * time.Second // a cycle without answers takes its retries first
			}
			s.within(limit, "back after "+e.name, func() bool { return s.targets() == "127.0.1.4" })
			server = "web-1" // the first free slot takes the address from now on
		}
	})
}
