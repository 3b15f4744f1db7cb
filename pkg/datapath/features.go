package datapath

import (
	"encoding/binary"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// xdpFeatures is what a driver says that it can do (include/uapi/linux/netdev.h, enum netdev_xdp_act).
type xdpFeatures uint64

const (
	xdpTransmits        xdpFeatures = 1 << 2 // NETDEV_XDP_ACT_NDO_XMIT
	xdpTransmitsBuffers xdpFeatures = 1 << 6 // NETDEV_XDP_ACT_NDO_XMIT_SG
)

// Of the generic netlink family netdev (kernel 6.3).
const (
	netdevFamily      = "netdev"
	netdevVersion     = 1
	netdevDevGet      = 1 // NETDEV_CMD_DEV_GET
	netdevIfindex     = 1 // NETDEV_A_DEV_IFINDEX
	netdevXDPFeatures = 3 // NETDEV_A_DEV_XDP_FEATURES
)

// netdevHeader is struct genlmsghdr. (nl.Genlmsg leaves the reserved bytes to chance, which this family refuses.)
type netdevHeader [nl.SizeofGenlmsg]byte

func (h netdevHeader) Len() int          { return len(h) }
func (h netdevHeader) Serialize() []byte { return h[:] }

// featuresOf asks the kernel for those of an interface. It must run inside the namespace. Before kernel 6.3 nobody says.
func featuresOf(ifindex int) (xdpFeatures, error) {
	family, err := netlink.GenlFamilyGet(netdevFamily)
	if err != nil {
		return 0, fmt.Errorf("ask for the XDP features of interfaces (kernel 6.3): %w", err)
	}
	req := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_ACK)
	req.AddData(netdevHeader{netdevDevGet, netdevVersion})
	req.AddData(nl.NewRtAttr(netdevIfindex, nl.Uint32Attr(uint32(ifindex))))
	answers, err := req.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return 0, fmt.Errorf("ask for the XDP features of interface %d: %w", ifindex, err)
	}
	for _, answer := range answers {
		if len(answer) < nl.SizeofGenlmsg {
			continue
		}
		attrs, err := nl.ParseRouteAttr(answer[nl.SizeofGenlmsg:])
		if err != nil {
			return 0, fmt.Errorf("XDP features of interface %d: %w", ifindex, err)
		}
		for _, a := range attrs {
			if a.Attr.Type == netdevXDPFeatures && len(a.Value) >= 8 {
				return xdpFeatures(binary.NativeEndian.Uint64(a.Value)), nil
			}
		}
	}
	return 0, fmt.Errorf("XDP features of interface %d: the kernel does not say", ifindex)
}
