package resolver

import (
	"net/netip"
	"slices"
	"strings"
)

// guard keeps foreign addresses out of names that must be Swarm tasks. Docker forwards a name that has
// no task at the moment to the host's resolvers, and a wildcard record there would answer for it; the
// address would get the traffic of the service. Tasks are always inside a subnet that is attached here.
type guard struct {
	subnets func() []netip.Prefix // nil: no guard
	task    bool                  // the name must be a task
}

// newGuard returns the guard of a canonical name.
func newGuard(name string, subnets func() []netip.Prefix) guard {
	name = strings.TrimSuffix(name, ".")
	return guard{subnets: subnets, task: strings.HasPrefix(name, "tasks.") || !strings.Contains(name, ".")}
}

// admit splits addresses into those that may be servers and those that are refused. A name that is
// once seen inside an attached subnet must be there from then on. While no subnet is known nothing is
// refused: that is a failure to look, not a host without networks.
func (g *guard) admit(addrs []netip.Addr) (admitted, refused []netip.Addr) {
	if g.subnets == nil || len(addrs) == 0 {
		return addrs, nil
	}
	subnets := g.subnets()
	if len(subnets) == 0 {
		return addrs, nil
	}
	var inside, outside []netip.Addr
	for _, a := range addrs {
		if slices.ContainsFunc(subnets, func(p netip.Prefix) bool { return p.Contains(a) }) {
			inside = append(inside, a)
		} else {
			outside = append(outside, a)
		}
	}
	g.task = g.task || len(inside) > 0
	if !g.task {
		return addrs, nil
	}
	return inside, outside
}
