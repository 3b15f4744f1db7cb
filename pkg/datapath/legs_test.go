package datapath

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// tagged moves the addresses of a room's interface to a VLAN on top of it, and gives the interface another one.
func (r *room) tagged(t *testing.T, parent, addr, other string) {
	t.Helper()
	const id = 7
	r.must(t, "make a VLAN", func() error {
		eth, err := netlink.LinkByName(parent)
		if err != nil {
			return err
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.ParentIndex = parent+".7", eth.Attrs().Index
		if err := netlink.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: id}); err != nil {
			return err
		}
		leg, err := netlink.LinkByName(attrs.Name)
		if err != nil {
			return err
		}
		for prefix, bits := range map[string]int{addr: 24, sixOf(addr): 64} {
			ip := &net.IPNet{IP: netip.MustParseAddr(prefix).AsSlice(), Mask: net.CIDRMask(bits, 8*len(netip.MustParseAddr(prefix).AsSlice()))}
			if err := netlink.AddrDel(eth, &netlink.Addr{IPNet: ip}); err != nil {
				return err
			}
			if err := netlink.AddrAdd(leg, &netlink.Addr{IPNet: ip, Flags: noDAD(netip.MustParseAddr(prefix))}); err != nil {
				return err
			}
		}
		return errors.Join(netlink.LinkSetUp(leg), addNet(parent, other))
	})
}

// addVLAN makes one on the loopback interface.
func addVLAN() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = "any", loIndex
	return netlink.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: 7})
}

// The balancer's legs may be VLANs, on interfaces that are legs themselves: towards its clients, and towards its tasks.
func TestVLANsAsLegs(t *testing.T) {
	require.Root(t)
	if r := newRoom(t); errors.Is(r.do(addVLAN), unix.EOPNOTSUPP) {
		t.Skip("this kernel has no VLANs; that of test/kernel has")
	}
	for _, mode := range []Mode{ModeTC, ModeXDP} {
		top := taskTopology(t, 1)
		if mode == ModeXDP {
			top.forXDP(t, true)
		}
		top.lb.tagged(t, "eth1", frontAddr, "203.0.113.1/24")
		top.client.tagged(t, "eth0", clientAddr, "203.0.113.2/24")
		top.lb.tagged(t, "eth0", backAddr, "203.0.114.1/24")
		top.tasks[0].tagged(t, "eth0", taskAddr(0), "203.0.114.2/24")
		dp := openIn(t, top.lb, Options{Mode: mode})
		four, six := oneService(1).Services[0], sixService(1).Services[0]
		six.ID, six.Schedule, six.Servers[0].ID = 8, []uint32{102}, 102
		six.Binds[0].V6Only = true
		if err := dp.Sync(Desired{Services: []Service{four, six}}); err != nil {
			t.Fatal(err)
		}
		for _, front := range []string{frontAddr, frontAddr6} {
			top.front = netip.AddrPortFrom(netip.MustParseAddr(front), frontPort).String()
			top.talk(t).carries(t, 1<<20)
		}
		if n := dp.Counters().Total.Sessions; n != 2 {
			t.Errorf("%s: %d sessions in the kernel, want 2", mode, n)
		}
		if len(dp.Status().Interfaces) != 4 || dp.Status().Mode != mode {
			t.Errorf("%s: on %+v", mode, dp.Status())
		}
	}
}

// carries has a line of so many bytes go there and back.
func (k *talk) carries(t *testing.T, size int) {
	t.Helper()
	big := strings.Repeat("x", size) + "\n"
	k.patience()
	sent := make(chan error, 1)
	go func() {
		_, err := k.Write([]byte(big))
		sent <- err
	}()
	if got, err := k.lines.ReadString('\n'); err != nil || got != big {
		t.Errorf("%d of %d bytes came back: %v", len(got), len(big), err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// A router before the balancer that tracks connections, and drops what belongs to none, takes all that the kernel path sends for what the client's
// connection is: also its end.
func TestARouterThatTracksConnections(t *testing.T) {
	require.Root(t)
	nft := require.Tool(t, "nft")
	top := taskTopology(t, 1)
	nets := [2]string{"203.0.113.", "2001:db8:3::"}
	client := top.far(t, "front", "192.0.2.254", clientMTU, nets)
	router := top.router
	for family, rule := range map[string]string{"ip": nets[0] + "0/24", "ip6": nets[1] + "/64"} {
		router.nft(t, nft, "table "+family+" nat { chain post { type nat hook postrouting priority 100; "+family+" saddr "+rule+" masquerade; }; }\n", "-f", "-")
	}
	router.nft(t, nft, tracked, "-f", "-")
	top.client = client
	dp := openIn(t, top.lb, Options{})
	four, six := oneService(1).Services[0], sixService(1).Services[0]
	six.ID, six.Schedule, six.Servers[0].ID = 8, []uint32{102}, 102
	six.Binds[0].V6Only = true
	if err := dp.Sync(Desired{Services: []Service{four, six}}); err != nil {
		t.Fatal(err)
	}
	for i, front := range []string{frontAddr, frontAddr6} {
		top.front = netip.AddrPortFrom(netip.MustParseAddr(front), frontPort).String()
		k := top.talk(t)
		k.carries(t, 1<<20)
		if n := dp.Counters().Total.Sessions; n != uint64(i+1) {
			t.Errorf("%d sessions in the kernel, want %d", n, i+1)
		}
		if n, err := dp.Shutdown(EndKilled, func(Flow) bool { return true }); n != 1 || err != nil {
			t.Fatalf("%d flows: %v", n, err)
		}
		k.patience()
		if _, err := k.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the client hears %v", err)
		}
	}
}

// Where the system makes temporary addresses, connections come from these, as those of sockets do (RFC 6724, section 5, rule 7). When one
// is gone, new ones come from another.
func TestTemporaryAddresses(t *testing.T) {
	require.Root(t)
	top := taskTopology(t, 1)
	sysctl(t, top.lb, "ipv6/conf/eth0/use_tempaddr", "2")
	sysctl(t, top.lb, "ipv6/conf/eth0/accept_dad", "0")
	top.lb.change(t, "eth0", func(l netlink.Link) error {
		addr, err := netlink.ParseAddr("2001:db8:2::77/64")
		if err != nil {
			return err
		}
		addr.Flags, addr.ValidLft, addr.PreferedLft = unix.IFA_F_NODAD|unix.IFA_F_MANAGETEMPADDR, 1<<31-1, 1<<31-1
		return netlink.AddrAdd(l, addr)
	})
	var temporary netlink.Addr
	waitFor(t, "a temporary address", func() (found bool) {
		top.lb.change(t, "eth0", func(l netlink.Link) error {
			list, err := netlink.AddrList(l, netlink.FAMILY_V6)
			for _, a := range list {
				if a.Flags&unix.IFA_F_TEMPORARY != 0 && a.Flags&unix.IFA_F_TENTATIVE == 0 {
					temporary, found = a, true
				}
			}
			return err
		})
		return found
	})
	dp := openIn(t, top.lb, Options{})
	if err := dp.Sync(sixService(1)); err != nil {
		t.Fatal(err)
	}
	top.front = netip.AddrPortFrom(netip.MustParseAddr(frontAddr6), frontPort).String()
	from := func() map[string]int {
		top.talk(t).round(t)
		all := make(map[string]int)
		if err := dp.Flows(func(f Flow) bool { all[f.Back.Addr().String()]++; return true }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	ip := temporary.IP.String()
	if all := from(); all[ip] != 1 {
		t.Errorf("connections come from %v, not from %s", all, ip)
	}
	top.lb.change(t, "eth0", func(l netlink.Link) error { return netlink.AddrDel(l, &temporary) })
	dp.networkChanged()
	if all := from(); all[ip] != 1 || len(all) != 2 {
		t.Errorf("connections come from %v; %s is gone", all, ip)
	}
}
