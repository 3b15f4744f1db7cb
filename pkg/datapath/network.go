package datapath

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// link is an interface that the program belongs on.
type link struct {
	index int
	name  string
	mtu   uint32
	mac   [6]byte
	// kind is the driver's, such as "veth"; "device" for one without a kind.
	kind string
	// device tells that hardware is behind it, or what a virtual machine takes for it.
	device bool
	// xdpProgram is the id of the XDP program on it, 0 for none.
	xdpProgram uint32
	// xdpGeneric tells that the kernel runs it with an skb, not the driver.
	xdpGeneric bool
	// accepts is what XDP may send by it, as bits of lbWgMac.Known.
	accepts uint16
}

// route is the way to a server.
type route struct {
	ifindex int
	source  netip.Addr // our address on that interface
	nexthop netip.Addr // the server itself where it is on-link
	mtu     uint32     // that the route has, 0: that of the interface
}

// network is what the datapath asks of the namespace's interfaces, addresses and routes.
type network interface {
	// links returns the interfaces to attach to, by the rules of Options.Ifaces.
	links() ([]link, error)
	// addrs returns the addresses of the namespace but loopback and link-local ones.
	addrs() ([]address, error)
	// route returns the way to a server; ok is false when packets cannot be sent there from here.
	route(to netip.Addr) (r route, ok bool)
	// local tells whether packets to an address end in the namespace.
	local(addr netip.Addr) bool
	// routes returns the main routing tables of both families in a stable order. A table is left out where policy
	// rules make it only a part of the truth.
	routes() ([]tableRoute, error)
	// neighbours returns what the kernel knows of them.
	neighbours() ([]neighbour, error)
	// look has the kernel look after a neighbour as if it had sent to it.
	look(hop) error
}

// rtnetlink is the network as the kernel tells it.
type rtnetlink struct {
	handle *netlink.Handle
	only   []string // Options.Ifaces
	// met are the interfaces that have had an address, by their index, with their MAC. Not safe for concurrent use.
	met map[int]string
}

// metMax bounds how many interfaces are known again that come back; it is the size of wg_ifaces.
const metMax = 1024

func (n *rtnetlink) links() ([]link, error) {
	all, err := n.handle.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	byIndex := make(map[int]netlink.Link, len(all))
	for _, l := range all {
		byIndex[l.Attrs().Index] = l
	}
	if len(n.met) > metMax {
		maps.DeleteFunc(n.met, func(index int, _ string) bool { return byIndex[index] == nil })
	}
	var links []link
	for _, l := range all {
		a := l.Attrs()
		if !n.wants(l, byIndex[a.MasterIndex]) {
			continue
		}
		links = append(links, makeLink(l))
	}
	return links, nil
}

func makeLink(from netlink.Link) link {
	a := from.Attrs()
	l := link{index: a.Index, name: a.Name, mtu: uint32(a.MTU), kind: from.Type(), device: a.ParentDev != ""}
	copy(l.mac[:], a.HardwareAddr)
	if a.Xdp != nil {
		l.xdpProgram, l.xdpGeneric = a.Xdp.ProgId, a.Xdp.AttachMode == nl.XDP_ATTACHED_SKB
	}
	return l
}

// wants tells whether the program belongs on l. Packets of a port reach the program on its master, where the address is. An interface
// that had an address once stays one of ours without: flows go on while their packets come by it, and when the address comes back, or
// the interface does from another namespace, their next packet must not find the stack alone, which would reset them.
func (n *rtnetlink) wants(l, master netlink.Link) bool {
	a := l.Attrs()
	if len(n.only) > 0 {
		return slices.Contains(n.only, a.Name)
	}
	if a.EncapType != "ether" || a.Flags&unix.IFF_LOOPBACK != 0 {
		return false
	}
	if master != nil {
		switch master.Type() {
		case "bridge", "bond", "team", "openvswitch":
			return false
		}
	}
	mac := a.HardwareAddr.String()
	if had, ok := n.met[a.Index]; ok && had == mac {
		return true
	}
	addrs, err := n.handle.AddrList(l, netlink.FAMILY_ALL)
	if err != nil || !slices.ContainsFunc(addrs, func(a netlink.Addr) bool { _, ok := usable(a); return ok }) {
		return false
	}
	if n.met == nil {
		n.met = make(map[int]string)
	}
	n.met[a.Index] = mac
	return true
}

// address is one of the namespace's, with the network that it is in.
type address struct {
	ifindex int
	prefix  netip.Prefix // its address is our own
}

// addrsOf are the addresses alone.
func addrsOf(list []address) (out []netip.Addr) {
	for _, a := range list {
		out = append(out, a.prefix.Addr())
	}
	return out
}

// besides returns those of the addresses that reach the next hop of a route on its link, so that the answer comes back by
// the same. The addresses of virtual services, which Swarm gives to tasks with a prefix of their own, are none of these.
func besides(list []address, r route) (out []netip.Addr) {
	for _, a := range list {
		if a.ifindex == r.ifindex && a.prefix.Contains(r.nexthop) && !a.prefix.IsSingleIP() {
			out = append(out, a.prefix.Addr())
		}
	}
	return out
}

func (n *rtnetlink) addrs() ([]address, error) {
	list, err := n.handle.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var addrs []address
	for _, a := range list {
		if addr, ok := usable(a); ok {
			bits, _ := a.Mask.Size()
			addrs = append(addrs, address{ifindex: a.LinkIndex, prefix: netip.PrefixFrom(addr, bits)})
		}
	}
	return addrs, nil
}

// usable returns the address unless connections to it are not the kernel path's: loopback never comes by an
// Ethernet interface, link-local ones are ambiguous without their interface, and tentative ones are not ours yet.
func usable(a netlink.Addr) (netip.Addr, bool) {
	addr, ok := netip.AddrFromSlice(a.IP)
	addr = addr.Unmap()
	if !ok || addr.IsLoopback() || addr.Is6() && addr.IsLinkLocalUnicast() {
		return addr, false
	}
	return addr, a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) == 0 || a.Flags&unix.IFA_F_OPTIMISTIC != 0
}

func (n *rtnetlink) local(addr netip.Addr) bool {
	routes, err := n.handle.RouteGet(addr.AsSlice())
	return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
}

func (n *rtnetlink) route(to netip.Addr) (route, bool) {
	routes, err := n.handle.RouteGet(to.AsSlice())
	if err != nil || len(routes) == 0 {
		return route{}, false
	}
	r := routes[0]
	source, ok := netip.AddrFromSlice(r.Src)
	if !ok || r.Type != unix.RTN_UNICAST {
		return route{}, false
	}
	nexthop := to
	if r.Gw != nil {
		gw, ok := netip.AddrFromSlice(r.Gw)
		if gw = gw.Unmap(); !ok || gw.Is4() != to.Is4() {
			return route{}, false
		}
		nexthop = gw
	} else if r.Via != nil { // a gateway of the other family
		return route{}, false
	}
	return route{ifindex: r.LinkIndex, source: source.Unmap(), nexthop: nexthop, mtu: mtuOf(r)}, true
}
