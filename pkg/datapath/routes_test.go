package datapath

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// A hop that loses what is longer than an operator's route says, and tells nobody: it takes the `mtu` or `advmss` of the route, as for
// a socket.
func TestRoutesWithAnMTU(t *testing.T) {
	require.Root(t)
	for _, tt := range []struct {
		name, port  string // the bridge's, towards the end
		dev, to     string // of the balancer's route
		mtu, advmss int
	}{
		{"towards the task", "p11back", "eth0", taskAddr(0) + "/32", smallMTU, 0},
		{"towards the task, by its segments", "p11back", "eth0", taskAddr(0) + "/32", 0, smallMTU - 40},
		{"towards the client", "p10front", "eth1", clientAddr + "/32", smallMTU, 0},
		{"towards the client, by IPv6", "p10front", "eth1", sixOf(clientAddr) + "/128", smallMTU, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			top := newTopology(t, 1)
			setMTU := func(r *room, name string, mtu int) {
				r.change(t, name, func(l netlink.Link) error { return netlink.LinkSetMTU(l, mtu) })
			}
			setMTU(top.fabric, tt.port, smallMTU)
			for _, r := range []*room{top.client, top.tasks[0]} { // what is joined gets past any MTU of a veth
				r.change(t, "eth0", func(l netlink.Link) error { return netlink.LinkSetGSOMaxSegs(l, 1) })
				sysctl(t, r, "ipv4/tcp_mtu_probing", "0")
			}
			// With both legs alike nothing but the route says that a SYN is to be changed.
			setMTU(top.lb, "eth0", clientMTU)
			top.lb.must(t, "route", func() error {
				return addRouteBy(tt.dev, tt.to, netlink.Route{MTU: tt.mtu, AdvMSS: tt.advmss, Scope: netlink.SCOPE_LINK})
			})
			dp := openIn(t, top.lb, Options{})
			d, to := oneService(1), front()
			if tt.to == sixOf(clientAddr)+"/128" {
				d, to = sixService(1), net.JoinHostPort(frontAddr6, fmt.Sprint(frontPort))
			}
			if err := dp.Sync(d); err != nil {
				t.Fatal(err)
			}
			transferBothWays(t, top.client, top.tasks[0], to)
			if n := dp.Counters().Total.Sessions; n != 1 {
				t.Errorf("%d sessions in the kernel", n)
			}
		})
	}
}

// readdress gives an interface another address in place of its own.
func (r *room) readdress(t *testing.T, name, from, to string) {
	t.Helper()
	r.change(t, name, func(l netlink.Link) error {
		old, err := netlink.ParseAddr(from)
		if err != nil {
			return err
		}
		if err := netlink.AddrDel(l, old); err != nil {
			return err
		}
		return addNet(name, to)
	})
}

// A client whose SYN comes in by an interface that leads nowhere near it is answered as by a socket: by the routing table. One whose
// SYN comes in by an interface with a default route is answered there.
func TestClientsOfAsymmetricRoutesAreAnswered(t *testing.T) {
	require.Root(t)
	for _, home := range []bool{false, true} {
		top := newTopology(t, 1)
		top.fabric.addBridge(t, "side", clientMTU)
		// The client reaches 203.0.113.1 by a router, whose answers would come by that as well.
		top.plug(t, "side", top.lb, "eth2", "198.51.100.77", clientMTU)
		top.lb.readdress(t, "eth2", "198.51.100.77/24", "203.0.113.1/24")
		router := newRoom(t)
		top.plug(t, "side", router, "eth2", "198.51.100.78", clientMTU)
		router.readdress(t, "eth2", "198.51.100.78/24", "203.0.113.2/24")
		top.plug(t, "front", router, "eth1", "192.0.2.254", clientMTU)
		sysctl(t, router, "ipv4/ip_forward", "1")
		for _, r := range []*room{router, top.lb} {
			for _, of := range []string{"all", "eth1", "eth2"} {
				sysctl(t, r, "ipv4/conf/"+of+"/rp_filter", "0")
			}
		}
		top.client.must(t, "route", func() error { return addRoute("eth0", "203.0.113.0/24", "192.0.2.254", 0) })
		if home {
			top.lb.must(t, "route", func() error { return addRoute("eth2", "0.0.0.0/0", "203.0.113.2", 0) })
		}
		dp := openIn(t, top.lb, Options{})
		if err := dp.Sync(oneService(1)); err != nil {
			t.Fatal(err)
		}
		serve(top.tasks[0].listen(t, fmt.Sprintf(":%d", taskPort)), func(c net.Conn) { fmt.Fprint(c, "served") })
		readAll(t, top.client, fmt.Sprintf("203.0.113.1:%d", frontPort), "served")
		var by []string
		if err := eachEntry(dp.obj.WgFlows, func(_ lbWgKey, f lbWgFlow) bool {
			if f.Dir == dirReverse {
				for _, i := range dp.Status().Interfaces {
					if i.Index == int(f.Ifindex) {
						by = append(by, i.Name)
					}
				}
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]string{false: "eth1", true: "eth2"}[home]; !slices.Equal(by, []string{want}) {
			t.Errorf("with a default route by its interface %v: answered by %v, want %s", home, by, want)
		}
	}
}

// Flows survive that their interfaces are made anew, as by `docker network disconnect` and `connect`, or by a manager of networks that
// starts again.
func TestFlowsSurviveNewInterfaces(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 1)
	dp := openIn(t, top.lb, Options{})
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	e := openEchoes(t, top, 3)
	if err := e.round(1000); err != nil {
		t.Fatal(err)
	}
	old := dp.Status().Interfaces
	for _, one := range []struct {
		name, bridge, addr string
		mtu                int
	}{{"eth1", "front", frontAddr, clientMTU}, {"eth0", "back", backAddr, taskMTU}} {
		mac := top.lb.macOf(t, one.name) // which neighbours know
		top.lb.change(t, one.name, netlink.LinkDel)
		top.plug(t, one.bridge, top.lb, one.name, one.addr, one.mtu)
		top.lb.change(t, one.name, func(l netlink.Link) error { return netlink.LinkSetHardwareAddr(l, mac[:]) })
	}
	// What comes before the program is there meets the stack, which resets it.
	waitFor(t, "the new interfaces", func() bool {
		now := dp.Status().Interfaces
		return len(now) == 2 && !slices.ContainsFunc(now, func(i InterfaceStatus) bool { return slices.Contains(old, i) })
	})
	for _, conn := range e.conns {
		conn.SetDeadline(time.Now().Add(patience))
	}
	if err := e.round(1000); err != nil {
		t.Fatal(err)
	}
	if s := dp.Counters().Total; s.Current != 3 {
		t.Errorf("%d of 3 flows are established", s.Current)
	}
}

// The program is on a new interface before this has been set up, also while the network goes on changing: what came by it without the
// program would meet the stack, which resets the flows that it does not know.
func TestNewInterfacesAreMetEarly(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 1)
	dp := openIn(t, top.lb, Options{})
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	change := top.lb.unsettle(t)
	const tries = 20 // the network may be read just when an interface comes
	for i := range tries {
		index, addr := top.lb.addDown(t, i)
		for {
			change()
			attached, settled := dp.knows(t, index, addr)
			if attached && !settled {
				return
			}
			if settled {
				break
			}
		}
	}
	t.Error("an interface had no program until the network was read as a whole")
}

// unsettle returns a function that changes an address, so that the network never is as it was for long.
func (r *room) unsettle(t *testing.T) (change func()) {
	t.Helper()
	h, err := netlink.NewHandleAt(r.ns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	lo, err := h.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	addr, here := &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(127, 9, 9, 9), Mask: net.CIDRMask(32, 32)}}, false
	return func() {
		turn := h.AddrAdd
		if here {
			turn = h.AddrDel
		}
		if err := turn(lo, addr); err != nil {
			t.Fatal(err)
		}
		here = !here
	}
}

// addDown adds the i'th interface, which is down and has an address.
func (r *room) addDown(t *testing.T, i int) (index int, addr netip.Addr) {
	t.Helper()
	addr = netip.AddrFrom4([4]byte{198, 51, 100, byte(100 + i)})
	r.must(t, "add an interface", func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = fmt.Sprintf("new%d", i)
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: fmt.Sprintf("peer%d", i)}); err != nil {
			return err
		}
		l, err := netlink.LinkByName(attrs.Name)
		if err != nil {
			return err
		}
		index = l.Attrs().Index
		return netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(32, 32)}})
	})
	return index, addr
}

// knows tells whether the program is on an interface, and whether the network has been read as a whole since the interface got its address.
func (dp *Datapath) knows(t *testing.T, index int, addr netip.Addr) (attached, settled bool) {
	t.Helper()
	dp.mu.Lock()
	defer dp.mu.Unlock()
	var service lbWgService
	err := dp.obj.WgServices.Lookup(lbWgServiceKey{Addr: addr.As16(), Port: frontPort}, &service)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Fatal(err)
	}
	return dp.attached[index] != nil, err == nil
}

// Each interface that a default route leads by is a home of its family, preferred or not, unless the route is down.
func TestHomes(t *testing.T) {
	route := func(index, metric, flags int, to ...int) netlink.Route {
		r := netlink.Route{LinkIndex: index, Priority: metric, Flags: flags, Type: unix.RTN_UNICAST}
		for _, i := range to {
			r.MultiPath = append(r.MultiPath, &netlink.NexthopInfo{LinkIndex: i})
		}
		return r
	}
	near := route(9, 0, 0)
	near.Dst, _ = netlink.ParseIPNet("192.0.2.0/24")
	four := tableOf([]netlink.Route{near, route(2, 100, 0), route(3, 50, 0), route(4, 200, unix.RTNH_F_LINKDOWN)}, netlink.FAMILY_V4)
	six := tableOf([]netlink.Route{route(0, 0, 0, 3, 5), route(6, 1024, 0)}, netlink.FAMILY_V6)
	want := map[int]uint16{2: homeV4, 3: homeV4 | homeV6, 5: homeV6, 6: homeV6}
	if got := homes(append(four, six...)); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
