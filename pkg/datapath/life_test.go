package datapath

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"waggle/pkg/lab/require"
)

// ourMaps lists the ids of the maps in the kernel whose names are like ours.
func ourMaps(t *testing.T) (ids []ebpf.MapID) {
	t.Helper()
	id := ebpf.MapID(0)
	for {
		next, err := ebpf.MapGetNextID(id)
		if err != nil { // ebpf.ErrKeyNotExist behind the last one
			return ids
		}
		id = next
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			continue // freed since
		}
		if info, err := m.Info(); err == nil && strings.HasPrefix(info.Name, "wg_") {
			ids = append(ids, id)
		}
		m.Close()
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 1)
	dp := openIn(t, top.lb, Options{ForceClsact: true})
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	info, err := dp.obj.WgFlows.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	if !slices.Contains(ourMaps(t), id) {
		t.Fatalf("wg_flows, id %d, is not listed", id)
	}
	if err := dp.Close(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the maps to be freed", func() bool { return !slices.Contains(ourMaps(t), id) })
	if q := top.lb.qdiscs(t, "eth0"); slices.Contains(q, "clsact") {
		t.Errorf("qdiscs of eth0: %v", q)
	}
	if err := dp.Sync(oneService(1)); !errors.Is(err, errClosed) {
		t.Errorf("Sync after Close: %v", err)
	}
	if err := dp.Flows(func(Flow) bool { return true }); !errors.Is(err, errClosed) {
		t.Errorf("Flows after Close: %v", err)
	}
	if s := dp.Counters(); s.Services != nil {
		t.Errorf("Counters after Close: %+v", s)
	}
}

// A clsact qdisc that someone else made stays, with their filters.
func TestCloseLeavesTheClsactOfOthers(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 1)
	top.lb.must(t, "clsact", func() error {
		l, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return netlink.QdiscAdd(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
			LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
		}})
	})
	dp := openIn(t, top.lb, Options{ForceClsact: true})
	if err := dp.Close(); err != nil {
		t.Fatal(err)
	}
	if q := top.lb.qdiscs(t, "eth0"); !slices.Contains(q, "clsact") {
		t.Errorf("qdiscs of eth0: %v", q)
	}
	top.lb.must(t, "filters", func() error {
		l, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		filters, err := netlink.FilterList(l, netlink.HANDLE_MIN_INGRESS)
		if len(filters) > 0 {
			t.Errorf("filters are left: %v", filters)
		}
		return err
	})
}

func (r *room) qdiscs(t *testing.T, name string) (kinds []string) {
	t.Helper()
	r.must(t, "list qdiscs", func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		list, err := netlink.QdiscList(l)
		for _, q := range list {
			kinds = append(kinds, q.Type())
		}
		return err
	})
	return kinds
}

// Interfaces and addresses that come and go are followed without a call.
func TestNetworkIsFollowed(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 1)
	dp := openIn(t, top.lb, Options{})
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	attached := func() (names []string) {
		for _, i := range dp.Status().Interfaces {
			names = append(names, i.Name)
		}
		slices.Sort(names)
		return names
	}
	if got := attached(); !slices.Equal(got, []string{"eth0", "eth1"}) {
		t.Fatalf("attached to %v", got)
	}
	top.plug(t, "front", top.lb, "eth2", "192.0.2.201", clientMTU)
	waitFor(t, "eth2 to be attached", func() bool { return slices.Contains(attached(), "eth2") })
	waitFor(t, "the service on its address", func() bool {
		var s lbWgService
		return dp.obj.WgServices.Lookup(lbWgServiceKey{Addr: addr16("192.0.2.201"), Port: frontPort}, &s) == nil
	})
	serve(top.tasks[0].listen(t, fmt.Sprintf(":%d", taskPort)), func(c net.Conn) { fmt.Fprint(c, "hello") })
	conn, err := top.client.dial(fmt.Sprintf("192.0.2.201:%d", frontPort))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if text, err := io.ReadAll(conn); err != nil || string(text) != "hello" {
		t.Errorf("%q, %v", text, err)
	}
	if n := dp.Counters().Total.Sessions; n != 1 {
		t.Errorf("%d sessions through the kernel path, want 1", n)
	}

	top.lb.change(t, "eth2", netlink.LinkDel)
	waitFor(t, "eth2 to be left", func() bool { return !slices.Contains(attached(), "eth2") })
	waitFor(t, "its service to go", func() bool {
		var s lbWgService
		return dp.obj.WgServices.Lookup(lbWgServiceKey{Addr: addr16("192.0.2.201"), Port: frontPort}, &s) != nil
	})
}

// What the kernel cannot serve reaches the listening socket, and the connection stays there.
func TestFallThroughReachesTheSocket(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 1)
	dp := openIn(t, top.lb, Options{})
	d := oneService(1)
	d.Services[0].Schedule = nil
	if err := dp.Sync(d); err != nil {
		t.Fatal(err)
	}
	serve(top.lb.listen(t, fmt.Sprintf(":%d", frontPort)), func(c net.Conn) { _, _ = io.Copy(c, c) })
	serve(top.tasks[0].listen(t, fmt.Sprintf(":%d", taskPort)), func(c net.Conn) { fmt.Fprint(c, "task") })
	conn, err := top.client.dial(front())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	echoed := func(text string) {
		t.Helper()
		got := make([]byte, len(text))
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
			t.Fatalf("%q, %v; want %q", got, err, text)
		}
	}
	echoed("before")
	if err := dp.Sync(oneService(1)); err != nil { // from here on the kernel takes new connections
		t.Fatal(err)
	}
	echoed("and after")
	second, err := top.client.dial(front())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	second.SetDeadline(time.Now().Add(patience))
	if text, err := io.ReadAll(second); err != nil || string(text) != "task" {
		t.Errorf("%q, %v", text, err)
	}
	if got := dp.Counters().Reasons["no_server"]; got != 1 {
		t.Errorf("no_server counted %d times", got)
	}
}

// Who leaves the desired state is noted.
func TestServersThatLeaveAreNoted(t *testing.T) {
	require.Root(t)
	dp := openIn(t, newTopology(t, 2).lb, Options{})
	for servers, want := range map[int]int{2: 0, 1: 1} {
		if err := errors.Join(dp.Sync(oneService(2)), dp.Sync(oneService(servers))); err != nil {
			t.Fatal(err)
		}
		dp.mu.Lock()
		if n := len(dp.retired); n != want {
			t.Errorf("%d of 2 servers are left: %v have retired", servers, dp.retired)
		}
		dp.mu.Unlock()
	}
}

// A server that left is forgotten once its last flow is gone, and what it counted stays in the sums.
func TestRetiredServersAreForgotten(t *testing.T) {
	k := newKernel(t, Options{})
	d := oneService(2)
	k.sync(t, d)
	a, b := k.establish(t, client(0)), k.establish(t, client(1))
	a.fromClient(t, ack, "twelve bytes")
	b.fromClient(t, ack, "six it")
	dp := &Datapath{obj: k.obj, planner: k.planner, desired: Desired{Services: []Service{{ID: 7, Servers: d.Services[0].Servers[:1]}}},
		retired: make(map[gaugeKey]time.Time), timeouts: make(map[uint32]Timeouts), opts: Options{}.withDefaults(),
		past: newLedger()}
	dp.retire()
	gone := gaugeKey{server: true, id: 102}
	if len(dp.retired) != 1 || dp.retired[gone].IsZero() {
		t.Fatalf("retired: %v", dp.retired)
	}
	dp.retired[gone] = time.Now().Add(-time.Minute)
	dp.sweep()
	if _, ok := dp.planner.gauges.used[gone]; !ok {
		t.Fatal("forgotten while it has a flow")
	}
	for _, c := range []*conn{a, b} {
		c.fromClient(t, fin|ack, "")
		c.fromTask(t, fin|ack, "")
	}
	k.pass(t, k.collector(Timeouts{}), time.Minute, 2)
	dp.sweep()
	if _, ok := dp.planner.gauges.used[gone]; ok {
		t.Fatal("not forgotten")
	}
	s := dp.Counters()
	if s.Services[7].BytesIn != 18 || s.Total.Sessions != 2 || s.Servers[101].BytesIn != 12 {
		t.Errorf("services %+v, total %+v, servers %+v", s.Services, s.Total, s.Servers)
	}
	if _, ok := s.Servers[102]; ok {
		t.Error("the snapshot still has the server")
	}
}

func TestBpftoolPrintsFields(t *testing.T) {
	tool := require.Tool(t, "bpftool")
	k := newKernel(t, Options{})
	k.sync(t, oneService(3))
	info, err := k.obj.WgServers.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	out, err := exec.Command(tool, "-j", "map", "dump", "id", fmt.Sprint(id)).Output()
	if err != nil {
		t.Fatal(err)
	}
	var dump []struct {
		Formatted struct {
			Value struct {
				Addr [16]int `json:"addr"`
				Port int     `json:"port"`
				Name any     `json:"name"`
			} `json:"value"`
		} `json:"formatted"`
	}
	if err := json.Unmarshal(out, &dump); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	var got []string
	for _, e := range dump {
		v := e.Formatted.Value
		got = append(got, fmt.Sprintf("%v %d %v", v.Addr[10:], v.Port, v.Name))
	}
	slices.Sort(got)
	want := []string{"[255 255 198 51 100 11] 9000 task0", "[255 255 198 51 100 12] 9000 task1", "[255 255 198 51 100 13] 9000 task2"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// The heartbeat goes on while a lock is held, as when the program is loaded anew on a slow machine: without it no
// connection would be taken.
func TestHeartbeatWaitsForNoLock(t *testing.T) {
	require.Root(t)
	dp := openIn(t, newTopology(t, 0).lb, Options{})
	dp.mu.Lock()
	defer dp.mu.Unlock()
	for range 2 { // the first may have been on its way
		last := atomic.LoadUint64(&dp.obj.settings.Heartbeat)
		waitFor(t, "the next beat", func() bool { return atomic.LoadUint64(&dp.obj.settings.Heartbeat) > last })
	}
}
