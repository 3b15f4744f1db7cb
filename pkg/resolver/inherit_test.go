package resolver_test

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"waggle/pkg/resolver"
)

// What was found out about a name outlives a reload.
func TestReloadsForgetNothing(t *testing.T) {
	t.Run("a name once seen inside must stay inside", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			overlay := func() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24")} }
			s := newSwarm(t, swarmOptions{name: "web.stack_net", first: tasks("10.0.1.1"), Options: resolver.Options{LocalSubnets: overlay}})
			s.settle("10.0.1.1")
			s.reload()
			s.dns.set(0, tasks("203.0.113.7")) // scaled to 0, and the upstream has a wildcard
			after(3 * time.Second)
			s.wantTargets("10.0.1.1")
			s.within(13*time.Second, "as after NXDOMAIN", func() bool { return s.targets() == "" })
		})
	})
	t.Run("a virtual address", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSwarm(t, swarmOptions{first: tasks("10.0.1.2")})
			s.dns.setName("tasks.web.", tasks("10.0.1.3"))
			after(5 * time.Second)
			s.reload()
			after(5 * time.Second)
			if n := strings.Count(strings.Join(s.texts, ""), "virtual address of Swarm"); n != 1 || !s.res.Status()[0].VIP {
				t.Errorf("reported %d times, known now: %v", n, s.res.Status()[0].VIP)
			}
		})
	})
	t.Run("where targets of service records were", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSwarm(t, swarmOptions{name: serviceName, slots: 1, first: services("0 0 8001 a.local."), want: resolver.Want{IgnoreWeight: true}})
			s.dns.setName("a.local.", tasks("10.0.1.5"))
			s.wantSlots("10.0.1.5:8001*1")
			s.reload()
			s.dns.setName("a.local.", tasks("10.0.1.2", "10.0.1.5"))
			after(3 * time.Second)
			s.wantSlots("10.0.1.5:8001*1")
			s.reload()
			s.dns.setName("a.local.", servfail)
			after(3 * time.Second)
			s.wantSlots("10.0.1.5:8001*1")
		})
	})
}
