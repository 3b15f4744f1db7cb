package datapath

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"waggle/pkg/lab/ethtool"
	"waggle/pkg/lab/require"
)

// What a socket sends has only the sum of its pseudo-header in its checksum field; a NIC completes it. Where nothing on the
// way does, nobody notices a wrong one: so the balancer's interfaces do it here, and the receivers look.
func TestChecksumsThatTheNICCompletes(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 1)
	top.lb.must(t, "checksums", func() error {
		for _, name := range []string{"eth0", "eth1"} {
			if err := ethtool.TxChecksum(name, false); err != nil {
				return err
			}
		}
		return nil
	})
	dp := openIn(t, top.lb, Options{})
	four, six := oneService(1).Services[0], sixService(1).Services[0]
	six.ID, six.Schedule, six.Servers[0].ID = 8, []uint32{102}, 102
	six.Binds[0].V6Only = true
	if err := dp.Sync(Desired{Services: []Service{four, six}}); err != nil {
		t.Fatal(err)
	}
	serve(top.tasks[0].listen(t, fmt.Sprintf(":%d", taskPort)), func(c net.Conn) { fmt.Fprint(c, "served") })
	for _, front := range []string{frontAddr, frontAddr6} {
		readAll(t, top.client, netip.AddrPortFrom(netip.MustParseAddr(front), frontPort).String(), "served")
	}
	if n := dp.Counters().Total.Sessions; n != 2 {
		t.Errorf("%d sessions in the kernel", n)
	}
}
