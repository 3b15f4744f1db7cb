package datapath

import (
	"net"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"waggle/pkg/lab/require"
)

// An interface that is moved to another namespace, and comes back, has the program before it has an address, or is up. So the flows go on;
// without, the first packet that comes by it would meet the stack alone, which resets the connection. The same goes for an address that
// comes back.
func TestAnInterfaceThatComesBack(t *testing.T) {
	require.Root(t)
	top := taskTopology(t, 1)
	dp := openIn(t, top.lb, Options{})
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	flow := top.talk(t)
	flow.round(t)
	on := func() (there bool) {
		return slices.ContainsFunc(dp.Status().Interfaces, func(i InterfaceStatus) bool { return i.Name == "eth0" })
	}
	ip := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(backAddr).To4(), Mask: net.CIDRMask(24, 32)}}
	elsewhere := newRoom(t)
	for range 2 {
		top.lb.change(t, "eth0", func(l netlink.Link) error { return netlink.LinkSetNsFd(l, int(elsewhere.ns)) })
		waitFor(t, "the program to leave", func() bool { return !on() })
		if dp.Counters().Total.Current != 1 {
			t.Error("the flow is gone")
		}
		elsewhere.change(t, "eth0", func(l netlink.Link) error { return netlink.LinkSetNsFd(l, int(top.lb.ns)) })
		waitFor(t, "the program to come back", on)
		top.lb.change(t, "eth0", func(l netlink.Link) error { return netlink.AddrAdd(l, ip) })
		top.lb.change(t, "eth0", netlink.LinkSetUp)
		flow.round(t)
	}
	top.lb.change(t, "eth0", func(l netlink.Link) error { return netlink.AddrDel(l, ip) })
	dp.networkChanged()
	if !on() {
		t.Error("the program has left with the address")
	}
	top.lb.change(t, "eth0", func(l netlink.Link) error { return netlink.AddrAdd(l, ip) })
	flow.round(t)
}
