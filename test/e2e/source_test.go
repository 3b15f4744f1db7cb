package e2e

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"waggle/pkg/lab"
)

// sourceConfig has two servers that connections come to from addresses of the balancer's that it would not choose itself, one
// that it leaves to the system, and one whose address is not the balancer's.
const sourceConfig = `
global
    stats socket ipv4@127.0.0.1:9999 level admin
defaults
    mode tcp
    timeout connect 1s
    timeout client 10s
    timeout server 10s
    retries 0
    source %[2]s
frontend metrics
    mode http
    bind *:8404
    http-request use-service prometheus-exporter if { path /metrics }
listen inherited
    bind *:8001
    server s %[1]s:8000
listen own
    bind *:8002
    server s %[1]s:8000 source %[3]s check inter 200ms
listen system
    bind *:8003
    server s %[1]s:8000 source 0.0.0.0
listen ranged
    bind *:8004
    server s %[1]s:8000 source %[3]s:25000-25001
listen foreign
    bind *:8005
    source 203.0.113.9
    server s %[1]s:8000
`

// Connections come from where the configuration says, on both paths, and where that cannot be there is none.
func TestSourceOfConnections(t *testing.T) {
	for _, datapath := range datapaths() {
		t.Run("datapath "+datapath, func(t *testing.T) {
			b := &balancer{Lab: newLab(t, lab.Options{}), t: t}
			task := b.rawTasks(1)[0]
			own := b.Balancer.OverlayAddr()
			second := own.Next()
			if second == task.Addr() {
				second = second.Next()
			}
			third := second.Next()
			if third == task.Addr() {
				third = third.Next()
			}
			b.addAddresses(task.Addr(), second, third)
			b.runConfig("--datapath="+datapath, sourceConfig, task.Addr(), second, third)
			b.ready()
			for port, want := range map[int]netip.Addr{8001: second, 8002: third, 8003: own, 8004: third} {
				conn := b.held(port)
				b.eventually(fmt.Sprintf("port %d: one connection from %s", port, want), func() error { // there may be a check beside it
					got := b.peers(task)
					if len(got) != 1 || got[0].Addr() != want || port == 8004 && got[0].Port() != 25000 && got[0].Port() != 25001 {
						return fmt.Errorf("the task's connections come from %v", got)
					}
					return nil
				})
				conn.Close()
				b.eventually("the connection is gone", func() error {
					if got := b.peers(task); len(got) > 0 {
						return fmt.Errorf("%v", got)
					}
					return nil
				})
			}
			if conn, err := b.dial(8005); err == nil {
				defer conn.Close()
				if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
					t.Error("a server is reached from an address that is not the balancer's")
				}
			}
			viaKernel := map[string]float64{kernelMode(): 3, "off": 0}[datapath] // the first three
			if got := b.metric("waggle_frontend_sessions_total", `path="kernel"`); got != viaKernel {
				t.Errorf("the kernel carried %v connections, want %v", got, viaKernel)
			}
		})
	}
}

// addAddresses gives the balancer's interface towards a task more addresses of its network.
func (b *balancer) addAddresses(task netip.Addr, addrs ...netip.Addr) {
	b.t.Helper()
	err := b.Balancer.Do(func() error {
		routes, err := netlink.RouteGet(task.AsSlice())
		if err != nil {
			return err
		}
		link, err := netlink.LinkByIndex(routes[0].LinkIndex)
		if err != nil {
			return err
		}
		for _, addr := range addrs {
			ip := net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(24, 32)}
			if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: &ip}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// held is a connection through which an echo has come back, so that its server has it.
func (b *balancer) held(port int) net.Conn {
	b.t.Helper()
	conn, err := b.dial(port)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := fmt.Fprint(conn, "echo\nx"); err != nil {
		b.t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		b.t.Fatalf("port %d: %v", port, err)
	}
	return conn
}

// peers are where the established connections of a task's service come from.
func (b *balancer) peers(task *lab.Task) (from []netip.AddrPort) {
	b.t.Helper()
	err := task.Do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/tcp")
		for line := range strings.Lines(string(text)) {
			var local, remote uint32
			var localPort, remotePort uint16
			var state int
			if n, _ := fmt.Sscanf(strings.Join(strings.Fields(line)[1:4], " "), "%X:%X %X:%X %X", &local, &localPort, &remote, &remotePort, &state); n == 5 && localPort == 8000 && state == 1 {
				from = append(from, netip.AddrPortFrom(netip.AddrFrom4([4]byte(binary.NativeEndian.AppendUint32(nil, remote))), remotePort))
			}
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return from
}
