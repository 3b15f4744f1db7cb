package agent

import (
	"net"
	"net/netip"
)

// localSubnets returns the subnets that the interfaces of this namespace are attached to, or nil if the
// subnet guard is off. They are read anew for each use, since networks come and go.
func (a *Agent) localSubnets() func() []netip.Prefix {
	if !a.opts.SubnetGuard {
		return nil
	}
	return func() []netip.Prefix {
		addrs, err := net.InterfaceAddrs()
		if err != nil {
			a.log.Warn("the subnet guard cannot read the interfaces' addresses; it lets every address pass", "err", err)
			return nil
		}
		var subnets []netip.Prefix
		for _, addr := range addrs {
			ipNet, ok := addr.(*net.IPNet)
			if !ok {
				continue
			}
			if p, err := netip.ParsePrefix(ipNet.String()); err == nil {
				subnets = append(subnets, p.Masked())
			}
		}
		return subnets
	}
}
