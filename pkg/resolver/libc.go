package resolver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// libcTimeout bounds LibC: a start must not hang on a DNS server that is down.
const libcTimeout = 2 * time.Second

// LibC resolves a name as the system does at start (`init-addr libc`): /etc/hosts, then the
// nameservers of /etc/resolv.conf. It returns all addresses, IPv4 before IPv6 and each sorted, so that
// slots can share them out; the error is the system resolver's. It takes at most 2 s.
func LibC(ctx context.Context, name string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, libcTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil, fmt.Errorf("could not resolve address '%s': %w", name, err)
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs), nil
}
