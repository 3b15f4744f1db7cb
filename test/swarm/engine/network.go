package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// clientAddr is where clients are, and the DNS server. No packet leaves the namespaces of a network.
var clientAddr = netip.MustParsePrefix("192.0.2.9/24")

// mostNodes is how many nodes fit below the client's address.
const mostNodes = 8

// bridge connects the nodes in the client's namespace.
const bridge = "br0"

// Network is what engines and their clients are on. Its methods may be called from several goroutines, but not
// Close at the same time as others.
type Network struct {
	client   netns.NsHandle
	resolver *dns.Server

	mu    sync.Mutex
	nodes int // that there ever were
}

// node is the network namespace of an engine.
type node struct {
	ns   netns.NsHandle
	name string // of the host, and of its port on the bridge
	addr netip.Prefix
}

// NewNetwork makes a network without engines. Close it after them.
func NewNetwork() (_ *Network, err error) {
	n := &Network{client: netns.None()}
	defer func() {
		if err != nil {
			err = fmt.Errorf("make network of engines: %w", errors.Join(err, n.Close()))
		}
	}()
	if n.client, err = newNamespace(); err != nil {
		return nil, err
	}
	nl, err := netlink.NewHandleAt(n.client, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer nl.Close()
	if err := nl.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge}}); err != nil {
		return nil, fmt.Errorf("add bridge: %w", err)
	}
	if err := bringUp(nl, bridge, clientAddr); err != nil {
		return nil, err
	}
	return n, n.serveDNS()
}

func newNamespace() (ns netns.NsHandle, err error) {
	err = onThread(func() error {
		ns, err = netns.New()
		return err
	})
	if err != nil {
		return netns.None(), fmt.Errorf("make namespace: %w", err)
	}
	return ns, nil
}

// addNode makes a namespace that is wired to the others.
func (n *Network) addNode() (_ *node, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.nodes == mostNodes {
		return nil, fmt.Errorf("a network has at most %d nodes", mostNodes)
	}
	n.nodes++
	addr := clientAddr.Masked().Addr().As4()
	addr[3] = byte(n.nodes)
	d := &node{name: fmt.Sprintf("wg-node-%d", n.nodes), addr: netip.PrefixFrom(netip.AddrFrom4(addr), clientAddr.Bits())}
	if d.ns, err = newNamespace(); err != nil {
		return nil, err
	}
	if err := n.wire(d); err != nil {
		return nil, fmt.Errorf("wire %s: %w", d.name, errors.Join(err, d.ns.Close()))
	}
	return d, nil
}

// wire makes the link between a node and the bridge. The client is the node's way to everywhere, so that an
// address outside fails at once instead of being looked for.
func (n *Network) wire(d *node) error {
	client, err := netlink.NewHandleAt(n.client, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer client.Close()
	inside, err := netlink.NewHandleAt(d.ns, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer inside.Close()
	master, err := client.LinkByName(bridge)
	if err != nil {
		return err
	}
	err = client.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: d.name, MasterIndex: master.Attrs().Index},
		PeerName:  "eth0", PeerNamespace: netlink.NsFd(d.ns),
	})
	if err != nil {
		return fmt.Errorf("add veth: %w", err)
	}
	if err := bringUp(client, d.name, netip.Prefix{}); err != nil {
		return err
	}
	if err := bringUp(inside, "eth0", d.addr); err != nil {
		return err
	}
	return inside.RouteAdd(&netlink.Route{Gw: clientAddr.Addr().AsSlice()})
}

// bringUp sets the loopback interface and another one up, the latter with an address if that is valid.
func bringUp(nl *netlink.Handle, name string, addr netip.Prefix) error {
	for _, up := range []string{"lo", name} {
		link, err := nl.LinkByName(up)
		if err != nil {
			return err
		}
		if up == name && addr.IsValid() {
			ip := &net.IPNet{IP: addr.Addr().AsSlice(), Mask: net.CIDRMask(addr.Bits(), 32)}
			if err := nl.AddrAdd(link, &netlink.Addr{IPNet: ip}); err != nil {
				return fmt.Errorf("add address %v: %w", addr, err)
			}
		}
		if err := nl.LinkSetUp(link); err != nil {
			return err
		}
	}
	return nil
}

// serveDNS answers every query with NXDOMAIN.
func (n *Network) serveDNS() error {
	var conn net.PacketConn
	err := n.inClient(func() (err error) {
		conn, err = net.ListenPacket("udp4", netip.AddrPortFrom(clientAddr.Addr(), 53).String())
		return err
	})
	if err != nil {
		return err
	}
	serving := make(chan struct{})
	resolver := &dns.Server{
		PacketConn:        conn,
		NotifyStartedFunc: func() { close(serving) },
		Handler: dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
			_ = w.WriteMsg(new(dns.Msg).SetRcode(query, dns.RcodeNameError))
		}),
	}
	failed := make(chan error, 1)
	go func() { failed <- resolver.ActivateAndServe() }()
	select {
	case err := <-failed:
		return errors.Join(err, conn.Close())
	case <-serving:
		n.resolver = resolver
		return nil
	}
}

// Close gives the network up. Its engines are closed. Connections that were dialled keep the client's namespace
// until they are closed.
func (n *Network) Close() error {
	var errs []error
	if n.resolver != nil {
		errs = append(errs, n.resolver.Shutdown())
		n.resolver = nil
	}
	if n.client.IsOpen() {
		errs = append(errs, n.client.Close())
	}
	return errors.Join(errs...)
}

// NodeAddr is the node's address, as clients see it.
func (e *Engine) NodeAddr() netip.Addr { return e.node.addr.Addr() }

// Unplug cuts the node off from the network, as a pulled cable or a lost supply of power does: nobody is told.
func (e *Engine) Unplug() error {
	nl, err := netlink.NewHandleAt(e.net.client, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("unplug %s: %w", e.node.name, err)
	}
	defer nl.Close()
	port, err := nl.LinkByName(e.node.name)
	if err == nil {
		err = nl.LinkSetDown(port)
	}
	if err != nil {
		return fmt.Errorf("unplug %s: %w", e.node.name, err)
	}
	return nil
}

// DialContext connects from the client, another host of the node's network. address must hold a literal IP
// address: names are not resolved.
func (e *Engine) DialContext(ctx context.Context, network, address string) (conn net.Conn, err error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("dial from client: %w", err)
	}
	err = e.net.inClient(func() error {
		var d net.Dialer
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	if err != nil {
		return nil, err
	}
	return conn, nil
}

func (d *node) inside(fn func() error) error      { return inNamespace(d.ns, fn) }
func (n *Network) inClient(fn func() error) error { return inNamespace(n.client, fn) }

// inNamespace runs fn on a thread that is in ns. Sockets and processes that fn makes by itself belong to it.
func inNamespace(ns netns.NsHandle, fn func() error) error {
	return onThread(func() error {
		if err := netns.Set(ns); err != nil {
			return fmt.Errorf("enter namespace: %w", err)
		}
		return fn()
	})
}

// onThread runs fn on an operating system thread that fn may move to another network namespace. A thread that
// cannot be brought back dies with its goroutine instead of serving other goroutines.
func onThread(fn func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		origin, err := netns.Get()
		if err != nil {
			result <- fmt.Errorf("remember namespace: %w", err)
			return
		}
		err = fn()
		if back := netns.Set(origin); back != nil {
			err = errors.Join(err, fmt.Errorf("leave namespace: %w", back))
		} else {
			runtime.UnlockOSThread()
		}
		result <- errors.Join(err, origin.Close())
	}()
	return <-result
}
