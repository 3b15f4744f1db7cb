package datapath

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// The address that moves, as keepalived's does.
const (
	floating     = "203.0.113.100"
	floatingPort = "203.0.113.100:8080"
)

// A standby is bound to the address that it may have to take over, and forwards what others send there. Its service begins when the
// address comes and ends when it goes; the flows that it has go on.
func TestAStandbyTakesNothingThatPassesThrough(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 2)
	dp, active := openIn(t, top.lb, Options{}), top.tasks[1]
	d := oneService(1)
	d.Services[0].Binds = binds(floatingPort)
	if err := dp.Sync(d); err != nil {
		t.Fatal(err)
	}
	sysctl(t, top.lb, "ipv4/ip_forward", "1")
	sysctl(t, top.lb, "ipv4/ip_nonlocal_bind", "1")
	top.client.routeVia(t, "203.0.113.0/24", frontAddr)
	top.lb.routeVia(t, "203.0.113.0/24", taskAddr(1))
	active.routeVia(t, "192.0.2.0/24", backAddr)
	active.must(t, "the address at the active one", func() error { return addAddr("lo", floating) })
	say := func(text string) func(net.Conn) { return func(c net.Conn) { fmt.Fprint(c, text) } }
	serve(active.listen(t, floatingPort), say("active"))
	serve(top.lb.listen(t, floatingPort), say("socket"))
	task := top.tasks[0].listen(t, fmt.Sprintf(":%d", taskPort))
	serve(task, func(c net.Conn) { fmt.Fprint(c, "task"); _, _ = io.Copy(c, c) })

	if said, _ := top.client.ask(t, floatingPort); said != "acti" {
		t.Fatalf("%q answers at the active one's address", said)
	}
	move := func(change func(netlink.Link, *netlink.Addr) error) {
		t.Helper()
		top.lb.change(t, "eth1", func(l netlink.Link) error {
			return change(l, &netlink.Addr{IPNet: netlink.NewIPNet(netip.MustParseAddr(floating).AsSlice())})
		})
	}
	untilAnswered := func(want string) (conn net.Conn) {
		t.Helper()
		waitFor(t, "an answer of "+want, func() bool {
			var said string
			said, conn = top.client.ask(t, floatingPort)
			return said == want
		})
		return conn
	}
	move(netlink.AddrAdd)
	live := untilAnswered("task")
	move(netlink.AddrDel)
	untilAnswered("acti")
	echoOnce(t, live)
	before := dp.Counters().Total.Connections
	for range 3 {
		untilAnswered("acti")
	}
	if n := dp.Counters().Total.Connections; n != before {
		t.Errorf("%d connections while the address is elsewhere", n-before)
	}
	move(netlink.AddrAdd)
	untilAnswered("task")
	echoOnce(t, live)
}

// ask connects and returns the first four letters that the other end says; the connection lives as long as the test.
func (r *room) ask(t *testing.T, addr string) (string, net.Conn) {
	t.Helper()
	conn, err := r.dial(addr)
	if err != nil {
		return err.Error(), nil
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	said := make([]byte, 4)
	if _, err := io.ReadFull(conn, said); err != nil {
		return err.Error(), nil
	}
	return string(said), conn
}

func echoOnce(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetDeadline(time.Now().Add(patience))
	said := make([]byte, 4)
	if _, err := io.WriteString(conn, "ping"); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(conn, said); err != nil || string(said) != "ping" {
		t.Errorf("the connection says %q, %v", said, err)
	}
}

// What the kernel takes for its own: configured addresses, those on lo among them, and prefixes of routes of type local.
func TestAddressesThatAreLocal(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 0)
	r := top.lb
	r.must(t, "addresses", func() error {
		if err := addNet("lo", "203.0.113.7/32", "2001:db8:7::7/128"); err != nil {
			return err
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		for _, prefix := range []string{"10.1.0.0/16", "2001:db8:8::/64"} {
			to, err := netlink.ParseIPNet(prefix)
			if err != nil {
				return err
			}
			any := netlink.Route{LinkIndex: lo.Attrs().Index, Dst: to, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST}
			if err := netlink.RouteAdd(&any); err != nil {
				return fmt.Errorf("add %s: %w", prefix, err)
			}
		}
		return netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP("192.0.2.254"), Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}})
	})
	handle, err := netlink.NewHandleAt(r.ns)
	if err != nil {
		t.Fatal(err)
	}
	defer handle.Close()
	n := &rtnetlink{handle: handle}
	list, err := n.addrs()
	if err != nil {
		t.Fatal(err)
	}
	v := view{addrs: addrsOf(list), local: n.local}
	for addr, want := range map[string]bool{
		frontAddr: true, frontAddr6: true, "203.0.113.7": true, "2001:db8:7::7": true, "10.1.2.3": true, "2001:db8:8::9": true, "127.0.0.1": true,
		clientAddr: false, "192.0.2.255": false, "192.0.2.99": false, "203.0.113.8": false, "10.2.0.1": false, "2001:db8:1::99": false, "2001:db8:9::1": false,
	} {
		if v.has(netip.MustParseAddr(addr)) != want {
			t.Errorf("%s is local: %v", addr, !want)
		}
		if list := binds(netip.AddrPortFrom(netip.MustParseAddr(addr), 80).String())[0].addrs(v); slices.Equal(list, []netip.Addr{netip.MustParseAddr(addr)}) != want {
			t.Errorf("a bind to %s takes connections on %v", addr, list)
		}
	}
}
