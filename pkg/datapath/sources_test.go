package datapath

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"

	"waggle/pkg/lab/require"
)

// Each source address has all ports again, and each pair of address and port is used once before any is used twice.
func TestSeveralSourceAddresses(t *testing.T) {
	k := newKernel(t, Options{})
	d := oneService(1)
	d.Services[0].Servers[0].Sources = []netip.Addr{netip.MustParseAddr(backAddr), netip.MustParseAddr(frontAddr)}
	k.sync(t, d)
	k.obj.settings.PortMin, k.obj.settings.PortMax = 2000, 2009
	seen := make(map[netip.AddrPort]bool)
	for i := range 20 {
		c := k.establish(t, client(i))
		c.fromClient(t, ack, "by the right one")
		seen[c.back] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d pairs of address and port for 20 connections", len(seen))
	}
	k.refuse(t, synTo(20), "no_port")
}

// Sources that are no addresses of the namespace are left out; a server that has no other is left to userspace.
func TestSourcesOfAServer(t *testing.T) {
	mine, other, foreign := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.2"), netip.MustParseAddr("198.51.100.99")
	r := route{ifindex: 3, source: mine, nexthop: netip.MustParseAddr("198.51.100.11")}
	local := []address{
		{3, netip.MustParsePrefix("198.51.100.1/24")}, {3, netip.MustParsePrefix("198.51.100.2/24")},
		{3, netip.MustParsePrefix("198.51.100.3/32")}, // such as the address of a virtual service
		{3, netip.MustParsePrefix("203.0.113.1/24")}, {2, netip.MustParsePrefix("198.51.100.4/24")},
	}
	v := view{addrs: addrsOf(local)}
	all := v
	all.sources = func(r route) []netip.Addr { return besides(local, r) }
	for _, tt := range []struct {
		name string
		view view
		told []netip.Addr
		want []netip.Addr
	}{
		{"the route's", v, nil, []netip.Addr{mine}},
		{"all of the interface", all, nil, []netip.Addr{mine, other}},
		{"told", all, []netip.Addr{other}, []netip.Addr{other}},
		{"told, one of them foreign", v, []netip.Addr{foreign, other}, []netip.Addr{other}},
		{"told, foreign", v, []netip.Addr{foreign}, nil},
	} {
		got := tt.view.sourcesOf(Server{Sources: tt.told}, r)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	many := view{sources: func(route) (list []netip.Addr) {
		for i := range 20 {
			list = append(list, netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}))
		}
		return list
	}}
	if got := many.sourcesOf(Server{}, r); len(got) != MaxSources || got[0] != mine {
		t.Errorf("%v, want %d with the route's first", got, MaxSources)
	}
}

// Real connections come from every address of the interface, the budget is that many times as large, and a server all of
// whose sources are foreign is reported and left to the socket.
func TestSourceAddressesEndToEnd(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 1)
	top.lb.must(t, "more addresses", func() error { return addNet("eth0", "198.51.100.2/24", "198.51.100.3/24") })
	dp := openIn(t, top.lb, Options{AllSources: true, PortMin: 2000, PortMax: 2009})
	d := oneService(1)
	if err := dp.Sync(d); err != nil {
		t.Fatal(err)
	}
	serve(top.tasks[0].listen(t, fmt.Sprintf(":%d", taskPort)), func(c net.Conn) {
		fmt.Fprint(c, c.RemoteAddr().(*net.TCPAddr).IP)
		_, _ = io.Copy(io.Discard, c)
	})
	serve(top.lb.listen(t, fmt.Sprintf(":%d", frontPort)), func(c net.Conn) { fmt.Fprint(c, "socket") })
	from := make(map[string]int)
	for range 31 {
		conn, err := top.client.dial(front())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		text := make([]byte, 32)
		n, err := conn.Read(text)
		if err != nil {
			t.Fatal(err)
		}
		from[string(text[:n])]++
	}
	want := map[string]int{backAddr: 10, "198.51.100.2": 10, "198.51.100.3": 10, "socket": 1}
	for addr, n := range want {
		if from[addr] != n {
			t.Errorf("connections come from %v, want %v", from, want)
			break
		}
	}
	if use := dp.Counters().SourcePorts[101]; use != (MapUse{Entries: 30, Max: 30}) {
		t.Errorf("budget %+v, want 30 of 30", use)
	}
	d.Services[0].Servers[0].Sources = []netip.Addr{netip.MustParseAddr("198.51.100.99")}
	if err := dp.Sync(d); err != nil {
		t.Fatal(err)
	}
	if s := dp.Status(); !s.says("source addresses") {
		t.Errorf("degraded: %q", s.Degraded)
	}
	readAll(t, top.client, front(), "socket")
}

// Ports that local sockets take by now are reported, whoever has set them.
func TestPortsOfLocalSocketsAreReported(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 1)
	dp := openIn(t, top.lb, Options{})
	reported := func() bool { return dp.Status().says("ip_local_port_range") }
	for _, step := range []struct {
		ports string
		want  bool
	}{{"32768 60999", false}, {"20000 60999", true}, {"32768 60999", false}} {
		top.lb.must(t, "set ip_local_port_range", func() error { return writeSysctl(localPortFile, step.ports) })
		dp.networkChanged()
		if reported() != step.want {
			t.Errorf("%s: reported %v, want %v", step.ports, reported(), step.want)
		}
	}
	r := portRange{1024, 32767}
	for _, c := range []struct {
		local localPorts
		meets bool
	}{
		{localPorts{portRange: portRange{32767, 40000}}, true},
		{localPorts{portRange: portRange{100, 1024}}, true},
		{localPorts{portRange: portRange{32768, 40000}}, false},
		{localPorts{portRange{100, 2000}, []portRange{{1000, 2000}}}, false},
		{localPorts{portRange{100, 2000}, []portRange{{1025, 2000}}}, true},
	} {
		if (r.overlap(c.local) != "") != c.meets {
			t.Errorf("%v and %+v: %q", r, c.local, r.overlap(c.local))
		}
	}
}

// On a host whose sockets may have all ports, flows have those that are reserved, and sockets never one of them.
func TestLocalSocketsAndFlowsNeverMeet(t *testing.T) {
	require.Root(t)
	top := taskTopology(t, 1)
	top.lb.must(t, "set the ports of sockets", func() error {
		return errors.Join(writeSysctl(localPortFile, "10000 10999"), writeSysctl(reservedFile, "1024-9999,10500-65535"))
	})
	reserved := portRange{10500, 65535}
	dp := openIn(t, top.lb, Options{})
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	if got := dp.Status(); got.PortMin != reserved.min || got.PortMax != reserved.max || got.says("port") {
		t.Fatalf("ports %d-%d, degraded %q", got.PortMin, got.PortMax, got.Degraded)
	}
	for range 200 {
		conn, err := top.lb.dial(taskAddr(0) + ":9000")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if port := netip.MustParseAddrPort(conn.LocalAddr().String()).Port(); reserved.has(port) {
			t.Errorf("a socket has port %d", port)
		}
		top.talk(t).round(t)
	}
	err := dp.Flows(func(f Flow) bool {
		if !reserved.has(f.Back.Port()) {
			t.Errorf("flow %+v", f)
		}
		return true
	})
	if err != nil {
		t.Error(err)
	}
}
