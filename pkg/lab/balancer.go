package lab

import (
	"net/netip"
	"strconv"
)

// Balancer is the host with a leg on the overlay and one on docker_gwbridge. Start runs a balancer in it:
//
//	p, err := l.Balancer.Start(ctx, lab.Command{
//		Argv:  []string{"waggle", "run", "-f", lab.FilesDir + "/haproxy.cfg"},
//		Files: map[string][]byte{"haproxy.cfg": config},
//	})
type Balancer struct{ *Host }

// OverlayAddr is the balancer's address on the overlay, which tasks see as their client.
func (b *Balancer) OverlayAddr() netip.Addr { return netip.MustParsePrefix(balancerOverlay).Addr() }

// Endpoint is where clients reach a port of the balancer, as host:port.
func (b *Balancer) Endpoint(port int) string {
	return netip.AddrPortFrom(b.addr, uint16(port)).String()
}

// URL is Endpoint as an http URL with a path, which begins with a slash.
func (b *Balancer) URL(port int, path string) string {
	return "http://" + b.addr.String() + ":" + strconv.Itoa(port) + path
}
