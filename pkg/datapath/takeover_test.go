package datapath

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// pinDir is a directory on a BPF file system that is mounted nowhere, and so goes with its descriptor, however the test ends.
func pinDir(t testing.TB) string {
	t.Helper()
	require.Root(t)
	fs, err := unix.Fsopen("bpf", unix.FSOPEN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		t.Fatal(err)
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(mount) })
	return fmt.Sprintf("/proc/self/fd/%d/waggle", mount)
}

// abandon ends a Datapath as the end of its process does: nothing is taken off, nothing is unpinned.
func (dp *Datapath) abandon(t testing.TB) {
	t.Helper()
	if err := dp.letGo(); err != nil {
		t.Fatal("abandon:", err)
	}
}

// forgetClosed waits for the flows to be closed, and has them, and what is retired, be forgotten as if their time were over.
func (dp *Datapath) forgetClosed(t *testing.T) {
	t.Helper()
	waitFor(t, "the flows to be closed", func() bool { return dp.Counters().Total.Current == 0 })
	waitFor(t, "the flows to be forgotten", func() bool { // the program may be showing what the pass of each second asks for
		if _, err := dp.collector.pass(monotonicNow() + uint64(2*time.Minute)); err != nil {
			t.Fatal(err)
		}
		return dp.Counters().Total.Entries == 0
	})
	dp.forgetRetired()
}

// forgetRetired is a sweep a minute later.
func (dp *Datapath) forgetRetired() {
	dp.mu.Lock()
	for key := range dp.retired {
		dp.retired[key] = time.Now().Add(-time.Minute)
	}
	dp.mu.Unlock()
	dp.sweep()
}

func (dp *Datapath) letGo() error {
	dp.mu.Lock()
	dp.keep = true
	dp.mu.Unlock()
	return dp.Close()
}

// letGoForLong has the program take connections for a minute without an agent: a slow machine loads the next one for longer
// than the program's patience.
func (dp *Datapath) letGoForLong() error {
	settings, err := dp.obj.WgSettings.Clone()
	if err != nil {
		return err
	}
	defer settings.Close()
	if err := dp.letGo(); err != nil {
		return err
	}
	var now lbWgSettings
	if err := settings.Lookup(uint32(0), &now); err != nil {
		return err
	}
	now.Heartbeat = monotonicNow() + uint64(time.Minute)
	return settings.Put(uint32(0), &now)
}

// talk is a connection to a task that echoes lines.
type talk struct {
	net.Conn
	lines *bufio.Reader
	task  string
	said  int
}

func (top *topology) talk(t testing.TB) *talk {
	t.Helper()
	conn, err := top.client.dial(top.front)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	k := &talk{Conn: conn, lines: bufio.NewReader(conn)}
	k.patience()
	if k.task, err = k.lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return k
}

// patience gives the next line a minute; all of them may take longer.
func (k *talk) patience() { k.SetDeadline(time.Now().Add(time.Minute)) }

func (k *talk) round(t testing.TB) {
	t.Helper()
	k.said++
	want := fmt.Sprintf("line %d\n", k.said)
	k.patience()
	if _, err := io.WriteString(k, want); err != nil {
		t.Fatal(err)
	}
	if got, err := k.lines.ReadString('\n'); err != nil || got != want {
		t.Fatalf("heard %q, %v; said %q", got, err, want)
	}
}

func taskTopology(t testing.TB, n int) *topology {
	top := newTopology(t, n)
	for i, task := range top.tasks {
		greetAndEcho(task.listen(t, fmt.Sprintf(":%d", taskPort)), i)
	}
	return top
}

func TestTakeOversLoseNothing(t *testing.T) {
	require.Root(t)
	for name, tt := range map[string]struct {
		clsact bool
		times  int
	}{"tcx": {false, sized(50, 3)}, "clsact": {true, sized(10, 3)}} {
		t.Run(name, func(t *testing.T) {
			if !tt.clsact && thisMachine().older(6, 6) {
				t.Skip("tcx came with Linux 6.6")
			}
			top, opts := taskTopology(t, 3), Options{PinDir: pinDir(t), FlowMax: 4096, ForceClsact: tt.clsact, awake: awake}
			opts.NetNS = top.lb.path()
			dp, err := Open(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			if err := dp.Sync(oneService(3)); err != nil {
				t.Fatal(err)
			}
			var held []*talk
			for range 6 {
				held = append(held, top.talk(t))
			}
			program := top.lb.attached(t, tt.clsact)
			shares := make(map[string]int)
			for n := range tt.times {
				dp.abandon(t)
				for _, k := range held { // nobody is there
					k.round(t)
				}
				if dp, err = Open(t.Context(), opts); err != nil {
					t.Fatal(err)
				}
				if n == 0 { // between Open and Sync what was desired holds
					shares[top.talk(t).task]++
				}
				if err := dp.Sync(oneService(3)); err != nil {
					t.Fatal(err)
				}
				for _, k := range held {
					k.round(t)
				}
				if n > 0 {
					shares[top.talk(t).task]++
				}
				now := top.lb.attached(t, tt.clsact)
				if now == program {
					t.Fatalf("the program is not replaced: %s", now)
				}
				program = now
			}
			want := make(map[string]int)
			for i := range tt.times {
				want[fmt.Sprintf("task%d\n", i%3)]++
			}
			if !maps.Equal(shares, want) {
				t.Errorf("connections were split %v, want %v", shares, want)
			}
			s := dp.Counters()
			if want := uint64(len(held) + tt.times); s.Services[7].Sessions != want || s.Services[7].Current != want {
				t.Errorf("%+v after %d sessions that are all open", s.Services[7], want)
			}
			for name, n := range s.Reasons {
				if n != 0 {
					t.Errorf("%d packets not taken because of %s", n, name)
				}
			}
			if err := dp.Close(); err != nil {
				t.Error(err)
			}
			if left, err := os.ReadDir(opts.PinDir); err != nil || len(left) > 0 {
				t.Errorf("a clean end leaves %v, %v", left, err)
			}
			if program := top.lb.attached(t, tt.clsact); program != "" {
				t.Errorf("a clean end leaves the program %s on the interface", program)
			}
		})
	}
}

// attached names the one program on the ingress of the room's eth1; "" if there is none.
func (r *room) attached(t *testing.T, clsact bool) string {
	t.Helper()
	if !clsact {
		ids := r.onTCX(t)
		if len(ids) > 1 {
			t.Fatalf("programs %v on eth1", ids)
		}
		return strings.Trim(fmt.Sprint(ids), "[]")
	}
	if names := r.filters(t, netlink.HANDLE_MIN_INGRESS); len(names) > 1 {
		t.Fatalf("filters %v on eth1", names)
	}
	program := ""
	r.must(t, "find the filter's program", func() error {
		l, err := netlink.LinkByName("eth1")
		if err != nil {
			return err
		}
		filters, err := netlink.FilterList(l, netlink.HANDLE_MIN_INGRESS)
		for _, f := range filters {
			if bpf, ok := f.(*netlink.BpfFilter); ok {
				program = fmt.Sprint(bpf.Id)
			}
		}
		return err
	})
	return program
}

// The program is replaced under load, again and again: no connection fails, none takes another way, and no byte is lost.
func TestReplacedInPlace(t *testing.T) {
	require.Root(t)
	for _, clsact := range []bool{false, true} {
		if !clsact && thisMachine().older(6, 6) {
			continue // tcx came with Linux 6.6, and this would be the same twice
		}
		top, opts := newTopology(t, 2), Options{PinDir: pinDir(t), ForceClsact: clsact, awake: awake}
		opts.NetNS = top.lb.path()
		dp, err := Open(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		if err := dp.Sync(oneService(2)); err != nil {
			t.Fatal(err)
		}
		for _, task := range top.tasks {
			serve(task.listen(t, fmt.Sprintf(":%d", taskPort)), func(c net.Conn) { fmt.Fprint(c, "task\n"); _, _ = io.Copy(c, c) })
		}
		var replaced atomic.Int32
		var replacing sync.WaitGroup
		replacing.Go(func() {
			defer replaced.Store(3)
			for range 3 {
				err := dp.letGoForLong()
				if err == nil {
					dp, err = Open(context.Background(), opts)
				}
				if err == nil {
					err = dp.Sync(oneService(2))
				}
				if err != nil {
					t.Error(err)
					return
				}
				replaced.Add(1)
			}
		})
		t.Cleanup(func() {
			if replacing.Wait(); dp != nil {
				dp.Close()
			}
		})
		echo(t, top)
		n := 1
		for ; n < sized(200, 20) || replaced.Load() < 3; n++ {
			conn, err := top.client.dial(front())
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(patience))
			if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
			conn.Close()
		}
		replacing.Wait()
		s := dp.Counters()
		if s.Total.Sessions != uint64(n) || s.Reasons["no_flow"] != 0 {
			t.Errorf("%d connections; %+v, reasons %v", n, s.Total, s.Reasons)
		}
		if out := top.lb.counter(t, "snmp", "Tcp", "OutRsts"); out != 0 {
			t.Errorf("%d packets of flows reached the stack", out)
		}
	}
}

// A process is followed by one with another configuration: what that does not have keeps its flows and its ids, and what both
// have is known by its name.
func TestTakeOverByAnotherConfiguration(t *testing.T) {
	top, opts := taskTopology(t, 2), Options{PinDir: pinDir(t), awake: awake}
	opts.NetNS = top.lb.path()
	dp, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := dp.Sync(oneService(2)); err != nil {
		t.Fatal(err)
	}
	_, err = dp.ServicePlaces(7, "web")
	server, err2 := dp.ServerPlaces(101, "tasks", "one")
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	server.Taken.Add(5) // sessions of userspace, which end with the process
	server.Waiting.Add(1)
	first, second := top.talk(t), top.talk(t)
	dp.abandon(t)

	ids, err := ReadIdentities(opts.PinDir)
	if err != nil {
		t.Fatal(err)
	}
	if ids.Service("web") != 7 || ids.Server("tasks", "one") != 101 || ids.Server("", "web") != 0 {
		t.Errorf("identities %+v", ids)
	}
	if service, server := ids.Max(); service != 7 || server != 101 {
		t.Errorf("highest ids %d and %d", service, server)
	}
	dp = openIn(t, top.lb, opts)
	places, err := dp.ServerPlaces(101, "tasks", "one")
	if err != nil {
		t.Fatal(err)
	}
	if taken, waiting := placesTaken(places.Taken), places.Waiting.Load(); taken != 1 || waiting != 0 {
		t.Errorf("%d places taken, %d waiting, want the one flow", taken, waiting)
	}
	d := oneService(2)
	d.Services[0].ID, d.Services[0].Binds = 8, binds("0.0.0.0:9999")
	d.Services[0].Schedule, d.Services[0].Servers = []uint32{101}, d.Services[0].Servers[:1]
	if err := dp.Sync(d); err != nil {
		t.Fatal(err)
	}
	first.round(t)
	second.round(t)
	if n := dp.Established(7); n != 2 {
		t.Errorf("%d flows of the service that is gone, want 2", n)
	}
	top.front = strings.Replace(top.front, fmt.Sprint(frontPort), "9999", 1)
	if k := top.talk(t); k.task != "task0\n" {
		t.Errorf("the new service leads to %q", k.task)
	}
	first.Close()
	second.Close()
	waitFor(t, "the end of the flows", func() bool { return dp.Established(7) == 0 })
}

// What was counted at servers, and at frontends, that are gone stays in the sums over any number of take-overs.
func TestTotalsOfRemovedServersSurviveATakeOver(t *testing.T) {
	top, opts := taskTopology(t, 3), Options{PinDir: pinDir(t)}
	opts.NetNS = top.lb.path()
	dp := openIn(t, top.lb, opts)
	// left has n servers be left, none and no frontend if it is 0, and all others forgotten.
	left := func(n int) Snapshot {
		t.Helper()
		d := oneService(3)
		if d.Services[0].Servers, d.Services[0].Schedule = d.Services[0].Servers[:n], d.Services[0].Schedule[:n]; n == 0 {
			d = Desired{}
		}
		if err := dp.Sync(d); err != nil {
			t.Fatal(err)
		}
		dp.forgetClosed(t)
		return dp.Counters()
	}
	sessions := uint64(0)
	for _, servers := range []int{3, 2, 1} {
		if err := dp.Sync(oneService(3)); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			k := top.talk(t)
			k.round(t)
			k.Close()
			sessions++
		}
		before := left(servers)
		if len(before.Servers) != servers || before.Services[7].Sessions != sessions || before.Total.Sessions != sessions {
			t.Errorf("%d servers are left: %+v", servers, before)
		}
		dp.abandon(t)
		dp = openIn(t, top.lb, opts)
		after := dp.Counters()
		if after.Total != before.Total || !maps.Equal(after.Services, before.Services) || !maps.Equal(after.Servers, before.Servers) {
			t.Errorf("%d servers are left:\n%+v %+v %+v, before the take-over\n%+v %+v %+v", servers,
				after.Total, after.Services, after.Servers, before.Total, before.Services, before.Servers)
		}
	}
	if s := left(0); s.Total.Sessions != sessions || len(s.Services)+len(s.Servers) != 0 {
		t.Errorf("of %d sessions when all is gone: %+v", sessions, s)
	}
	dp.abandon(t)
	dp = openIn(t, top.lb, opts)
	if s := dp.Counters(); s.Total.Sessions != sessions {
		t.Errorf("%d of %d sessions are known of when all is gone", s.Total.Sessions, sessions)
	}
	if n, err := dp.book.readPast(); err != nil || len(n.services)+len(n.servers) != 0 {
		t.Errorf("the book keeps the sums of what is gone: %+v, %v", n, err)
	}
}

// Pins of a program whose book is another one are of another layout.
func TestTheBookIsPartOfTheLayout(t *testing.T) {
	spec, err := specFor(Options{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{layoutOf(spec.Maps, bookSpecs(spec.Maps)): true}
	for i := range bookSpecs(spec.Maps) {
		for _, change := range []func(*ebpf.MapSpec){
			func(m *ebpf.MapSpec) { m.Name += "x" }, func(m *ebpf.MapSpec) { m.KeySize++ },
			func(m *ebpf.MapSpec) { m.ValueSize++ }, func(m *ebpf.MapSpec) { m.MaxEntries++ },
		} {
			book := bookSpecs(spec.Maps)
			change(book[i])
			name := layoutOf(spec.Maps, book)
			if names[name] {
				t.Errorf("a change of %s does not change the layout", book[i].Name)
			}
			names[name] = true
		}
	}
}
