package dnsserver_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"waggle/pkg/lab/dnsserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server of stack "demo" on a free port of loopback.
func serve(t *testing.T) (*dnsserver.Server, string) {
	t.Helper()
	s := dnsserver.New("demo")
	l, err := dnsserver.Listen("127.0.0.1:0", s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, l.Addr()
}

func set(t *testing.T, s *dnsserver.Server, name string, addrs ...netip.Addr) {
	t.Helper()
	if err := s.Set(name, addrs...); err != nil {
		t.Fatal(err)
	}
}

func addresses(n int) []netip.Addr {
	var list []netip.Addr
	for i := range n {
		list = append(list, netip.AddrFrom4([4]byte{10, 0, 1, byte(i + 3)}))
	}
	return list
}

func ask(t *testing.T, network, server, name string, kind uint16, size uint16) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	if size > 0 {
		m.SetEdns0(size, false)
	}
	c := dns.Client{Net: network, UDPSize: 65535, Timeout: time.Minute} // takes any answer, however short the query says it may be
	answer, _, err := c.Exchange(m, server)
	if err != nil {
		t.Fatalf("%s %s over %s: %v", name, dns.TypeToString[kind], network, err)
	}
	return answer
}

// answers lists the A records in the order of the message.
func answers(t *testing.T, m *dns.Msg) []netip.Addr {
	t.Helper()
	var list []netip.Addr
	for _, rr := range m.Answer {
		a, ok := rr.(*dns.A)
		if !ok {
			t.Fatalf("unexpected record %v", rr)
		}
		if a.Hdr.Ttl != 600 {
			t.Errorf("ttl is %d, want 600", a.Hdr.Ttl)
		}
		addr, _ := netip.AddrFromSlice(a.A.To4())
		list = append(list, addr)
	}
	return list
}

func sorted(list []netip.Addr) []netip.Addr {
	return slices.SortedFunc(slices.Values(list), netip.Addr.Compare)
}

func TestAServiceIsFoundByAllItsNames(t *testing.T) {
	s, addr := serve(t)
	want := addresses(3)
	set(t, s, "web", want...)
	for _, name := range []string{"web", "WEB", "tasks.web", "demo_web", "tasks.demo_web"} {
		m := ask(t, "udp", addr, name, dns.TypeA, 0)
		if got := sorted(answers(t, m)); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		if !m.RecursionAvailable {
			t.Errorf("%s: recursion is not available", name)
		}
	}
	for _, name := range []string{"web2", "other_web", "web.example.com", "tasks.other"} {
		if m := ask(t, "udp", addr, name, dns.TypeA, 0); m.Rcode != dns.RcodeNameError {
			t.Errorf("%s: got %s, want NXDOMAIN", name, dns.RcodeToString[m.Rcode])
		}
	}
}

func TestAVirtualAddressHidesTasks(t *testing.T) {
	s, addr := serve(t)
	vip := netip.MustParseAddr("10.0.1.200")
	set(t, s, "web", vip)
	set(t, s, "tasks.web", addresses(2)...)
	if got := answers(t, ask(t, "udp", addr, "web", dns.TypeA, 0)); !slices.Equal(got, []netip.Addr{vip}) {
		t.Errorf("web: got %v, want %v", got, vip)
	}
	if got := answers(t, ask(t, "udp", addr, "tasks.web", dns.TypeA, 0)); !slices.Equal(sorted(got), addresses(2)) {
		t.Errorf("tasks.web: got %v", got)
	}
}

func TestOrderIsRandom(t *testing.T) {
	s, addr := serve(t)
	set(t, s, "web", addresses(8)...)
	orders := make(map[string]bool)
	for range 20 {
		got := answers(t, ask(t, "udp", addr, "web", dns.TypeA, 0))
		if !slices.Equal(sorted(got), addresses(8)) {
			t.Fatalf("got %v", got)
		}
		orders[fmt.Sprint(got)] = true
	}
	if len(orders) < 2 { // with 8! orders, 20 equal ones do not happen
		t.Error("20 answers came in the same order")
	}
}

func TestTruncation(t *testing.T) {
	s, addr := serve(t)
	const tasks = 40
	set(t, s, "web", addresses(tasks)...)
	for _, c := range []struct {
		network   string
		size      uint16
		limit     int
		truncated bool
	}{
		{"udp", 0, 512, true},
		{"udp", 256, 512, true}, // smaller than 512 counts as 512 (RFC 6891 section 6.2.3)
		{"udp", 600, 600, true},
		{"udp", 1232, 1232, false},
		{"udp", 4096, 4096, false},
		{"tcp", 0, 65535, false},
	} {
		m := ask(t, c.network, addr, "web", dns.TypeA, c.size)
		name := fmt.Sprintf("%s with size %d", c.network, c.size)
		if m.Truncated != c.truncated {
			t.Errorf("%s: truncated is %v, want %v", name, m.Truncated, c.truncated)
		}
		m.Compress = true
		if m.Len() > c.limit {
			t.Errorf("%s: %d bytes, want at most %d", name, m.Len(), c.limit)
		}
		got := len(answers(t, m))
		if c.truncated && (got < 25 || got >= tasks) || !c.truncated && got != tasks {
			t.Errorf("%s: %d records of %d", name, got, tasks)
		}
	}
}

func TestAAAAOfAKnownNameIsEmpty(t *testing.T) {
	s, addr := serve(t)
	set(t, s, "web", addresses(1)...)
	if m := ask(t, "udp", addr, "web", dns.TypeAAAA, 0); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 0 {
		t.Errorf("known name: got %v", m)
	}
	if m := ask(t, "udp", addr, "unknown", dns.TypeAAAA, 0); m.Rcode != dns.RcodeNameError {
		t.Errorf("unknown name: got %v", m)
	}
	if m := ask(t, "udp", addr, "web", dns.TypeSRV, 0); m.Rcode != dns.RcodeNameError {
		t.Errorf("a type that Docker does not serve goes upstream: got %v", m)
	}
}

func TestUnknownNamesAndOutages(t *testing.T) {
	wildcard := netip.MustParseAddr("198.51.100.7")
	for _, c := range []struct {
		behaviour dnsserver.Behaviour
		rcode     int
		answers   int
		silent    bool
	}{
		{behaviour: dnsserver.Behaviour{Kind: dnsserver.NXDomain}, rcode: dns.RcodeNameError},
		{behaviour: dnsserver.Behaviour{Kind: dnsserver.ServFail}, rcode: dns.RcodeServerFailure},
		{behaviour: dnsserver.Behaviour{Kind: dnsserver.Refused}, rcode: dns.RcodeRefused},
		{behaviour: dnsserver.Behaviour{Kind: dnsserver.Empty}},
		{behaviour: dnsserver.Behaviour{Kind: dnsserver.Wildcard, Addr: wildcard}, answers: 1},
		{behaviour: dnsserver.Behaviour{Kind: dnsserver.Timeout}, silent: true},
	} {
		t.Run(string(c.behaviour.Kind), func(t *testing.T) {
			s, addr := serve(t)
			set(t, s, "web", addresses(1)...)
			check := func(name string) {
				t.Helper()
				if c.silent {
					silent(t, addr, name)
					return
				}
				m := ask(t, "udp", addr, name, dns.TypeA, 0)
				if m.Rcode != c.rcode || len(m.Answer) != c.answers {
					t.Errorf("%s: got %v", name, m)
				}
			}
			if err := s.SetUnknown(c.behaviour); err != nil {
				t.Fatal(err)
			}
			check("unknown")
			if got := answers(t, ask(t, "udp", addr, "web", dns.TypeA, 0)); len(got) != 1 {
				t.Errorf("a known name is affected: %v", got)
			}
			if err := s.SetOutage(&c.behaviour); err != nil {
				t.Fatal(err)
			}
			check("web")
			if err := s.SetOutage(nil); err != nil {
				t.Fatal(err)
			}
			if got := answers(t, ask(t, "udp", addr, "web", dns.TypeA, 0)); !slices.Equal(got, addresses(1)) {
				t.Errorf("after the outage: got %v", got)
			}
		})
	}
}

// silent demands that there is no answer.
func silent(t *testing.T, addr, name string) {
	t.Helper()
	c := dns.Client{Timeout: 50 * time.Millisecond}
	_, _, err := c.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA), addr)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s: got %v, want no answer", name, err)
	}
}

func TestAServiceWithoutTasksIsUnknown(t *testing.T) {
	s, addr := serve(t)
	set(t, s, "web", addresses(2)...)
	set(t, s, "web")
	if m := ask(t, "udp", addr, "web", dns.TypeA, 0); m.Rcode != dns.RcodeNameError {
		t.Errorf("got %v, want NXDOMAIN", m)
	}
}

func TestCounts(t *testing.T) {
	s, addr := serve(t)
	for range 3 {
		ask(t, "udp", addr, "web", dns.TypeA, 0)
	}
	ask(t, "tcp", addr, "Web", dns.TypeA, 0)
	if c := s.Counts(); c.UDP != 3 || c.TCP != 1 || c.Names["web"] != 4 {
		t.Errorf("got %+v", c)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	s := dnsserver.New("demo")
	for name, err := range map[string]error{
		"IPv6 record":         s.Set("web", netip.MustParseAddr("fd00::1")),
		"unknown behaviour":   s.SetUnknown(dnsserver.Behaviour{Kind: "sulk"}),
		"wildcard to nowhere": s.SetUnknown(dnsserver.Behaviour{Kind: dnsserver.Wildcard}),
		"outage":              s.SetOutage(&dnsserver.Behaviour{Kind: "sulk"}),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
