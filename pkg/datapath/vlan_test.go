package datapath

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// inject sends a frame by the room's eth0, with a VLAN tag unless that is 0. The kernel that receives it takes the tag off before TC sees the frame,
// which then looks like any other, but for what the skb says of it.
func (r *room) inject(t *testing.T, vlan uint16, frame []byte) {
	t.Helper()
	r.must(t, "send a frame", func() error {
		eth, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if vlan != 0 {
			tag := []byte{0x81, 0, byte(vlan >> 8), byte(vlan)}
			frame = slices.Concat(frame[:12], tag, frame[12:])
		}
		return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: eth.Attrs().Index})
	})
}

// macOf is the address of one of the room's interfaces.
func (r *room) macOf(t *testing.T, name string) (mac [6]byte) {
	t.Helper()
	r.must(t, "find "+name, func() error {
		l, err := netlink.LinkByName(name)
		if err == nil {
			copy(mac[:], l.Attrs().HardwareAddr)
		}
		return err
	})
	return mac
}

// A frame with a VLAN tag is for somebody else on the interface that it comes in by, whatever its addresses say: the stack hands
// it to the VLAN's interface, if there is one.
func TestTaggedFramesAreLeftAlone(t *testing.T) {
	require.Root(t)
	for _, clsact := range []bool{false, true} {
		top := newTopology(t, 1)
		dp := openIn(t, top.lb, Options{ForceClsact: clsact})
		if err := dp.Sync(oneService(1)); err != nil {
			t.Fatal(err)
		}
		mac := top.lb.macOf(t, "eth1")
		from := func(port uint16) []byte {
			p := synTo(0)
			p.src = netip.AddrPortFrom(netip.MustParseAddr(clientAddr), port)
			frame := p.frame(t)
			copy(frame, mac[:])
			return frame
		}
		for i := range uint16(3) {
			top.client.inject(t, 7, from(5000+i))
		}
		top.client.inject(t, 0, from(6000)) // it comes behind them
		waitFor(t, "the frame without a tag", func() bool { return dp.Counters().Total.Connections > 0 })
		if n := dp.Counters().Total.Connections; n != 1 {
			t.Errorf("clsact %v: %d of 1 frame without a tag were taken", clsact, n)
		}
	}
}
