package datapath

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"waggle/pkg/lab/require"
)

// smallMTU is that of a hop that neither end of a connection knows.
const smallMTU = 1280

// far is a room behind a router of its own, on a link with a small MTU that it does not admit to: its SYNs promise to take
// segments for 1500 bytes, as those of a host with a tunnel further away do.
func (top *topology) far(t *testing.T, bridge, routerAddr string, mtu int, nets [2]string) *room {
	t.Helper()
	router, far := newRoom(t), newRoom(t)
	top.router = router
	top.plug(t, bridge, router, "eth0", routerAddr, mtu)
	router.must(t, "make a small link", func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = "small", smallMTU
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "small", PeerNamespace: netlink.NsFd(int(far.ns)), PeerMTU: smallMTU})
	})
	for host, r := range map[string]*room{"1": router, "2": far} {
		r.must(t, "configure a small link", func() error {
			for i, prefix := range nets {
				if err := addWithout(prefix+host, []int{24, 64}[i]); err != nil {
					return err
				}
			}
			l, err := netlink.LinkByName("small")
			if err != nil {
				return err
			}
			return netlink.LinkSetUp(l)
		})
	}
	router.must(t, "forward", func() error {
		return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
	})
	router.must(t, "forward", func() error {
		return os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0)
	})
	far.must(t, "default routes", func() error {
		for i, any := range []string{"0.0.0.0/0", "::/0"} {
			if err := addRoute("small", any, nets[i]+"1", 1500-[]int{40, 60}[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return far
}

// addWithout adds an address to the small link, without duplicate address detection.
func addWithout(addr string, bits int) error {
	l, err := netlink.LinkByName("small")
	if err != nil {
		return err
	}
	ip := netip.MustParseAddr(addr)
	return netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(bits, ip.BitLen())}, Flags: noDAD(ip)})
}

func addRoute(name, to, via string, advmss int) error {
	return addRouteBy(name, to, netlink.Route{Gw: net.ParseIP(via), AdvMSS: advmss})
}

// addRouteBy adds the route by an interface of the calling thread's namespace.
func addRouteBy(name, to string, route netlink.Route) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	_, dst, err := net.ParseCIDR(to)
	if err != nil {
		return err
	}
	route.LinkIndex, route.Dst = l.Attrs().Index, dst
	return netlink.RouteAdd(&route)
}

// A path with a smaller MTU than its ends admit to carries large transfers in both directions, on both sides: its router's
// ICMP errors find whose segments are too large. Without them each transfer stops at its first full segment.
func TestNoPathMTUBlackHole(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 1)
	clientNets := [2]string{"203.0.113.", "2001:db8:3::"}
	taskNets := [2]string{"203.0.114.", "2001:db8:4::"}
	client := top.far(t, "front", "192.0.2.254", clientMTU, clientNets)
	task := top.far(t, "back", "198.51.100.254", taskMTU, taskNets)
	top.lb.must(t, "routes", func() error {
		for _, r := range [][3]string{
			{"eth1", "203.0.113.0/24", "192.0.2.254"}, {"eth1", "2001:db8:3::/64", "2001:db8:1::254"},
			{"eth0", "203.0.114.0/24", "198.51.100.254"}, {"eth0", "2001:db8:4::/64", "2001:db8:2::254"},
		} {
			if err := addRoute(r[0], r[1], r[2], 0); err != nil {
				return err
			}
		}
		return nil
	})
	for _, r := range []*room{top.client, client, task, top.tasks[0]} { // no probing: only ICMP can help
		sysctl(t, r, "ipv4/tcp_mtu_probing", "0")
	}

	dp := openIn(t, top.lb, Options{})
	for i, family := range []string{"IPv4", "IPv6"} {
		near, far := taskAddr(0), taskNets[i]+"2"
		front := frontAddr
		if i == 1 {
			near, front = sixOf(near), frontAddr6
		}
		for _, tt := range []struct {
			name         string
			client, task *room
			server       string
		}{
			{"small hop before the client", client, top.tasks[0], near},
			{"small hop before the task", top.client, task, far},
		} {
			t.Run(family+" "+tt.name, func(t *testing.T) {
				d := oneService(1)
				d.Services[0].Binds = []Bind{{AddrPort: netip.AddrPortFrom(netip.MustParseAddr(front), frontPort)}}
				d.Services[0].Servers[0].Addr = netip.AddrPortFrom(netip.MustParseAddr(tt.server), taskPort)
				if err := dp.Sync(d); err != nil {
					t.Fatal(err)
				}
				transferBothWays(t, tt.client, tt.task, net.JoinHostPort(front, fmt.Sprint(frontPort)))
			})
		}
	}
}

// transferBothWays has the client send a megabyte, and the task another one when it has all.
func transferBothWays(t *testing.T, client, task *room, front string) {
	t.Helper()
	const size = 1 << 20
	ln := task.listen(t, fmt.Sprintf(":%d", taskPort))
	defer ln.Close()
	serve(ln, func(c net.Conn) {
		if _, err := io.CopyN(io.Discard, c, size); err == nil {
			_, _ = c.Write(bytes.Repeat([]byte("w"), size)) // what is missing fails the client
		}
	})
	conn, err := client.dial(front)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write(make([]byte, size))
		sent <- err
	}()
	n, err := io.Copy(io.Discard, conn)
	if err != nil || n != size {
		t.Errorf("the client got %d bytes: %v", n, err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
