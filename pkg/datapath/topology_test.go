package datapath

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// The test's network: a client and a balancer on one bridge, the balancer and its tasks on another, both bridges in a
// namespace of their own. The tasks have no route to the client, and ip_forward is 0 everywhere.
const (
	clientAddr = "192.0.2.10"
	frontAddr  = "192.0.2.1"
	backAddr   = "198.51.100.1"
	frontAddr6 = "2001:db8:1::1"
	backAddr6  = "2001:db8:2::1"
	frontPort  = 8080
	taskPort   = 9000
	clientMTU  = 1500
	taskMTU    = 1450 // as on an overlay network
)

// noDAD is the flag for an address that is usable at once.
func noDAD(addr netip.Addr) int {
	if addr.Is6() {
		return unix.IFA_F_NODAD
	}
	return 0
}

// sixOf is the IPv6 address beside an IPv4 one of the topology.
func sixOf(addr string) string {
	for four, six := range map[string]string{"192.0.2.": "2001:db8:1::", "198.51.100.": "2001:db8:2::"} {
		if host, ok := strings.CutPrefix(addr, four); ok {
			return six + host
		}
	}
	return ""
}

func taskAddr(i int) string { return fmt.Sprintf("198.51.100.%d", 11+i) }

// room is a network namespace without a name: it goes when the test does, however that ends.
type room struct {
	namespace
}

// path is where Options.NetNS finds the room.
func (r *room) path() string { return fmt.Sprintf("/proc/self/fd/%d", int(r.ns)) }

func newRoom(t testing.TB) *room {
	t.Helper()
	type result struct {
		ns  netns.NsHandle
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // the thread is in the new namespace from here on and ends with the goroutine
		ns, err := netns.New()
		if err == nil {
			err = upLoopback()
		}
		done <- result{ns, err}
	}()
	r := <-done
	if r.err != nil {
		t.Fatalf("create network namespace: %v", r.err)
	}
	t.Cleanup(func() { r.ns.Close() })
	return &room{namespace{r.ns}}
}

func upLoopback() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// addAddr gives the calling thread's namespace one more address.
func addAddr(name, addr string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	ip := net.IPNet{IP: netip.MustParseAddr(addr).AsSlice(), Mask: net.CIDRMask(32, 32)}
	return netlink.AddrAdd(l, &netlink.Addr{IPNet: &ip})
}

// addNet gives the calling thread's interface more addresses with their networks.
func addNet(name string, prefixes ...string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	for _, prefix := range prefixes {
		addr, err := netlink.ParseAddr(prefix)
		if err != nil {
			return err
		}
		ip, _ := netip.AddrFromSlice(addr.IP)
		addr.Flags |= noDAD(ip.Unmap()) // else it is tentative for a moment, on lo as well
		if err := netlink.AddrAdd(l, addr); err != nil {
			return err
		}
	}
	return nil
}

func writeSysctl(file, text string) error { return os.WriteFile(file, []byte(text), 0) }

func (r *room) must(t testing.TB, what string, f func() error) {
	t.Helper()
	if err := r.do(f); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// listen opens a listening socket in the room.
func (r *room) listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	var ln net.Listener
	r.must(t, "listen on "+addr, func() (err error) {
		ln, err = net.Listen("tcp", addr)
		return err
	})
	t.Cleanup(func() { ln.Close() })
	return ln
}

// dial connects from the room.
func (r *room) dial(addr string) (conn net.Conn, err error) {
	err = r.do(func() (err error) {
		conn, err = net.DialTimeout("tcp", addr, patience)
		return err
	})
	return conn, err
}

type topology struct {
	fabric, client, lb *room
	tasks              []*room
	router             *room  // of far
	front              string // where clients connect to
}

func newTopology(t testing.TB, tasks int) *topology {
	t.Helper()
	top := &topology{fabric: newRoom(t), client: newRoom(t), lb: newRoom(t), front: front()}
	top.fabric.addBridge(t, "front", clientMTU)
	top.fabric.addBridge(t, "back", taskMTU)
	top.plug(t, "front", top.client, "eth0", clientAddr, clientMTU)
	top.plug(t, "front", top.lb, "eth1", frontAddr, clientMTU)
	top.plug(t, "back", top.lb, "eth0", backAddr, taskMTU)
	for i := range tasks {
		task := newRoom(t)
		top.tasks = append(top.tasks, task)
		top.plug(t, "back", task, "eth0", taskAddr(i), taskMTU)
	}
	top.lb.must(t, "ip_forward", func() error {
		text, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
		if err == nil && string(text) != "0\n" {
			return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0)
		}
		return err
	})
	return top
}

func (r *room) addBridge(t testing.TB, name string, mtu int) {
	t.Helper()
	r.must(t, "add bridge "+name, func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = name, mtu
		return netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs})
	})
	r.change(t, name, netlink.LinkSetUp)
}

// change does something to an interface of the room.
func (r *room) change(t testing.TB, name string, do func(netlink.Link) error) {
	t.Helper()
	r.must(t, "change "+name, func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return do(l)
	})
}

// plug connects room to a bridge.
func (top *topology) plug(t testing.TB, bridge string, to *room, name, addr string, mtu int) {
	t.Helper()
	top.plugAs(t, bridge, to, name, addr, mtu, nil)
}

// plugAs does it with a MAC of the room's interface.
func (top *topology) plugAs(t testing.TB, bridge string, to *room, name, addr string, mtu int, mac net.HardwareAddr) {
	t.Helper()
	top.fabric.must(t, "plug "+name+" into "+bridge, func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = "p"+addr[len(addr)-2:]+bridge, mtu
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: name, PeerNamespace: netlink.NsFd(int(to.ns)), PeerHardwareAddr: mac}
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		port, err := netlink.LinkByName(attrs.Name)
		if err != nil {
			return err
		}
		master, err := netlink.LinkByName(bridge)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetMaster(port, master); err != nil {
			return err
		}
		return netlink.LinkSetUp(port)
	})
	to.must(t, "configure "+name, func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetMTU(l, mtu); err != nil {
			return err
		}
		ip := net.IPNet{IP: netip.MustParseAddr(addr).AsSlice(), Mask: net.CIDRMask(24, 32)}
		if err := netlink.AddrAdd(l, &netlink.Addr{IPNet: &ip}); err != nil {
			return err
		}
		six := net.IPNet{IP: netip.MustParseAddr(sixOf(addr)).AsSlice(), Mask: net.CIDRMask(64, 128)}
		if err := netlink.AddrAdd(l, &netlink.Addr{IPNet: &six, Flags: noDAD(netip.MustParseAddr(sixOf(addr)))}); err != nil {
			return err
		}
		return netlink.LinkSetUp(l)
	})
}
