package datapath

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	bpflink "github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// counting is a program of somebody else that counts packets and lets them go on.
type counting struct {
	prog *ebpf.Program
	hits *ebpf.Map
}

func newCounting(t *testing.T) *counting {
	t.Helper()
	hits, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hits.Close() })
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "foreign", Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{
		asm.LoadMapValue(asm.R1, hits.FD(), 0),
		asm.Mov.Imm(asm.R2, 1),
		asm.StoreXAdd(asm.R1, asm.R2, asm.DWord),
		asm.Mov.Imm(asm.R0, -1), // TCX_NEXT, TC_ACT_UNSPEC
		asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	return &counting{prog, hits}
}

func (c *counting) count(t *testing.T) (n uint64) {
	t.Helper()
	if err := c.hits.Lookup(uint32(0), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// attachTCX attaches to the room's eth1, which clients come in by.
func (c *counting) attachTCX(t *testing.T, r *room) {
	t.Helper()
	r.must(t, "attach foreign program", func() error {
		l, err := netlink.LinkByName("eth1")
		if err != nil {
			return err
		}
		tcx, err := bpflink.AttachTCX(bpflink.TCXOptions{Interface: l.Attrs().Index, Program: c.prog, Attach: ebpf.AttachTCXIngress})
		if err == nil {
			t.Cleanup(func() { tcx.Close() })
		}
		return err
	})
}

// onTCX lists the programs on the ingress of the room's eth1.
func (r *room) onTCX(t *testing.T) (ids []ebpf.ProgramID) {
	t.Helper()
	r.must(t, "query tcx", func() error {
		l, err := netlink.LinkByName("eth1")
		if err != nil {
			return err
		}
		result, err := bpflink.QueryPrograms(bpflink.QueryOptions{Target: l.Attrs().Index, Attach: ebpf.AttachTCXIngress})
		if err != nil {
			return err
		}
		for _, p := range result.Programs {
			ids = append(ids, p.ID)
		}
		return nil
	})
	return ids
}

// Programs of others, in front of ours and behind it, run on; the one in front sees all, and the one behind what
// is not ours. When we leave, they stay.
func TestForeignTCXProgramsRunOn(t *testing.T) {
	require.Root(t)
	if thisMachine().older(6, 6) { // not require.Skip: no machine lacks it that has the kernel
		t.Skip("tcx came with Linux 6.6")
	}
	top := newTopology(t, 1)
	before, behind := newCounting(t), newCounting(t)
	before.attachTCX(t, top.lb)
	dp := openIn(t, top.lb, Options{})
	behind.attachTCX(t, top.lb)
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	serve(top.tasks[0].listen(t, fmt.Sprintf(":%d", taskPort)), func(c net.Conn) { _, _ = io.Copy(c, c) })

	// Traffic of ours: the one behind does not see it.
	conn, err := top.client.dial(front())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	round := func() {
		t.Helper()
		if _, err := io.WriteString(conn, "hello"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
	}
	round()
	a, b := before.count(t), behind.count(t)
	for range 20 {
		round()
	}
	if n := before.count(t) - a; n < 20 {
		t.Errorf("the program in front saw %d packets of 20 rounds", n)
	}
	if n := behind.count(t) - b; n > 10 {
		t.Errorf("the program behind saw %d packets that were ours", n)
	}
	// Traffic that is not ours: both see it.
	a, b = before.count(t), behind.count(t)
	for range 20 {
		if c, err := top.client.dial(frontAddr + ":9"); err == nil {
			c.Close()
			t.Fatal("somebody listens")
		}
	}
	if n := before.count(t) - a; n < 20 {
		t.Errorf("the program in front saw %d packets of 20 refused connections", n)
	}
	if n := behind.count(t) - b; n < 20 {
		t.Errorf("the program behind saw %d packets of 20 refused connections", n)
	}

	if n := len(top.lb.onTCX(t)); n != 3 {
		t.Errorf("%d programs on eth1, want 3", n)
	}
	if err := dp.Close(); err != nil {
		t.Fatal(err)
	}
	var want []ebpf.ProgramID
	for _, c := range []*counting{before, behind} {
		info, err := c.prog.Info()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := info.ID()
		want = append(want, id)
	}
	if got := top.lb.onTCX(t); !slices.Equal(got, want) {
		t.Errorf("programs %v are left on eth1, want %v", got, want)
	}
}

// readAll connects from a room and demands what the other end says before it closes.
func readAll(t *testing.T, from *room, addr, want string) {
	t.Helper()
	conn, err := from.dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if text, err := io.ReadAll(conn); err != nil || string(text) != want {
		t.Errorf("%s says %q, %v; want %q", addr, text, err, want)
	}
}

// On a host that forwards, packets to another host's port pass, whatever ports our services have.
func TestTransitPasses(t *testing.T) {
	require.Root(t)
	for _, clsact := range []bool{false, true} {
		top := newTopology(t, 1)
		dp := openIn(t, top.lb, Options{ForceClsact: clsact})
		if err := dp.Sync(oneService(1)); err != nil { // binds 0.0.0.0:frontPort
			t.Fatal(err)
		}
		top.lb.must(t, "forward", func() error {
			return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
		})
		top.client.routeVia(t, "198.51.100.0/24", frontAddr)
		top.tasks[0].routeVia(t, "192.0.2.0/24", backAddr)
		// The task is a host of its own here, with the same port open as our service, and sees who really asks.
		serve(top.tasks[0].listen(t, fmt.Sprintf(":%d", frontPort)), func(c net.Conn) {
			fmt.Fprint(c, "not balanced, from ", c.RemoteAddr().(*net.TCPAddr).IP)
		})
		serve(top.tasks[0].listen(t, fmt.Sprintf(":%d", taskPort)), func(c net.Conn) { fmt.Fprint(c, "balanced") })
		readAll(t, top.client, fmt.Sprintf("%s:%d", taskAddr(0), frontPort), "not balanced, from "+clientAddr)
		readAll(t, top.client, front(), "balanced")
		if s := dp.Counters(); s.Total.Sessions != 1 || s.Total.Connections != 1 {
			t.Errorf("%+v", s.Total)
		}
	}
}

// routeVia sends packets to a network by a gateway.
func (r *room) routeVia(t *testing.T, network, gateway string) {
	t.Helper()
	r.must(t, "add route", func() error {
		prefix := netip.MustParsePrefix(network)
		return netlink.RouteReplace(&netlink.Route{
			Dst: &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), 32)},
			Gw:  netip.MustParseAddr(gateway).AsSlice(),
		})
	})
}

// says tells whether part of what does not work as it should reads like this; a kernel may lack other things as well.
func (s Status) says(text string) bool {
	return slices.ContainsFunc(s.Degraded, func(line string) bool { return strings.Contains(line, text) })
}

// A server behind a router is used as soon as there is a route to it, and no longer when that is gone; meanwhile the socket serves.
func TestRoutesComeAndGo(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 1)
	dp := openIn(t, top.lb, Options{})
	const far = "203.0.113.1"
	d := oneService(1)
	d.Services[0].Servers[0].Addr = netip.MustParseAddrPort(fmt.Sprintf("%s:%d", far, taskPort))
	if err := dp.Sync(d); err != nil {
		t.Fatal(err)
	}
	top.tasks[0].must(t, "an address behind it", func() error { return addAddr("lo", far) })
	serve(top.tasks[0].listen(t, fmt.Sprintf(":%d", taskPort)), func(c net.Conn) { fmt.Fprint(c, "task") })
	serve(top.lb.listen(t, fmt.Sprintf(":%d", frontPort)), func(c net.Conn) { fmt.Fprint(c, "socket") })
	degraded := func() bool { return dp.Status().says("is not behind an attached interface") }

	readAll(t, top.client, front(), "socket")
	if !degraded() {
		t.Error("a server without a route is not reported")
	}
	top.lb.routeVia(t, "203.0.113.0/24", taskAddr(0))
	waitFor(t, "the route to be found", func() bool { return !degraded() })
	readAll(t, top.client, front(), "task")
	top.lb.must(t, "delete route", func() error {
		return netlink.RouteDel(&netlink.Route{Dst: &net.IPNet{IP: net.IPv4(203, 0, 113, 0), Mask: net.CIDRMask(24, 32)}})
	})
	waitFor(t, "the route to be missed", degraded)
	readAll(t, top.client, front(), "socket")
	if n := dp.Counters().Total.Sessions; n != 1 {
		t.Errorf("%d sessions, want 1", n)
	}
}

// An interface that there is no room for is reported, and all others go on: also what is asked for meanwhile.
func TestAnInterfaceWithoutRoomFreezesNothing(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 2)
	dp := openIn(t, top.lb, Options{})
	for i, task := range top.tasks {
		serve(task.listen(t, fmt.Sprintf(":%d", taskPort)), func(c net.Conn) { fmt.Fprint(c, "task", i) })
	}
	d := oneService(2)
	both := d.Services[0].Schedule
	d.Services[0].Schedule = both[:1]
	if err := dp.Sync(d); err != nil {
		t.Fatal(err)
	}
	readAll(t, top.client, front(), "task0")

	for i := uint32(1 << 20); ; i++ { // indices that no interface has
		if err := dp.obj.WgIfaces.Put(i, lbWgIface{}); errors.Is(err, unix.E2BIG) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	top.plug(t, "front", top.lb, "eth2", "192.0.2.201", clientMTU)
	d.Services[0].Schedule = both[1:]
	if err := dp.Sync(d); err != nil {
		t.Fatal(err)
	}
	readAll(t, top.client, front(), "task1")
	waitFor(t, "the interface to be reported", func() bool { return dp.Status().says("eth2") })
}

// A program that the verifier does not like is reported with where its log is.
func TestVerifierLogIsKept(t *testing.T) {
	require.Root(t)
	spec, err := loadLb()
	if err != nil {
		t.Fatal(err)
	}
	spec.Programs[lbProgWgIngress].Instructions = asm.Instructions{asm.Return()} // R0 was never set
	var objects lbObjects
	err = spec.LoadAndAssign(&objects, nil)
	if err == nil {
		objects.Close()
		t.Fatal("the verifier accepts it")
	}
	dir := t.TempDir()
	explained := explain(err, thisMachine())
	explained.keepLog(dir)
	text, readErr := os.ReadFile(explained.Log)
	if readErr != nil {
		t.Fatal(readErr)
	}
	if want := "R0 !read_ok"; !strings.Contains(string(text), want) {
		t.Errorf("the log does not say %s:\n%s", want, text)
	}
	if !strings.Contains(explained.Error(), explained.Log) {
		t.Errorf("%q does not name %s", explained.Error(), explained.Log)
	}
	explained = explain(err, thisMachine())
	if explained.keepLog(dir + "/missing"); explained.Log != "" {
		t.Errorf("without a place to write it is in %s", explained.Log)
	}
}
