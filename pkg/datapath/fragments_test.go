package datapath

import (
	"errors"
	"io"
	"net/netip"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"waggle/pkg/lab/require"
)

// A client that lets its packets be cut, behind a router that does so: its connection ends at the first one, since the stack puts it together,
// knows no such connection and resets it. A route with the MTU of the path keeps its segments, and those of the server, below that from the
// SYN on. docs/operations.md says the same.
func TestClientsWhosePacketsAreCut(t *testing.T) {
	require.Root(t)
	const cut = 1000
	for _, tt := range []struct {
		name                  string
		route, carried, whole bool
	}{
		{"as it is", false, false, false},
		{"with a route that has the MTU", true, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			top := taskTopology(t, 1)
			top.client = top.far(t, "front", "192.0.2.254", clientMTU, [2]string{"203.0.113.", "2001:db8:3::"})
			for _, r := range []*room{top.router, top.client} {
				r.change(t, "small", func(l netlink.Link) error { return netlink.LinkSetMTU(l, clientMTU) })
			}
			top.router.change(t, "eth0", func(l netlink.Link) error { return netlink.LinkSetMTU(l, cut) })
			sysctl(t, top.client, "ipv4/ip_no_pmtu_disc", "1")
			route := netlink.Route{Gw: netip.MustParseAddr("192.0.2.254").AsSlice()}
			if tt.route {
				route.MTU = cut
			}
			top.lb.must(t, "route", func() error { return addRouteBy("eth1", "203.0.113.0/24", route) })
			dp := openIn(t, top.lb, Options{})
			if err := dp.Sync(oneService(1)); err != nil {
				t.Fatal(err)
			}
			k := top.talk(t)
			k.round(t)
			if tt.carried {
				k.carries(t, 1<<16)
			} else {
				k.patience()
				if _, err := k.Write(make([]byte, 8000)); err != nil { // there is room for it, so it is done before the reset comes
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, k.lines); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the client hears %v", err)
				}
			}
			if n := dp.Counters().Reasons["fragment"]; (n == 0) != tt.whole {
				t.Errorf("%d fragments", n)
			}
			if n := dp.Counters().Total.Current; n != 1 { // nobody tells the server, or the program
				t.Errorf("%d flows", n)
			}
		})
	}
}
