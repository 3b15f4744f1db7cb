package datapath

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// tableRoute is a prefix of the routing table. The zero hop means that the kernel has to be asked.
type tableRoute struct {
	prefix netip.Prefix
	// hop is the gateway, or has no address where the prefix is on-link.
	hop hop
	// mtu is that of the route, 0 for that of the interface.
	mtu uint32
	// spare is a default route that another one is preferred to, or one of several that are used at once: it only tells that its
	// interface, too, leads to all addresses.
	spare bool
}

// homes says of which families interfaces have a default route, as bits of lbWgIface.Home.
func homes(routes []tableRoute) map[int]uint16 {
	out := make(map[int]uint16)
	for _, r := range routes {
		switch {
		case r.prefix.Bits() > 0 || r.hop.ifindex == 0:
		case r.prefix.Addr().Is4():
			out[r.hop.ifindex] |= homeV4
		default:
			out[r.hop.ifindex] |= homeV6
		}
	}
	return out
}

// Values of enum wg_home.
const (
	homeV4 = 1 << 0
	homeV6 = 1 << 1
)

// mtuOf is the MTU that a route has, or what its largest segments come to; 0 if it names none. A TCP socket goes by it, and so must
// who stands in its place: it is named where a path is known to lose what is longer.
func mtuOf(r netlink.Route) uint32 {
	mtu := r.MTU
	if r.AdvMSS > 0 {
		headers := ip4Header + tcpHeader
		if r.Family == unix.AF_INET6 {
			headers = ip6Header + tcpHeader
		}
		if small := r.AdvMSS + headers; mtu == 0 || small < mtu {
			mtu = small
		}
	}
	return uint32(max(0, mtu))
}

// routeTable remembers the routing table until the network changes. One that is too large for wg_routes, such as a full feed of
// BGP, changes all the time and takes seconds to read: it is left to the kernel, and looked at every resync at most.
type routeTable struct {
	routes []tableRoute
	known  bool
	large  bool
	at     time.Time // when it was read
}

func (t *routeTable) read(n network) ([]tableRoute, error) {
	if t.known || t.large && time.Since(t.at) < resync {
		return t.routes, nil
	}
	routes, err := n.routes()
	if err != nil {
		return nil, err
	}
	if t.large = len(routes) > routesMax; t.large {
		routes = nil
	}
	t.routes, t.known, t.at = routes, true, time.Now()
	return routes, nil
}

// hop is a neighbour: an address behind an interface.
type hop struct {
	ifindex int
	addr    netip.Addr
}

// neighbour is an entry of the kernel's ARP or ND table.
type neighbour struct {
	hop
	state int // NUD_*
	mac   [6]byte
}

// valid tells whether the kernel itself would send to the MAC.
func (n neighbour) valid() bool {
	const valid = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE | unix.NUD_PERMANENT
	return n.state&valid != 0 && n.mac != [6]byte{}
}

func (n *rtnetlink) routes() ([]tableRoute, error) {
	var out []tableRoute
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		plain, err := n.plainRules(family)
		if err != nil {
			return nil, err
		}
		if !plain {
			continue
		}
		list, err := n.handle.RouteList(nil, family)
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		out = append(out, tableOf(list, family)...)
	}
	return out, nil
}

// plainRules tells whether the main table decides: there are the rules that the kernel starts with, and no other.
func (n *rtnetlink) plainRules(family int) (bool, error) {
	rules, err := n.handle.RuleList(family)
	if err != nil {
		return false, fmt.Errorf("list routing rules: %w", err)
	}
	for _, r := range rules {
		switch {
		case r.Priority <= 0 && r.Table == unix.RT_TABLE_LOCAL:
		case r.Priority == 32766 && r.Table == unix.RT_TABLE_MAIN:
		case r.Priority == 32767 && r.Table == unix.RT_TABLE_DEFAULT:
		default:
			return false, nil
		}
	}
	return len(rules) > 0, nil
}

// tableOf takes the routes that decide: for each prefix the one of the lowest metric.
func tableOf(list []netlink.Route, family int) []tableRoute {
	best := make(map[netip.Prefix]netlink.Route)
	unclear := make(map[netip.Prefix]bool)
	var spares []tableRoute
	for _, r := range list {
		if r.Dst != nil && r.Dst.IP.IsMulticast() {
			continue
		}
		prefix, ok := prefixOf(r, family)
		if !ok {
			continue
		}
		if prefix.Bits() == 0 {
			spares = append(spares, sparesOf(prefix, r)...)
		}
		other, twice := best[prefix]
		if r.Tos != 0 || twice && other.Priority == r.Priority {
			unclear[prefix] = true // also IPv6 multipath routes, which come as several
		}
		if !twice || r.Priority < other.Priority {
			best[prefix] = r
		}
	}
	out := make([]tableRoute, 0, len(best))
	for prefix, r := range best {
		route := tableRoute{prefix: prefix, mtu: mtuOf(r)}
		if !unclear[prefix] {
			route.hop = hopOf(r)
		}
		out = append(out, route)
		if prefix.Bits() == 0 {
			spares = slices.DeleteFunc(spares, func(s tableRoute) bool { return s.hop.ifindex == route.hop.ifindex })
			out = append(out, spares...)
		}
	}
	slices.SortFunc(out, func(a, b tableRoute) int {
		return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()), cmp.Compare(a.hop.ifindex, b.hop.ifindex))
	})
	return slices.Compact(out)
}

// sparesOf are the interfaces of a default route.
func sparesOf(prefix netip.Prefix, r netlink.Route) (spares []tableRoute) {
	if r.Type != unix.RTN_UNICAST || r.Flags&routeDown != 0 {
		return nil
	}
	for _, to := range append(r.MultiPath, &netlink.NexthopInfo{LinkIndex: r.LinkIndex}) {
		if to.LinkIndex != 0 {
			spares = append(spares, tableRoute{prefix: prefix, hop: hop{ifindex: to.LinkIndex}, spare: true})
		}
	}
	return spares
}

func prefixOf(r netlink.Route, family int) (netip.Prefix, bool) {
	if r.Dst == nil {
		if family == netlink.FAMILY_V4 {
			return netip.PrefixFrom(netip.IPv4Unspecified(), 0), true
		}
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0), true
	}
	addr, ok := netip.AddrFromSlice(r.Dst.IP)
	bits, _ := r.Dst.Mask.Size()
	if family == netlink.FAMILY_V4 {
		addr = addr.Unmap()
	}
	return netip.PrefixFrom(addr, bits), ok
}

// routeDown are the flags of a route that leads nowhere now.
const routeDown = unix.RTNH_F_DEAD | unix.RTNH_F_LINKDOWN

// hopOf is where the route leads, or nowhere if that takes more than a MAC.
func hopOf(r netlink.Route) hop {
	if r.Type != unix.RTN_UNICAST || len(r.MultiPath) > 0 || r.MPLSDst != nil || r.Encap != nil || r.NewDst != nil || r.Via != nil || r.Flags&routeDown != 0 {
		return hop{}
	}
	gw, _ := netip.AddrFromSlice(r.Gw)
	return hop{ifindex: r.LinkIndex, addr: gw.Unmap()}
}

func (n *rtnetlink) neighbours() ([]neighbour, error) {
	var out []neighbour
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		list, err := n.handle.NeighList(0, family)
		if err != nil {
			return nil, fmt.Errorf("list neighbours: %w", err)
		}
		for _, entry := range list {
			if neigh, ok := makeNeighbour(entry); ok {
				out = append(out, neigh)
			}
		}
	}
	return out, nil
}

// makeNeighbour leaves out what is no neighbour of flesh and blood, such as the MACs of multicast groups.
func makeNeighbour(entry netlink.Neigh) (neighbour, bool) {
	addr, ok := netip.AddrFromSlice(entry.IP)
	if !ok || entry.State&unix.NUD_NOARP != 0 || entry.Family != unix.AF_INET && entry.Family != unix.AF_INET6 {
		return neighbour{}, false
	}
	neigh := neighbour{hop: hop{ifindex: entry.LinkIndex, addr: addr.Unmap()}, state: entry.State}
	if len(entry.HardwareAddr) == len(neigh.mac) {
		copy(neigh.mac[:], entry.HardwareAddr)
	}
	return neigh, true
}

func (n *rtnetlink) look(h hop) error {
	family := unix.AF_INET
	if h.addr.Is6() {
		family = unix.AF_INET6
	}
	err := n.handle.NeighSet(&netlink.Neigh{LinkIndex: h.ifindex, Family: family, IP: h.addr.AsSlice(), Flags: netlink.NTF_USE})
	if err != nil {
		return fmt.Errorf("look after neighbour %s: %w", h.addr, err)
	}
	return nil
}
