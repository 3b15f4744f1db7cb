package resolver_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"waggle/pkg/resolver"
)

func TestVirtualAddressIsReported(t *testing.T) {
	for name, tc := range map[string]struct {
		options swarmOptions
		tasks   answer // of tasks.<name>
		vip     bool
		probes  int // queries for tasks.<name> in 100 s
	}{
		"a VIP":                       {swarmOptions{first: tasks("10.0.1.2")}, tasks("10.0.1.3", "10.0.1.4"), true, 1},
		"one task of a dnsrr service": {swarmOptions{first: tasks("10.0.1.3")}, tasks("10.0.1.3"), false, 1},
		"several addresses":           {swarmOptions{first: tasks("10.0.1.3", "10.0.1.4")}, nxdomain, false, 0},
		"a VIP without tasks yet":     {swarmOptions{first: tasks("10.0.1.2")}, nxdomain, false, 4},
		"no slots for several":        {swarmOptions{first: tasks("10.0.1.2"), slots: 1}, tasks("10.0.1.3"), false, 0},
		"a name from elsewhere":       {swarmOptions{first: tasks("10.0.1.2"), name: "db.example.com"}, tasks("10.0.1.3"), false, 0},
		"HAProxy's mode":              {swarmOptions{first: tasks("10.0.1.2"), Options: resolver.Options{HAProxyHold: true}}, tasks("10.0.1.3"), false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSwarm(t, tc.options)
				s.dns.setName("tasks.web.", tc.tasks)
				s.dns.setName("tasks.db.example.com.", tc.tasks)
				after(100 * time.Second)
				if got := s.res.Status()[0].VIP; got != tc.vip {
					t.Errorf("VIP %v, want %v", got, tc.vip)
				}
				probes := 0
				for _, q := range s.dns.asked() {
					if strings.HasPrefix(q.name, "tasks.") {
						probes++
					}
				}
				if probes != tc.probes {
					t.Errorf("%d queries for tasks, want %d", probes, tc.probes)
				}
				logged := strings.Count(strings.Join(s.texts, ""), "virtual address of Swarm")
				if want := map[bool]int{true: 1}[tc.vip]; logged != want {
					t.Errorf("logged %d times, want %d", logged, want)
				}
			})
		})
	}
}

func TestVIPThatBecomesTasks(t *testing.T) {
	for name, now := range map[string]answer{"one": tasks("10.0.1.3"), "two": tasks("10.0.1.3", "10.0.1.4"), "none": nodata} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSwarm(t, swarmOptions{first: tasks("10.0.1.2")})
				s.dns.setName("tasks.web.", tasks("10.0.1.3"))
				after(5 * time.Second)
				if !s.res.Status()[0].VIP {
					t.Fatal("not noticed")
				}
				s.dns.set(0, now) // deployed anew with endpoint_mode dnsrr
				after(5 * time.Second)
				if s.res.Status()[0].VIP {
					t.Error("still reported")
				}
			})
		})
	}
}
