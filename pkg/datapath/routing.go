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
	for _, r := range list {
		if r.Dst != nil && r.Dst.IP.IsMulticast() {
			continue
		}
		prefix, ok := prefixOf(r, family)
		if !ok {
			continue
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
		route := tableRoute{prefix: prefix}
		if !unclear[prefix] {
			route.hop = hopOf(r)
		}
		out = append(out, route)
	}
	slices.SortFunc(out, func(a, b tableRoute) int {
		return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()))
	})
	return out
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

// hopOf is where the route leads, or nowhere if that takes more than a MAC.
func hopOf(r netlink.Route) hop {
	const down = unix.RTNH_F_DEAD | unix.RTNH_F_LINKDOWN
	if r.Type != unix.RTN_UNICAST || len(r.MultiPath) > 0 || r.MPLSDst != nil || r.Encap != nil || r.NewDst != nil || r.Via != nil || r.Flags&down != 0 {
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
