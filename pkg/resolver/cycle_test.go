package resolver_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/resolver"
)

// twoServers is the seed's section with a second nameserver on port 54.
func twoServers() *config.Resolvers {
	sec := seedSection()
	sec.Nameservers = append(sec.Nameservers, config.Nameserver{Name: "dns2", Addr: netip.MustParseAddrPort("127.0.0.12:54")})
	return sec
}

// TestOneCycleForEachResolve: whatever DNS says, a name is not asked more often than HAProxy's timers
// allow (a dead name must not flood Docker's DNS).
func TestOneCycleForEachResolve(t *testing.T) {
	for name, tc := range map[string]struct {
		first answer
		want  int // queries in 60 s
	}{
		"answers":         {tasks("10.0.0.1", "10.0.0.2"), 60},
		"NODATA":          {nodata, 60},
		"NXDOMAIN":        {nxdomain, 60},
		"SERVFAIL":        {servfail, 60},
		"REFUSED":         {refused, 60},
		"silence":         {silent, 45},               // three tries a second apart, then a second's pause
		"unreachable":     {answer{broken: true}, 60}, // 0, 1, 2, then a second's pause: 3 in 3 s
		"slow nameserver": {answer{addrs: []string{"10.0.0.1", "10.0.0.2"}, delay: 500 * time.Millisecond}, 40},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSwarm(t, swarmOptions{first: tc.first})
				after(59500 * time.Millisecond)
				if got := len(s.dns.asked()); got > tc.want || got < tc.want-2 {
					t.Errorf("%d queries in a minute, want %d", got, tc.want)
				}
				for _, q := range s.dns.asked() {
					if q.typ != dns.TypeA || q.name != "web." {
						t.Fatalf("asked %+v, want only A of web.", q)
					}
				}
			})
		})
	}
}

func TestGroupsShareACycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDNS{}
		f.set(0, tasks("10.0.0.1", "10.0.0.2"))
		p := pool.New(1)
		res := resolver.New(seedSection(), resolver.Options{Exchange: f.exchange})
		for _, name := range []string{"Web", "web", "web."} {
			b := p.AddBackend(pool.BackendOptions{Name: name})
			o := pool.DefaultServerOptions()
			o.Name, o.FQDN, o.Addr = "s", name, netip.AddrPortFrom(netip.Addr{}, 80)
			res.Add(b.AddGroup(name, []*pool.Server{b.AddServer(o)}), resolver.Want{})
		}
		runUntilCleanup(t, res)
		after(10500 * time.Millisecond)
		if got := len(f.asked()); got != 11 {
			t.Errorf("%d queries in 10.5 s, want 11", got)
		}
		for _, b := range p.Backends {
			if len(b.Snapshot().Targets) != 1 {
				t.Errorf("backend %s has no server", b.Name)
			}
		}
		st := res.Status()
		if len(st) != 1 || st[0].Answer != "valid" || st[0].By != "docker/dns1" || len(st[0].Records) != 2 || len(st[0].Groups) != 3 || len(st[0].Groups[2].Surplus) != 1 {
			t.Errorf("status: %+v", st)
		}
	})
}

func TestManyNamesDoNotAskAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDNS{}
		p := pool.New(1)
		res := resolver.New(seedSection(), resolver.Options{Exchange: f.exchange})
		for i := range 10 {
			b := p.AddBackend(pool.BackendOptions{})
			res.Add(b.AddGroup(string(rune('a'+i)), nil), resolver.Want{})
		}
		runUntilCleanup(t, res)
		after(950 * time.Millisecond)
		var last time.Time
		if len(f.asked()) != 10 {
			t.Fatalf("%d names asked in the first second, want 10", len(f.asked()))
		}
		for _, q := range f.asked() {
			if q.at.Sub(last) < 100*time.Millisecond {
				t.Errorf("%s asked %v after another", q.name, q.at.Sub(last))
			}
			last = q.at
		}
	})
}

func TestFirstNameserverWithAddressesWins(t *testing.T) {
	for name, other := range map[string]answer{
		"NXDOMAIN": nxdomain, "SERVFAIL": servfail, "NODATA": nodata, "silence": silent, "unreachable": {broken: true},
		"slower": {addrs: []string{"10.9.9.9"}, delay: 900 * time.Millisecond},
	} {
		t.Run("the other says "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSwarm(t, swarmOptions{section: twoServers(), first: other})
				s.dns.set(54, answer{addrs: []string{"10.0.0.1"}, delay: 200 * time.Millisecond})
				took := s.within(time.Second, "the answer", func() bool { return s.targets() == "10.0.0.1" })
				if took > 250*time.Millisecond {
					t.Errorf("took %v, want 200 ms: the other must not be waited for", took)
				}
				s.wantLogged("web_service/web-1 changed its IP from (none) to 10.0.0.1 by docker/dns2.")
				after(20 * time.Second)
				s.wantTargets("10.0.0.1")
			})
		})
	}
}

// TestErrorNeedsAllNameservers: while one nameserver is silent, the other's NXDOMAIN does not end the
// cycle; an answer that comes meanwhile counts.
func TestErrorNeedsAllNameservers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwarm(t, swarmOptions{section: twoServers(), first: nxdomain})
		s.dns.set(54, silent)
		after(2500 * time.Millisecond)
		if got := len(s.dns.asked()); got != 6 {
			t.Errorf("%d queries, want 3 tries of 2", got)
		}
		if st := s.res.Status()[0]; st.Answer != "none" {
			t.Errorf("answer %s after half a cycle", st.Answer)
		}
		after(time.Second)
		if st := s.res.Status()[0]; st.Answer != "nx" || st.By != "docker/dns1" {
			t.Errorf("answer %s by %s, want nx by docker/dns1", st.Answer, st.By)
		}
		c := s.res.Counters()
		if c[0].NX != 3 || c[1].Timeout != 3 || c[0].Timeout != 0 {
			t.Errorf("counters: %+v", c)
		}
	})
}

func TestPreferIPv6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwarm(t, swarmOptions{first: tasks("10.0.0.1"), want: resolver.Want{Prefer: "ipv6"}})
		s.within(200*time.Millisecond, "A without AAAA", func() bool { return s.targets() == "10.0.0.1" })
		s.dns.mu.Lock()
		s.dns.aaaa = []string{"fd00::1"}
		s.dns.mu.Unlock()
		s.within(1500*time.Millisecond, "AAAA", func() bool { return s.targets() == "fd00::1" })
		n := len(s.dns.asked())
		after(5 * time.Second)
		for _, q := range s.dns.asked()[n:] {
			if q.typ != dns.TypeAAAA {
				t.Errorf("asked for A although there is AAAA")
			}
		}
	})
}

func TestPreferredNetworkTakesSlotsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwarm(t, swarmOptions{
			slots: 1, first: tasks("10.0.0.1", "10.0.7.1", "10.0.0.2"),
			want: resolver.Want{Nets: []netip.Prefix{netip.MustParsePrefix("10.0.7.0/24")}},
		})
		s.within(200*time.Millisecond, "start", func() bool { return s.targets() == "10.0.7.1" })
	})
}

func TestUpdatesAreCountedAndFailuresLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwarm(t, swarmOptions{first: tasks("10.0.0.1", "10.0.0.2")})
		after(5 * time.Second)
		s.dns.set(0, tasks("10.0.0.1", "10.0.0.2", "10.0.0.3"))
		after(5 * time.Second)
		s.dns.set(0, servfail)
		after(5 * time.Second)
		s.dns.set(0, tasks("10.0.0.1", "10.0.0.2", "10.0.0.3"))
		after(5500 * time.Millisecond)
		c := s.res.Counters()[0]
		if c.Update != 2 || c.Other != 5 || c.Sent != c.Valid+c.Other || c.Sent != 21 {
			t.Errorf("counters: %+v", c)
		}
		if len(s.texts) != 2 {
			t.Errorf("logged %q, want one line for the failure and one for its end", s.texts)
		}
	})
}
