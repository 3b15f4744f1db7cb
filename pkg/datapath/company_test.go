package datapath

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// tracked are rules of a firewall that keeps state, as most hosts' do.
const tracked = `table inet fw {
	counter invalid { }
	chain input { type filter hook input priority 0; policy accept; ct state invalid counter name invalid drop; }
	chain forward { type filter hook forward priority 0; policy accept; ct state invalid counter name invalid drop; }
	chain output { type filter hook output priority 0; policy accept; ct state invalid counter name invalid drop; }
}`

// Connection tracking on the balancer does not see the flows, and does them no harm. But what the agent sends to end one belongs to no
// connection that it knows: where OUTPUT drops such packets the ends find out by themselves. A rule for RSTs before that one helps, as
// the documents say.
func TestConnectionTracking(t *testing.T) {
	require.Root(t)
	nft := require.Tool(t, "nft")
	top := taskTopology(t, 1)
	top.lb.nft(t, nft, tracked, "-f", "-")
	dp := openIn(t, top.lb, Options{})
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	flow := top.talk(t)
	for range 20 {
		flow.round(t)
	}
	endAll := func() int {
		t.Helper()
		n, err := dp.Shutdown(EndKilled, func(Flow) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := endAll(); n != 1 {
		t.Fatalf("%d flows", n)
	}
	if got := top.lb.nft(t, nft, "", "list", "counter", "inet", "fw", "invalid"); strings.Contains(got, "packets 0 ") {
		t.Errorf("the rule has dropped nothing: the documents are out of date: %s", got)
	}
	top.lb.nft(t, nft, "insert rule inet fw output tcp flags & (rst|ack) == rst|ack accept\n", "-f", "-")
	flow = top.talk(t)
	flow.round(t)
	if n := endAll(); n != 1 {
		t.Fatalf("%d flows", n)
	}
	if _, err := flow.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client hears %v", err)
	}
}

// Two balancers share a namespace, each with a port and with source ports of its own. When one ends, whichever it is, the other does not
// notice; the last one leaves nothing behind.
func TestTwoInOneNamespace(t *testing.T) {
	require.Root(t)
	for _, clsact := range []bool{false, true} {
		if !clsact && thisMachine().older(6, 6) {
			continue // tcx came with Linux 6.6
		}
		top := taskTopology(t, 1)
		open := func(i uint16) *Datapath {
			dp := openIn(t, top.lb, Options{PortMin: 20000 + 1000*i, PortMax: 20999 + 1000*i, ForceClsact: clsact})
			d := oneService(1)
			d.Services[0].Binds = []Bind{{AddrPort: netip.AddrPortFrom(netip.MustParseAddr(frontAddr), frontPort+i)}}
			if err := dp.Sync(d); err != nil {
				t.Fatal(err)
			}
			return dp
		}
		say := func(i int) *talk {
			top.front = net.JoinHostPort(frontAddr, fmt.Sprint(frontPort+i))
			k := top.talk(t)
			k.round(t)
			return k
		}
		alone := func(what string, dp *Datapath, held *talk, i int) {
			held.round(t)
			before := dp.Counters().Total.Sessions
			say(i)
			if n := dp.Counters().Total.Sessions; n != before+1 {
				t.Errorf("clsact %v: %s: %d sessions of the one that stays, want %d", clsact, what, n, before+1)
			}
		}
		first, second := open(0), open(1)
		of1, of2 := say(0), say(1)
		of1.round(t)
		if a, b := first.Counters().Total.Current, second.Counters().Total.Current; a != 1 || b != 1 {
			t.Errorf("clsact %v: %d flows and %d, want one each", clsact, a, b)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		alone("the first one ends", second, of2, 1)
		third := open(0)
		of3 := say(0)
		of2.round(t)
		if err := second.Close(); err != nil {
			t.Fatal(err)
		}
		alone("the second one ends", third, of3, 0)
		if err := third.Close(); err != nil {
			t.Fatal(err)
		}
		if got := top.lb.qdiscs(t, "eth1"); slices.Contains(got, "clsact") {
			t.Errorf("clsact %v: of %v clsact is left", clsact, got)
		}
	}
}

// A new name of an interface changes nothing for the flows that pass it.
func TestARenamedInterface(t *testing.T) {
	require.Root(t)
	top := taskTopology(t, 1)
	dp := openIn(t, top.lb, Options{})
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	flow := top.talk(t)
	flow.round(t)
	top.lb.change(t, "eth0", netlink.LinkSetDown)
	top.lb.change(t, "eth0", func(l netlink.Link) error { return netlink.LinkSetName(l, "uplink") })
	top.lb.change(t, "uplink", netlink.LinkSetUp)
	flow.round(t)
}

// A wildcard stands for secondary, temporary and deprecated addresses as well, as for a socket: whoever still has one may use it.
func TestAllKindsOfAddressesServe(t *testing.T) {
	require.Root(t)
	top := taskTopology(t, 1)
	top.lb.change(t, "eth1", func(l netlink.Link) error {
		secondary := &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(192, 0, 2, 77), Mask: net.CIDRMask(24, 32)}}
		deprecated := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP("2001:db8:1::77"), Mask: net.CIDRMask(64, 128)}, Flags: unix.IFA_F_NODAD, ValidLft: 3600, PreferedLft: 0}
		return errors.Join(netlink.AddrAdd(l, secondary), netlink.AddrAdd(l, deprecated))
	})
	dp := openIn(t, top.lb, Options{})
	for i, front := range []string{"192.0.2.77", "2001:db8:1::77"} {
		d := oneService(1)
		d.Services[0].Binds = []Bind{{AddrPort: netip.AddrPortFrom([]netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}[i], frontPort)}}
		if i == 1 {
			d.Services[0].Servers[0].Addr = netip.AddrPortFrom(netip.MustParseAddr(sixOf(taskAddr(0))), taskPort)
		}
		if err := dp.Sync(d); err != nil {
			t.Fatal(err)
		}
		top.front = net.JoinHostPort(front, "8080")
		top.talk(t).round(t)
	}
	if n := dp.Counters().Total.Sessions; n != 2 {
		t.Errorf("%d sessions", n)
	}
}

// The balancer's leg towards the tasks may be a bridge of its own.
func TestABridgeAsALeg(t *testing.T) {
	require.Root(t)
	top := taskTopology(t, 1)
	top.lb.must(t, "build a bridge", func() error {
		eth, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "leg"
		leg := &netlink.Bridge{LinkAttrs: attrs}
		ip := &net.IPNet{IP: net.ParseIP(backAddr).To4(), Mask: net.CIDRMask(24, 32)}
		return errors.Join(netlink.LinkAdd(leg), netlink.AddrDel(eth, &netlink.Addr{IPNet: ip}),
			netlink.LinkSetMaster(eth, leg), netlink.AddrAdd(leg, &netlink.Addr{IPNet: ip}), netlink.LinkSetUp(leg))
	})
	dp := openIn(t, top.lb, Options{})
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	flow := top.talk(t)
	flow.round(t)
	big := strings.Repeat("x", 1<<20) + "\n"
	go func() { _, _ = io.WriteString(flow, big) }()
	if got, err := flow.lines.ReadString('\n'); err != nil || got != big {
		t.Errorf("%d bytes came back: %v", len(got), err)
	}
	if n := dp.Counters().Total.Sessions; n != 1 {
		t.Errorf("%d sessions in the kernel, want 1", n)
	}
}
