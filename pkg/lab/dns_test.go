package lab_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"waggle/pkg/lab"
	"waggle/pkg/lab/dnsserver"
	"waggle/pkg/lab/labtest"
)

// query asks the lab's server from inside the balancer's namespace.
func query(t *testing.T, l *lab.Lab, network, name string) *dns.Msg {
	t.Helper()
	conn, err := l.Balancer.DialContext(labtest.Context(t), network, lab.DNSAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := dns.Client{UDPSize: dns.MaxMsgSize, Timeout: time.Minute}
	m, _, err := c.ExchangeWithConn(new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA), &dns.Conn{Conn: conn})
	if err != nil {
		t.Fatalf("%s over %s: %v", name, network, err)
	}
	return m
}

func records(m *dns.Msg) []netip.Addr {
	var list []netip.Addr
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.A); ok {
			addr, _ := netip.AddrFromSlice(a.A.To4())
			list = append(list, addr)
		}
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list
}

func taskAddrs(l *lab.Lab, service string) []netip.Addr {
	var list []netip.Addr
	for _, task := range l.Tasks(service) {
		list = append(list, task.Addr())
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list
}

func TestDNSFollowsScale(t *testing.T) {
	l := labtest.New(t, lab.Options{Tasks: 2, Stack: "shop"})
	for _, n := range []int{2, 3, 1, 0, 2} {
		if err := l.Scale(labtest.Context(t), "web", n); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"web", "tasks.web", "shop_web"} {
			m := query(t, l, "udp4", name)
			if got, want := records(m), taskAddrs(l, "web"); len(want) != n || !slices.Equal(got, want) {
				t.Errorf("%d tasks: %s is %v, want %v", n, name, got, want)
			}
			if unknown := m.Rcode == dns.RcodeNameError; unknown != (n == 0) {
				t.Errorf("%d tasks: %s answers %s", n, name, dns.RcodeToString[m.Rcode])
			}
		}
	}
}

func TestManyTasksNeedTCP(t *testing.T) {
	l := labtest.New(t, lab.Options{})
	var want []netip.Addr
	for i := range 40 {
		want = append(want, netip.AddrFrom4([4]byte{10, 0, 1, byte(i + 10)}))
	}
	if err := l.DNS.Set("web", want...); err != nil {
		t.Fatal(err)
	}
	if m := query(t, l, "udp4", "web"); !m.Truncated || len(m.Answer) >= len(want) {
		t.Errorf("over UDP: truncated is %v, %d records", m.Truncated, len(m.Answer))
	}
	if m := query(t, l, "tcp4", "web"); m.Truncated || !slices.Equal(records(m), want) {
		t.Errorf("over TCP: truncated is %v, records %v", m.Truncated, records(m))
	}
}

func TestDNSBehaviourCanBeChanged(t *testing.T) {
	l := labtest.New(t, lab.Options{Tasks: 1})
	if err := l.DNS.Unknown(dnsserver.Behaviour{Kind: dnsserver.ServFail}); err != nil {
		t.Fatal(err)
	}
	if m := query(t, l, "udp4", "nothing"); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("unknown name: %s", dns.RcodeToString[m.Rcode])
	}
	if err := l.DNS.Outage(dnsserver.Behaviour{Kind: dnsserver.Refused}); err != nil {
		t.Fatal(err)
	}
	if m := query(t, l, "udp4", "web"); m.Rcode != dns.RcodeRefused {
		t.Errorf("outage: %s", dns.RcodeToString[m.Rcode])
	}
	if err := l.DNS.Recover(); err != nil {
		t.Fatal(err)
	}
	if m := query(t, l, "udp4", "web"); len(m.Answer) != 1 {
		t.Errorf("after the outage: %v", m)
	}
	if err := l.DNS.Unknown(dnsserver.Behaviour{Kind: "sulk"}); err == nil {
		t.Error("an unknown behaviour was accepted")
	}
	if c, err := l.DNS.Counts(); err != nil || c.UDP != 3 || c.Names["web"] != 2 {
		t.Errorf("counts: %+v, %v", c, err)
	}
}

func TestHiddenTaskIsNotInDNS(t *testing.T) {
	l := labtest.New(t, lab.Options{})
	task, err := l.AddTask(labtest.Context(t), lab.TaskOptions{Hidden: true})
	if err != nil {
		t.Fatal(err)
	}
	if m := query(t, l, "udp4", "web"); m.Rcode != dns.RcodeNameError {
		t.Errorf("before Publish: %v", m)
	}
	if err := task.Publish(); err != nil {
		t.Fatal(err)
	}
	if got := records(query(t, l, "udp4", "web")); !slices.Equal(got, []netip.Addr{task.Addr()}) {
		t.Errorf("after Publish: %v", got)
	}
}
