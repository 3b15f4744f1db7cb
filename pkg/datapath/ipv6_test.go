package datapath

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// sixService is oneService over IPv6 servers, bound to every address of the machine.
func sixService(n int) Desired {
	d := oneService(n)
	s := &d.Services[0]
	s.Binds = binds("[::]:8080")
	for i := range s.Servers {
		s.Servers[i].Addr = netip.AddrPortFrom(netip.MustParseAddr(sixOf(taskAddr(i))), taskPort)
	}
	return d
}

const client6 = "[2001:db8:1::10]:4000"

// establishSix opens an IPv6 connection that the test plays both ends of.
func (k *kernel) establishSix(t *testing.T) *conn {
	t.Helper()
	c := &conn{k: k, client: ap(client6), front: ap("[" + frontAddr6 + "]:8080"), clientSeq: 1000, taskSeq: 5000}
	_, out := k.send(t, packet{src: c.client, dst: c.front, flags: syn, seq: c.clientSeq, mss: 1440})
	got := decode(t, out)
	c.back, c.task = got.src, got.dst
	c.clientSeq++
	c.fromTask(t, syn|ack, "")
	c.fromClient(t, ack, "")
	return c
}

func TestIPv6Packets(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, sixService(1))
	c := k.establishSix(t)
	if c.task != ap("[2001:db8:2::11]:9000") || c.back.Addr().String() != backAddr6 {
		t.Fatalf("the SYN goes from %s to %s", c.back, c.task)
	}
	c.fromClient(t, ack|psh, "odd length!")
	c.fromTask(t, ack|psh, "and an answer")
	flow := k.flows(t)[0]
	if flow.Client != c.client || flow.Front != c.front || flow.Back != c.back || flow.Task != c.task || flow.State != FlowEstablished {
		t.Errorf("flow %+v", flow)
	}
	// By MAC, once it is known.
	task := neighbour{hop: hop{loIndex, c.task.Addr()}, state: unix.NUD_REACHABLE, mac: taskMAC}
	k.routes = []tableRoute{{prefix: netip.MustParsePrefix("2001:db8:2::/64"), hop: hop{ifindex: loIndex}}}
	k.known = []neighbour{task}
	k.sync(t, sixService(1))
	c.toTask = taskMAC
	for range 40 {
		c.fromTask(t, ack, "")
	}
	k.send(t, packet{src: c.client, dst: c.front, flags: ack, seq: c.clientSeq, ack: c.taskSeq})
	for range 40 {
		k.send(t, packet{src: c.client, dst: c.front, flags: ack, seq: c.clientSeq, ack: c.taskSeq})
	}
	c.fromClient(t, ack, "by MAC")
}

func TestIPv6MSSIsClamped(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, sixService(1))
	p := packet{src: ap(client6), dst: ap("[" + frontAddr6 + "]:8080"), flags: syn, seq: 1, mss: 1440}
	_, out := k.send(t, p)
	want, got := p, decode(t, out)
	want.src, want.dst, want.ttl, want.mss = got.src, got.dst, 63, taskMTU-60
	k.expect(t, p, want)
}

// Which addresses of a bind the kernel takes is a matter of its servers' family.
func TestFamiliesOfABind(t *testing.T) {
	local := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	four, six := Server{ID: 1, Addr: ap("198.51.100.9:80")}, Server{ID: 2, Addr: ap("[2001:db8::9]:80")}
	for _, tt := range []struct {
		name    string
		bind    string
		v6only  bool
		servers []Server
		want    []netip.Addr
	}{
		{"IPv4 wildcard", "0.0.0.0:80", false, []Server{four}, local[:1]},
		{"IPv4 wildcard, IPv6 server", "0.0.0.0:80", false, []Server{six}, nil},
		{"both families, IPv4 server", "[::]:80", false, []Server{four}, local[:1]},
		{"both families, IPv6 server", "[::]:80", false, []Server{six}, local[1:]},
		{"both families, servers of both", "[::]:80", false, []Server{four, six}, nil},
		{"IPv6 only, IPv4 server", "[::]:80", true, []Server{four}, nil},
		{"IPv6 only, IPv6 server", "[::]:80", true, []Server{six}, local[1:]},
		{"an address, server of the other family", "[2001:db8::1]:80", false, []Server{four}, nil},
		{"an address of the same family", "[2001:db8::1]:80", false, []Server{six}, local[1:]},
	} {
		services := make(map[lbWgServiceKey]lbWgService)
		award([]claim{{Bind{AddrPort: ap(tt.bind), V6Only: tt.v6only}, Service{ID: 1, Servers: tt.servers}, lbWgService{Id: 1}}}, view{addrs: local}, services)
		var got []netip.Addr
		for _, addr := range local {
			if services[lbWgServiceKey{Addr: addr.As16(), Port: 80}].Id == 1 {
				got = append(got, addr)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestIPv6EndToEnd(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 2)
	dp := openIn(t, top.lb, Options{})
	if err := dp.Sync(sixService(2)); err != nil {
		t.Fatal(err)
	}
	for i, task := range top.tasks {
		greetAndEcho(task.listen(t, fmt.Sprintf("[::]:%d", taskPort)), i)
	}
	top.front = fmt.Sprintf("[%s]:%d", frontAddr6, frontPort)
	t.Run("10 MB there and back", func(t *testing.T) { echo(t, top) })
	t.Run("round robin", func(t *testing.T) { roundRobin(t, top, 10) })
	waitFor(t, "all flows to end", func() bool { return dp.Counters().Total.Current == 0 })
	s := dp.Counters()
	if s.Total.Sessions != 11 || s.Total.BytesIn != 10<<20 {
		t.Errorf("%+v", s.Total)
	}
	for name, n := range s.Reasons {
		if n != 0 {
			t.Errorf("%d packets not taken because of %s", n, name)
		}
	}
	if _, ok, _ := dp.cached(sixOf(taskAddr(0))); !ok {
		t.Error("the MAC of the task is not cached")
	}
	// The servers are IPv6, so a client by IPv4 is userspace's: here nobody listens.
	if conn, err := top.client.dial(front()); err == nil {
		conn.Close()
		t.Error("an IPv4 client was connected")
	}
}
