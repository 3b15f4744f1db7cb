package datapath

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// conversation is a connection that asks and is answered, line by line.
type conversation struct {
	net.Conn
	lines *bufio.Reader
}

func (c *conversation) ask() error {
	c.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintln(c, "are you there?"); err != nil {
		return err
	}
	_, err := c.lines.ReadString('\n')
	return err
}

// echoLines answers each line of each connection to the room's task port.
func echoLines(t *testing.T, r *room) {
	t.Helper()
	serve(r.listen(t, fmt.Sprintf("%s:%d", "0.0.0.0", taskPort)), func(c net.Conn) {
		for lines := bufio.NewScanner(c); lines.Scan(); {
			fmt.Fprintln(c, lines.Text())
		}
	})
}

// setMAC gives eth0 another MAC, silently: arp_notify is off, and the peers' MACs are kept so that no ARP request of this
// room tells the new one.
func (r *room) setMAC(t *testing.T, last byte) {
	t.Helper()
	r.must(t, "change MAC", func() error {
		l, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		entries, err := netlink.NeighList(l.Attrs().Index, netlink.FAMILY_V4)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetHardwareAddr(l, net.HardwareAddr{2, 0xaa, 0, 0, 0, last}); err != nil {
			return err
		}
		for _, n := range entries {
			if len(n.HardwareAddr) > 0 {
				n.State = unix.NUD_PERMANENT
				if err := netlink.NeighSet(&n); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func sysctl(t *testing.T, r *room, path, value string) {
	t.Helper()
	r.must(t, "sysctl "+path, func() error { return os.WriteFile("/proc/sys/net/"+path, []byte(value), 0) })
}

// cached tells whether the program has the MAC for the neighbour, and which; resting is whether nobody uses it and the
// kernel's entry is stale.
func (dp *Datapath) cached(addr string) (mac [6]byte, ok, resting bool) {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	for h, i := range dp.planner.ways.index {
		if h.addr == netip.MustParseAddr(addr) {
			way := dp.obj.ways[i]
			return way.To.Addr, way.To.Known != 0, way.Used == 0 && dp.planner.ways.states[h] == unix.NUD_STALE
		}
	}
	return mac, false, false
}

// A task's or client's MAC changes while a connection lives, and nobody says so: since packets of flows pass the kernel's
// neighbour code by, its entry gets old, is found out by being looked after, fails, and is resolved again.
func TestSilentChangeOfAMACMidFlow(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 1)
	for _, dev := range []string{"eth0", "eth1"} { // seconds instead of minutes; a shorter reachable time than the delay never gets stale
		for name, value := range map[string]string{"base_reachable_time_ms": "2400", "delay_first_probe_time": "1", "retrans_time_ms": "100", "ucast_solicit": "2"} {
			sysctl(t, top.lb, "ipv4/neigh/"+dev+"/"+name, value)
		}
	}
	echoLines(t, top.tasks[0])
	dp := openIn(t, top.lb, Options{})
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	conn, err := top.client.dial(front())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &conversation{conn, bufio.NewReader(conn)}
	for range 40 { // WG_WAY_AGAIN and some
		if err := c.ask(); err != nil {
			t.Fatal(err)
		}
	}
	for i, side := range []struct {
		room *room
		addr string
	}{{top.tasks[0], taskAddr(0)}, {top.client, clientAddr}} {
		waitFor(t, "the neighbour to rest", func() bool { _, _, resting := dp.cached(side.addr); return resting })
		before, ok, _ := dp.cached(side.addr)
		if !ok {
			t.Fatalf("the MAC of %s is not cached", side.addr)
		}
		side.room.setMAC(t, byte(i+1))
		if err := c.ask(); err != nil {
			t.Fatalf("after the MAC of %s changed: %v", side.addr, err)
		}
		waitFor(t, "the new MAC", func() bool { mac, ok, _ := dp.cached(side.addr); return ok && mac != before })
		if err := c.ask(); err != nil {
			t.Fatal(err)
		}
	}
}

// A routing rule takes effect at once: flows ask the kernel again, and not the copy of its main table.
func TestRoutingRulesAreFollowed(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 1)
	dp := openIn(t, top.lb, Options{})
	copied := func() bool {
		dp.mu.Lock()
		defer dp.mu.Unlock()
		for key := range dp.tables.routes.have {
			if netip.AddrFrom16(key.Addr).Is4In6() {
				return true
			}
		}
		return false
	}
	if !copied() {
		t.Fatal("the table of routes is empty")
	}
	rule := netlink.NewRule()
	rule.Priority, rule.Table, rule.Family = 100, 99, netlink.FAMILY_V4
	top.lb.must(t, "add rule", func() error { return netlink.RuleAdd(rule) })
	waitFor(t, "the copy to go", func() bool { return !copied() })
	top.lb.must(t, "delete rule", func() error { return netlink.RuleDel(rule) })
	waitFor(t, "the copy to come back", copied)
}
