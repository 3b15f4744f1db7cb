package datapath

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// addFilter adds a filter to the clsact qdisc of the calling thread's eth1.
func (c *counting) addFilter(parent uint32, priority uint16) error {
	l, err := netlink.LinkByName("eth1")
	if err != nil {
		return err
	}
	return netlink.FilterAdd(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: l.Attrs().Index, Parent: parent, Handle: 1, Priority: priority, Protocol: unix.ETH_P_ALL},
		Fd:          c.prog.FD(), Name: "foreign", DirectAction: true,
	})
}

// filters lists the filters of the room's eth1 by name and priority.
func (r *room) filters(t *testing.T, parent uint32) (names []string) {
	t.Helper()
	r.must(t, "list filters", func() error {
		l, err := netlink.LinkByName("eth1")
		if err != nil {
			return err
		}
		filters, err := netlink.FilterList(l, parent)
		for _, f := range filters {
			if bpf, ok := f.(*netlink.BpfFilter); ok {
				names = append(names, fmt.Sprintf("%s/%d", bpf.Name, bpf.Priority))
			}
		}
		return err
	})
	slices.Sort(names)
	return names
}

// A filter that somebody has before us keeps its place, and one added to our qdisc later keeps the qdisc.
func TestForeignFiltersRunOn(t *testing.T) {
	require.Root(t)
	for _, theirs := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		top := newTopology(t, 1)
		dp := openIn(t, top.lb, Options{ForceClsact: true})
		top.lb.must(t, "add filter", func() error { return newCounting(t).addFilter(theirs, 7) })
		if err := dp.Close(); err != nil {
			t.Fatal(err)
		}
		if got := top.lb.filters(t, theirs); !slices.Equal(got, []string{"foreign/7"}) {
			t.Errorf("filters %v are left, want foreign/7", got)
		}
	}

	top := newTopology(t, 1)
	foreign := newCounting(t)
	top.lb.must(t, "add qdisc and filter", func() error {
		l, err := netlink.LinkByName("eth1")
		if err != nil {
			return err
		}
		if err := netlink.QdiscAdd(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
			LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
		}}); err != nil {
			return err
		}
		return foreign.addFilter(netlink.HANDLE_MIN_INGRESS, 1)
	})
	dp := openIn(t, top.lb, Options{ForceClsact: true})
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	if got := top.lb.filters(t, netlink.HANDLE_MIN_INGRESS); !slices.Equal(got, []string{"foreign/1", "wg_ingress/2"}) {
		t.Errorf("filters %v", got)
	}
	serve(top.tasks[0].listen(t, fmt.Sprintf(":%d", taskPort)), func(c net.Conn) { fmt.Fprint(c, "task") })
	readAll(t, top.client, front(), "task")
	if n := dp.Counters().Total.Sessions; n != 1 || foreign.count(t) == 0 {
		t.Errorf("%d sessions, and the foreign filter saw %d packets", n, foreign.count(t))
	}
}

// What a killed process left behind is taken over, not doubled, and the one that was killed cannot take it off any more.
func TestAFilterLeftBehindIsReplaced(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 1)
	killed := openIn(t, top.lb, Options{ForceClsact: true})
	if err := killed.alive.close(); err != nil {
		t.Fatal(err)
	}
	openIn(t, top.lb, Options{ForceClsact: true})
	for range 2 {
		if got := top.lb.filters(t, netlink.HANDLE_MIN_INGRESS); !slices.Equal(got, []string{"wg_ingress/1"}) {
			t.Errorf("filters %v", got)
		}
		if err := killed.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// envKilled tells a process of this test to be the agent that is killed; what it says is whether to pin.
const envKilled = "WAGGLE_TEST_KILLED"

// An agent that is killed leaves its filter behind where there is no tcx: its flows live on, and no connection is taken any
// more. The next agent takes the filter over, and leaves neither filter nor qdisc. With pins the flows are the next one's;
// without them they end.
func TestFilterOfAKilledAgent(t *testing.T) {
	require.Root(t)
	switch os.Getenv(envKilled) {
	case "pinned":
		beKilled("/proc/self/fd/4/waggle")
	case "not pinned":
		beKilled("")
	}
	for _, pinned := range []bool{false, true} {
		top := newTopology(t, 1)
		serve(top.tasks[0].listen(t, fmt.Sprintf(":%d", taskPort)), func(c net.Conn) { _, _ = io.Copy(c, c) })
		serve(top.lb.listen(t, fmt.Sprintf(":%d", frontPort)), func(c net.Conn) { fmt.Fprint(c, "socket") })
		opts := Options{ForceClsact: true}
		if pinned {
			opts.PinDir = pinDir(t)
		}
		kill := startKilled(t, top.lb, opts.PinDir)
		held := line{Conn: top.connect(t)}
		held.round(t)
		kill()
		if got := top.lb.filters(t, netlink.HANDLE_MIN_INGRESS); !slices.Equal(got, []string{"wg_ingress/1"}) {
			t.Fatalf("filters %v are left, want wg_ingress/1", got)
		}
		held.round(t)
		waitFor(t, "connections to be left to the socket", func() bool {
			other := top.connect(t)
			defer other.Close()
			// The task says nothing by itself.
			other.SetDeadline(time.Now().Add(200 * time.Millisecond))
			text, _ := io.ReadAll(other)
			return string(text) == "socket"
		})
		held.round(t)

		dp := openIn(t, top.lb, opts)
		if err := dp.Sync(oneService(1)); err != nil {
			t.Fatal(err)
		}
		if got := top.lb.filters(t, netlink.HANDLE_MIN_INGRESS); !slices.Equal(got, []string{"wg_ingress/1"}) {
			t.Errorf("filters %v, want wg_ingress/1", got)
		}
		before := dp.Counters().Total.Sessions
		if pinned {
			held.round(t)
		} else if err := held.say(); err == nil {
			t.Error("a flow goes on though the next agent has other maps")
		}
		if want := map[bool]uint64{true: 1}[pinned]; before < want {
			t.Errorf("%d sessions are known of", before)
		}
		top.connect(t).Close()
		waitFor(t, "the new agent's session", func() bool { return dp.Counters().Total.Sessions == before+1 })
		if err := dp.Close(); err != nil {
			t.Fatal(err)
		}
		if got := top.lb.qdiscs(t, "eth1"); slices.Contains(got, "clsact") {
			t.Errorf("of %v clsact is left", got)
		}
	}
}

// The agent that follows one with more interfaces takes its filters off those that it is not to be on, with a qdisc that was
// made for them, and no filter that has got another's program since.
func TestFiltersOfInterfacesThatLeft(t *testing.T) {
	require.Root(t)
	for name, tt := range map[string]struct {
		foreign []string // filters that others have on the interface
		another bool     // agent has taken over the interface meanwhile
		left    []string
		qdisc   bool
	}{
		"alone":                           {nil, false, nil, false},
		"beside another program":          {[]string{"foreign/7"}, false, []string{"foreign/7"}, true},
		"where another agent has come in": {nil, true, []string{"wg_ingress/1"}, true},
	} {
		top := newTopology(t, 1)
		opts := Options{ForceClsact: true, PinDir: pinDir(t), NetNS: top.lb.path()}
		before, err := Open(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		if len(tt.foreign) > 0 {
			top.lb.must(t, "add filter", func() error { return newCounting(t).addFilter(netlink.HANDLE_MIN_INGRESS, 7) })
		}
		before.abandon(t)
		if tt.another {
			openIn(t, top.lb, Options{ForceClsact: true, Ifaces: []string{"eth1"}})
		}
		opts.Ifaces = []string{"eth0"}
		dp, err := Open(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		if got := top.lb.filters(t, netlink.HANDLE_MIN_INGRESS); !slices.Equal(got, tt.left) {
			t.Errorf("%s: filters %v are on the interface that left, want %v", name, got, tt.left)
		}
		if got := slices.Contains(top.lb.qdiscs(t, "eth1"), "clsact"); got != tt.qdisc {
			t.Errorf("%s: the qdisc is there: %t", name, got)
		}
		if !slices.Contains(top.lb.qdiscs(t, "eth0"), "clsact") {
			t.Errorf("%s: the interface that stayed has lost its qdisc", name)
		}
		if err := dp.Close(); err != nil {
			t.Error(err)
		}
		if slices.Contains(top.lb.qdiscs(t, "eth0"), "clsact") {
			t.Errorf("%s: a qdisc is left", name)
		}
	}
}

// connect opens a connection to the service.
func (top *topology) connect(t *testing.T) net.Conn {
	t.Helper()
	conn, err := top.client.dial(front())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// line is a connection to a task that sends back what it gets.
type line struct{ net.Conn }

func (l line) say() error {
	if err := l.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(l, "hello"); err != nil {
		return err
	}
	_, err := io.ReadFull(l, make([]byte, 5))
	return err
}

func (l line) round(t *testing.T) {
	t.Helper()
	if err := l.say(); err != nil {
		t.Fatal(err)
	}
}

// A qdisc that somebody else has made is known as theirs even by the agent that follows a killed one.
func TestTheQdiscOfOthersOutlivesAKilledAgent(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 1)
	top.lb.must(t, "add qdisc", func() error {
		l, err := netlink.LinkByName("eth1")
		if err != nil {
			return err
		}
		return netlink.QdiscAdd(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
			LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
		}})
	})
	startKilled(t, top.lb, "")()
	if err := openIn(t, top.lb, Options{ForceClsact: true}).Close(); err != nil {
		t.Fatal(err)
	}
	if got := top.lb.qdiscs(t, "eth1"); !slices.Contains(got, "clsact") {
		t.Errorf("clsact is gone, of %v", got)
	}
	if got := top.lb.filters(t, netlink.HANDLE_MIN_INGRESS); len(got) != 0 {
		t.Errorf("filters %v are left", got)
	}
}

// beKilled is the agent: it serves until it is killed, or its parent is.
func beKilled(pinDir string) {
	dp, err := Open(context.Background(), Options{NetNS: "/proc/self/fd/3", ForceClsact: true, PinDir: pinDir})
	if err == nil {
		err = dp.Sync(oneService(1))
	}
	fmt.Println("ready:", err)
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}

// startKilled starts the agent in another process and returns what kills it. pins is "" or of pinDir.
func startKilled(t *testing.T, in *room, pins string) (kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestFilterOfAKilledAgent$")
	cmd.Env = append(os.Environ(), envKilled+"=not pinned")
	fd, err := unix.Dup(int(in.ns))
	if err != nil {
		t.Fatal(err)
	}
	ns := os.NewFile(uintptr(fd), "namespace")
	defer ns.Close()
	cmd.ExtraFiles = []*os.File{ns}
	if pins != "" {
		mount, err := os.Open(filepath.Dir(pins))
		if err != nil {
			t.Fatal(err)
		}
		defer mount.Close()
		cmd.Env, cmd.ExtraFiles = append(cmd.Env, envKilled+"=pinned"), append(cmd.ExtraFiles, mount)
	}
	stdin, err := cmd.StdinPipe() // ends with this process, and so does the agent
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		stdin.Close()
	})
	t.Cleanup(kill)
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready: <nil>\n" {
		t.Fatalf("the agent says %q, %v", line, err)
	}
	return kill
}

// takeOff has all programs leave their interfaces behind the Datapath's back.
func (dp *Datapath) takeOff(t *testing.T) {
	t.Helper()
	dp.mu.Lock() // the network of the room may be changing still
	defer dp.mu.Unlock()
	for _, a := range dp.attached {
		if a.tcx != nil {
			if err := a.tcx.Detach(); err != nil {
				t.Skip("this kernel detaches no links: ", err)
			}
			continue
		}
		if err := dp.handle.QdiscDel(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
			LinkIndex: a.link.index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
		}}); err != nil {
			t.Fatal(err)
		}
	}
}

// A program that somebody else takes off an interface, with its qdisc for instance, comes back: with the first change of the network.
func TestProgramsThatWereTakenOffComeBack(t *testing.T) {
	require.Root(t)
	for _, clsact := range []bool{true, false} {
		top := newTopology(t, 1)
		dp := openIn(t, top.lb, Options{ForceClsact: clsact})
		if err := dp.Sync(oneService(1)); err != nil {
			t.Fatal(err)
		}
		serve(top.tasks[0].listen(t, fmt.Sprintf(":%d", taskPort)), func(c net.Conn) { fmt.Fprint(c, "hello") })
		attachedBefore := len(dp.Status().Interfaces)
		dp.takeOff(t)
		dp.meetInterfaces()
		if n := len(dp.Status().Interfaces); n != attachedBefore {
			t.Errorf("clsact %v: on %d interfaces, before on %d", clsact, n, attachedBefore)
		}
		conn, err := top.client.dial(front())
		if err != nil {
			t.Fatalf("clsact %v: %v", clsact, err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		if text, err := io.ReadAll(conn); err != nil || string(text) != "hello" {
			t.Errorf("clsact %v: %q, %v", clsact, text, err)
		}
		conn.Close()
	}
}
