package resolver_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/miekg/dns"

	"waggle/pkg/config"
	"waggle/pkg/lab/dnsserver"
	"waggle/pkg/pool"
	"waggle/pkg/resolver"
)

// overWire is a template of n slots that follows "web" at a real server that answers as Docker's does.
func overWire(t *testing.T, n int, h dns.Handler) (*pool.Backend, *resolver.Resolver) {
	t.Helper()
	l, err := dnsserver.Listen("127.0.0.1:0", h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	b := pool.New(1).AddBackend(pool.BackendOptions{Name: "b"})
	var slots []*pool.Server
	for i := range n {
		o := pool.DefaultServerOptions()
		o.Name, o.FQDN, o.Addr = fmt.Sprintf("web-%d", i+1), "web", netip.AddrPortFrom(netip.Addr{}, 80)
		slots = append(slots, b.AddServer(o))
	}
	sec := seedSection()
	sec.Nameservers = []config.Nameserver{{Name: "dns1", Addr: netip.MustParseAddrPort(l.Addr())}}
	r := resolver.New(sec, resolver.Options{})
	r.Add(b.AddGroup("web", slots), resolver.Want{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return b, r
}

// 200 tasks in one answer all reach their slots: in one datagram thanks to EDNS0, and over TCP from a server that takes no
// notice of it.
func TestTwoHundredTasksReachTheirSlots(t *testing.T) {
	for _, edns := range []bool{true, false} {
		t.Run(fmt.Sprintf("EDNS0 %v", edns), func(t *testing.T) {
			server := dnsserver.New("stack")
			var all []netip.Addr
			for i := range 200 {
				all = append(all, netip.AddrFrom4([4]byte{10, 0, 1, byte(i + 1)}))
			}
			if err := server.Set("web", all...); err != nil {
				t.Fatal(err)
			}
			b, r := overWire(t, 200, dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
				if !edns {
					q.Extra = nil
				}
				server.ServeDNS(w, q)
			}))
			deadline := time.Now().Add(time.Minute)
			for len(b.Snapshot().Targets) < 200 {
				if time.Now().After(deadline) {
					t.Fatalf("%d of 200 slots have a task", len(b.Snapshot().Targets))
				}
				time.Sleep(5 * time.Millisecond) // a real network has no other clock
			}
			seen := map[netip.Addr]bool{}
			for _, target := range b.Snapshot().Targets {
				seen[target.Addr.Addr()] = true
			}
			if counts := server.Counts(); len(seen) != 200 || (counts.TCP > 0) == edns || (r.Totals().TCP > 0) == edns {
				t.Errorf("%d addresses; the server counted %+v, and we %d over TCP", len(seen), counts, r.Totals().TCP)
			}
		})
	}
}

// envDeadSeconds is for how many seconds TestDeadNameAtTheServer counts.
const envDeadSeconds = "WAGGLE_TEST_DEAD_NAME_SECONDS"

// A dead name costs a query a second at the DNS server itself, whatever it answers.
func TestDeadNameAtTheServer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds of real time")
	}
	seconds := 5
	if n, err := strconv.Atoi(os.Getenv(envDeadSeconds)); err == nil {
		seconds = n
	}
	servers := map[dnsserver.Kind]*dnsserver.Server{}
	for _, kind := range []dnsserver.Kind{dnsserver.NXDomain, dnsserver.ServFail, dnsserver.Refused, dnsserver.Empty, dnsserver.Timeout} {
		servers[kind] = dnsserver.New("stack")
		if err := servers[kind].SetUnknown(dnsserver.Behaviour{Kind: kind}); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	for _, server := range servers {
		overWire(t, 64, server)
	}
	time.Sleep(time.Duration(seconds) * time.Second) // for all of them
	for kind, server := range servers {
		for deadline := time.Now().Add(time.Minute); server.Counts().UDP < seconds/2 && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond) // on a machine that has stalled
		}
		c := server.Counts()
		took := int(time.Since(began).Seconds())
		t.Logf("%s: %d queries over UDP and %d over TCP in %d s", kind, c.UDP, c.TCP, took)
		if c.UDP+c.TCP > took+1 || c.UDP < seconds/2 {
			t.Errorf("%s: %d queries in %d s", kind, c.UDP+c.TCP, took)
		}
	}
}
