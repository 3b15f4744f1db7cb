package lab

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"

	"waggle/pkg/lab/ethtool"
	"waggle/pkg/lab/wire"
)

// Addresses and MTUs as a Swarm node has them. Every lab uses the same: labs do not see each other.
const (
	overlayMTU = 1450 // 1500 less VXLAN's 50
	bridgeMTU  = 1500

	overlayPrefix   = "10.0.1.0/24"
	balancerOverlay = "10.0.1.2/24"
	firstTaskIP     = 3
	lastTaskIP      = 254

	gatewayAddr     = "172.18.0.1/16" // docker_gwbridge
	balancerGateway = "172.18.0.3/16"

	nodeAddr   = "198.18.0.1/24" // the node's leg towards the client
	clientAddr = "198.18.0.2/24"

	overlayBridge = "br0"
	gatewayBridge = "docker_gwbridge"
)

// buildTopology makes the namespaces that every lab has, and joins them.
func (l *Lab) buildTopology() (err error) {
	if l.Node, err = l.newHost("node"); err != nil {
		return err
	}
	if l.Overlay, err = l.newHost("overlay"); err != nil {
		return err
	}
	if l.Client, err = l.newHost("client"); err != nil {
		return err
	}
	balancer, err := l.newHost("balancer")
	if err != nil {
		return err
	}
	l.Balancer = &Balancer{Host: balancer}

	if err := l.Overlay.addBridge(overlayBridge, overlayMTU, ""); err != nil {
		return err
	}
	if err := l.Node.addBridge(gatewayBridge, bridgeMTU, gatewayAddr); err != nil {
		return err
	}
	return l.joinHosts()
}

func (l *Lab) joinHosts() error {
	legs := []leg{
		{host: l.Balancer.Host, link: "eth0", addr: balancerOverlay, mtu: overlayMTU,
			peer: l.Overlay, peerLink: "balancer", bridge: overlayBridge},
		{host: l.Balancer.Host, link: "eth1", addr: balancerGateway, mtu: bridgeMTU, gateway: gatewayAddr,
			peer: l.Node, peerLink: "balancer", bridge: gatewayBridge},
		{host: l.Client, link: "eth0", addr: clientAddr, mtu: bridgeMTU, gateway: nodeAddr,
			peer: l.Node, peerLink: "client", peerAddr: nodeAddr},
	}
	if l.opts.Wires {
		legs[0].wire, legs[0].seed = &l.OverlayWire, l.opts.WireSeed
		legs[1].wire, legs[1].seed = &l.GatewayWire, l.opts.WireSeed+1
	}
	for _, g := range legs {
		if err := g.join(); err != nil {
			return err
		}
	}
	l.Client.addr = netip.MustParsePrefix(clientAddr).Addr()
	l.Node.addr = netip.MustParsePrefix(gatewayAddr).Addr()
	l.Balancer.addr = netip.MustParsePrefix(balancerGateway).Addr()

	if l.opts.XDP {
		if err := l.readyForXDP(); err != nil {
			return err
		}
	}
	// A new namespace may inherit the setting of the host, so both are written.
	if err := l.Balancer.setForwarding("0"); err != nil {
		return err
	}
	return l.Node.setForwarding("1")
}

// readyForXDP has what the balancer is connected to treat its interfaces as a NIC with native XDP would.
func (l *Lab) readyForXDP() error {
	for _, h := range []*Host{l.Overlay, l.Node} {
		if err := h.Do(func() error { return ethtool.ReadyForXDP("balancer") }); err != nil {
			return fmt.Errorf("in %s: %w", h.name, err)
		}
	}
	return nil
}

// leg is a veth pair, or a wire, from a host to a peer, where it is a port of a bridge or has an address of its own.
type leg struct {
	host    *Host
	link    string
	addr    string // prefix
	mtu     int
	gateway string // prefix of the default route's next hop, or empty

	peer     *Host
	peerLink string
	bridge   string // of the peer, or empty
	peerAddr string // prefix, or empty

	wire **wire.Wire // where the wire goes; nil: a veth pair
	seed uint64      // of the wire
}

func (g leg) join() error {
	if err := g.create(); err != nil {
		return fmt.Errorf("join %s to %s: %w", g.host.name, g.peer.name, err)
	}
	if err := g.peer.links(g.setUpPeer); err != nil {
		return fmt.Errorf("set up %s of %s: %w", g.peerLink, g.peer.name, err)
	}
	if err := g.host.links(g.setUpHost); err != nil {
		return fmt.Errorf("set up %s of %s: %w", g.link, g.host.name, err)
	}
	return nil
}

func (g leg) create() error {
	g.peer.mu.RLock()
	defer g.peer.mu.RUnlock()
	if !g.peer.ns.IsOpen() {
		return net.ErrClosed
	}
	if g.wire != nil {
		return g.createWire()
	}
	return g.host.links(func(nl *netlink.Handle) error {
		return nl.LinkAdd(&netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: g.link, MTU: g.mtu},
			PeerName:      g.peerLink,
			PeerMTU:       uint32(g.mtu),
			PeerNamespace: netlink.NsFd(g.peer.ns),
		})
	})
}

// createWire makes the leg's two ends and joins them.
func (g leg) createWire() error {
	var ends [2]*os.File
	for i, end := range []struct {
		host *Host
		name string
	}{{g.host, g.link}, {g.peer, g.peerLink}} {
		err := end.host.Do(func() (err error) {
			if ends[i], err = wire.Tap(end.name); err != nil {
				return err
			}
			l, err := netlink.LinkByName(end.name)
			if err == nil {
				err = netlink.LinkSetMTU(l, g.mtu)
			}
			return err
		})
		if err != nil {
			for _, f := range ends[:i+1] {
				_ = f.Close() // nil says so
			}
			return err
		}
	}
	*g.wire = wire.Join(ends[0], ends[1], g.seed)
	return nil
}

func (g leg) setUpPeer(nl *netlink.Handle) error {
	if g.bridge != "" {
		port, err := nl.LinkByName(g.peerLink)
		if err != nil {
			return err
		}
		bridge, err := nl.LinkByName(g.bridge)
		if err != nil {
			return err
		}
		if err := nl.LinkSetMaster(port, bridge); err != nil {
			return err
		}
	}
	if err := addAddress(nl, g.peerLink, g.peerAddr); err != nil {
		return err
	}
	return linkUp(nl, g.peerLink)
}

func (g leg) setUpHost(nl *netlink.Handle) error {
	if err := addAddress(nl, g.link, g.addr); err != nil {
		return err
	}
	if err := linkUp(nl, g.link); err != nil {
		return err
	}
	if g.gateway == "" {
		return nil
	}
	hop := netip.MustParsePrefix(g.gateway).Addr()
	return nl.RouteAdd(&netlink.Route{Gw: hop.AsSlice()})
}

// addBridge makes a bridge that is up, with addr (a prefix) if that is not empty.
func (h *Host) addBridge(name string, mtu int, addr string) error {
	err := h.links(func(nl *netlink.Handle) error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name, MTU: mtu}}
		if err := nl.LinkAdd(bridge); err != nil {
			return err
		}
		if err := addAddress(nl, name, addr); err != nil {
			return err
		}
		return linkUp(nl, name)
	})
	if err != nil {
		return fmt.Errorf("make bridge %s of %s: %w", name, h.name, err)
	}
	return nil
}

// setForwarding writes net.ipv4.ip_forward of the namespace.
func (h *Host) setForwarding(value string) error {
	return h.Do(func() error {
		return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte(value), 0)
	})
}

func linkUp(nl *netlink.Handle, name string) error {
	link, err := nl.LinkByName(name)
	if err != nil {
		return err
	}
	return nl.LinkSetUp(link)
}

func addAddress(nl *netlink.Handle, name, prefix string) error {
	if prefix == "" {
		return nil
	}
	link, err := nl.LinkByName(name)
	if err != nil {
		return err
	}
	addr, err := netlink.ParseAddr(prefix)
	if err != nil {
		return err
	}
	return nl.AddrAdd(link, addr)
}
