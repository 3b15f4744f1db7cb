package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Both ends of the wire between node and client. No packet leaves the two namespaces.
var (
	nodeAddr   = netip.MustParsePrefix("192.0.2.1/24")
	clientAddr = netip.MustParsePrefix("192.0.2.9/24")
)

// network is the engine's network namespace, one for clients, and what connects them.
type network struct {
	node, client netns.NsHandle
	resolver     *dns.Server
}

func newNetwork() (_ *network, err error) {
	n := &network{node: netns.None(), client: netns.None()}
	defer func() {
		if err != nil {
			err = fmt.Errorf("make network of engine: %w", errors.Join(err, n.close()))
		}
	}()
	for _, ns := range []*netns.NsHandle{&n.node, &n.client} {
		err := onThread(func() (err error) {
			*ns, err = netns.New()
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if err := n.wire(); err != nil {
		return nil, err
	}
	return n, n.serveDNS()
}

// wire makes the link between the namespaces. The client is the node's way to everywhere, so that an address
// outside fails at once instead of being looked for.
func (n *network) wire() error {
	client, err := netlink.NewHandleAt(n.client, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer client.Close()
	node, err := netlink.NewHandleAt(n.node, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer node.Close()
	err = client.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(n.node),
	})
	if err != nil {
		return fmt.Errorf("add veth: %w", err)
	}
	if err := bringUp(client, clientAddr); err != nil {
		return err
	}
	if err := bringUp(node, nodeAddr); err != nil {
		return err
	}
	return node.RouteAdd(&netlink.Route{Gw: clientAddr.Addr().AsSlice()})
}

func bringUp(nl *netlink.Handle, addr netip.Prefix) error {
	for _, name := range []string{"lo", "eth0"} {
		link, err := nl.LinkByName(name)
		if err != nil {
			return err
		}
		if name == "eth0" {
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
func (n *network) serveDNS() error {
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

// close gives the namespaces up. Connections that were dialled keep theirs until they are closed.
func (n *network) close() error {
	var errs []error
	if n.resolver != nil {
		errs = append(errs, n.resolver.Shutdown())
		n.resolver = nil
	}
	for _, ns := range []*netns.NsHandle{&n.node, &n.client} {
		if ns.IsOpen() {
			errs = append(errs, ns.Close())
		}
	}
	return errors.Join(errs...)
}

// NodeAddr is the node's address, as clients see it.
func (e *Engine) NodeAddr() netip.Addr { return nodeAddr.Addr() }

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

func (n *network) inNode(fn func() error) error   { return inNamespace(n.node, fn) }
func (n *network) inClient(fn func() error) error { return inNamespace(n.client, fn) }

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
