package datapath

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

func synTo(i int) packet { return packet{src: ap(client(i)), dst: ap(front()), flags: syn, seq: 1} }

func TestRoundRobinIsExact(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(3))
	var order []netip.AddrPort
	for i := range 10 {
		order = append(order, k.open(t, client(i)).task)
	}
	for i, task := range order {
		if task != order[i%3] || i < 3 && i > 0 && task == order[i-1] {
			t.Fatalf("order %v", order)
		}
	}
	// A change of the schedule does not set the cursor back.
	d := oneService(3)
	d.Services[0].Schedule = []uint32{101, 102, 103, 101, 102, 103}
	k.sync(t, d)
	if got := k.open(t, client(10)).task; got != ap(taskAddr(10%6%3)+":9000") {
		t.Errorf("after the change: %s", got)
	}
	for id := uint32(101); id <= 103; id++ {
		if n := k.snapshot(t).Servers[id].Connections; n < 3 {
			t.Errorf("server %d: %d connections", id, n)
		}
	}
}

// sendFrom sends SYNs of the clients from first on, n of them, as fast as it can.
func (k *kernel) sendFrom(t *testing.T, first, n int) { k.sendSYNs(t, first, n, synTo(0).seq) }

func (k *kernel) sendSYNs(t *testing.T, first, n int, seq uint32) {
	if err := k.do(func() error {
		for i := first; i < first+n; i++ {
			p := synTo(i)
			p.seq = seq
			run := ebpf.RunOptions{Data: p.frame(t), Context: skbContext{Ifindex: loIndex}}
			if _, err := k.obj.WgIngress.Run(&run); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func TestRoundRobinIsExactOnManyCPUs(t *testing.T) {
	k := newKernel(t, Options{HalfOpenRing: 5000})
	k.sync(t, oneService(3))
	const n = 1500
	var wg sync.WaitGroup
	wg.Go(func() { k.sendFrom(t, 0, n) })
	wg.Go(func() { k.sendFrom(t, n, n) })
	wg.Wait()
	for id, c := range k.snapshot(t).Servers {
		if c.Connections != 2*n/3 {
			t.Errorf("server %d has %d of %d connections", id, c.Connections, 2*n)
		}
	}
}

// Not one of the turns of a service is lost, whoever takes another one at the same instant. The SYN of each takes one and then falls
// through, since there is no way to the server.
func TestTurnsAreNotLost(t *testing.T) {
	k := newKernel(t, Options{})
	d := oneService(1)
	d.Services[0].Servers[0].Addr = ap(unroutable + ":9000")
	k.sync(t, d)
	turns := &k.obj.gauges[k.planner.gauges.used[gaugeKey{id: 7}]].Turns
	runs, done := sized(200_000, 1000), make(chan struct{})
	go func() {
		defer close(done)
		k.must(t, "take turns", func() error {
			_, _, err := k.obj.WgIngress.Benchmark(synTo(0).frame(t), runs, nil)
			return err
		})
	}()
	ours := uint64(0)
	for taking := true; taking; {
		select {
		case <-done:
			taking = false
		default:
			for range 100 {
				atomic.AddUint64(turns, 1)
			}
			ours += 100
		}
	}
	packets := k.reasons(t)["no_route"] // more than were asked for where a signal has made the kernel begin anew
	if got, want := atomic.LoadUint64(turns), ours+packets; got != want || packets < uint64(runs) {
		t.Errorf("%d turns were taken, want %d, %d of them by packets", got, want, packets)
	}
}

// Two CPUs that get the same SYN, as with a retransmission, make one flow of it.
func TestSameSYNOnTwoCPUs(t *testing.T) {
	k := newKernel(t, Options{HalfOpenRing: 5000})
	k.sync(t, oneService(3))
	const n = 3000
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { k.sendFrom(t, 0, n) })
	}
	wg.Wait()
	s := k.snapshot(t)
	lost := k.reasons(t)["race"]
	if s.Total.HalfOpen != n || s.Total.Connections != n || k.entries(t) != 2*n || lost != 0 {
		t.Errorf("%+v, %d entries, %d dropped", s.Total, k.entries(t), lost)
	}
	tuples := make(map[[2]netip.AddrPort]bool)
	for _, f := range k.flows(t) {
		tuples[[2]netip.AddrPort{f.Back, f.Task}] = true
	}
	if len(tuples) != n {
		t.Errorf("%d different tuples towards the tasks, want %d", len(tuples), n)
	}
}

func TestWhatKeepsASYNFromBeingTaken(t *testing.T) {
	for _, tt := range []struct {
		reason string
		make   func(k *kernel, d *Desired)
	}{
		{"no_server", func(_ *kernel, d *Desired) { d.Services[0].Schedule = nil }},
		{"queued", func(_ *kernel, d *Desired) { d.Services[0].Queued = true }},
		{"no_route", func(_ *kernel, d *Desired) { d.Services[0].Servers[0].Addr = ap(unroutable + ":9000") }},
		{"stale", func(k *kernel, _ *Desired) {
			atomic.StoreUint64(&k.obj.settings.Heartbeat, monotonicNow()-uint64(3100*time.Millisecond))
		}},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			k := newKernel(t, Options{})
			d := oneService(1)
			k.sync(t, d)
			before := k.establish(t, client(0))
			tt.make(k, &d)
			k.sync(t, d)
			k.refuse(t, synTo(1), tt.reason)
			before.fromClient(t, ack, "lives on")
			before.fromTask(t, ack, "indeed")
			if n := k.entries(t); n != 2 {
				t.Errorf("%d entries, want 2", n)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		reason string
		limit  func(d *Desired)
	}{
		{"global_limit", func(d *Desired) { d.GlobalLimit = 4 }},
		{"service_limit", func(d *Desired) { d.Services[0].Limit = 4 }},
		{"servers_full", func(d *Desired) { d.Services[0].Servers[0].Limit = 1; d.Services[0].Servers[1].Limit = 3 }},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			k := newKernel(t, Options{})
			d := oneService(2)
			tt.limit(&d)
			k.sync(t, d)
			var conns []*conn
			for i := range 4 {
				conns = append(conns, k.establish(t, client(i)))
			}
			k.refuse(t, synTo(4), tt.reason)
			k.refuse(t, synTo(5), tt.reason)
			// A flow that has ended counts no more, though it keeps its entry.
			conns[0].fromClient(t, fin|ack, "")
			conns[0].fromTask(t, fin|ack, "")
			if c := k.open(t, client(4)); tt.reason == "servers_full" && c.task != conns[0].task {
				t.Errorf("goes to %s, want the only one with room, %s", c.task, conns[0].task)
			}
			k.refuse(t, synTo(6), tt.reason)
		})
	}
}

// A table without room takes no flow, nor half of one: with room for one entry only, that one goes again. What has its place
// lives on.
func TestFullTable(t *testing.T) {
	for _, orphans := range []int{0, 1} { // so that the room is even, or odd
		k := newKernel(t, Options{FlowMax: 4, HalfOpenRing: 100})
		k.sync(t, oneService(1))
		old := k.establish(t, client(0))
		if orphans > 0 {
			c := k.establish(t, client(1))
			k.lose(t, keyOf(c.client, c.front))
		}
		flows := 4 - orphans
		var refused int
		for i := range 10 {
			verdict, _ := k.send(t, synTo(2+i))
			if verdict == verdictNext {
				refused++
			}
		}
		want := 10 - (flows - 1)
		if got := k.reasons(t)["table_full"]; int(got) != want || refused != want {
			t.Errorf("%d counted, %d refused, want %d", got, refused, want)
		}
		if s := k.snapshot(t).Total; int(s.HalfOpen) != flows-1 || int(s.Entries) != flows+orphans || int(s.Current) != 1+orphans || int(s.Connections) != flows+orphans {
			t.Errorf("%+v", s)
		}
		if n := k.entries(t); n != 2*flows+orphans {
			t.Errorf("%d entries, want %d: no half of a flow is left", n, 2*flows+orphans)
		}
		old.fromClient(t, ack, "lives on")
		old.fromTask(t, ack, "so it does")
	}
}

// The owner check: a SYN whose tuple a local socket has is left to it.
func TestSocketsOwnTheirConnections(t *testing.T) {
	k := newKernel(t, Options{})
	k.must(t, "address", func() error { return addAddr("lo", frontAddr) })
	ln := k.listen(t, front())
	const own = "192.0.2.77"
	k.must(t, "address", func() error { return addAddr("lo", own) })
	var conn net.Conn
	k.must(t, "dial", func() (err error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(own)}, Timeout: patience}
		conn, err = d.Dial("tcp", front())
		return err
	})
	defer conn.Close()
	k.sync(t, oneService(1))
	local := conn.LocalAddr().(*net.TCPAddr).AddrPort()
	k.refuse(t, packet{src: local, dst: ap(front()), flags: syn}, "socket")
	// A socket that only listens is no owner.
	k.open(t, client(0))

	// Nor is what is left of a connection that the server has closed first.
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	if _, err := io.ReadAll(conn); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	waitFor(t, "TIME_WAIT", func() bool { return k.tcpState(t, ap(front()), local) == unix.BPF_TCP_TIME_WAIT })
	k.open(t, local.String())
}

// So do those of IPv6, which are looked up by other fields.
func TestSocketsOwnTheirIPv6Connections(t *testing.T) {
	const own, service = "2001:db8:1::77", "[" + frontAddr6 + "]:8080"
	k := newKernel(t, Options{})
	k.must(t, "addresses", func() error { return addNet("lo", frontAddr6+"/128", own+"/128") })
	k.listen(t, service)
	var conn net.Conn
	waitFor(t, "a connection", func() bool { // the kernel routes to a new address of IPv6 a moment later
		return k.do(func() (err error) {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(own)}, Timeout: patience}
			conn, err = d.Dial("tcp", service)
			return err
		}) == nil
	})
	defer conn.Close()
	k.sync(t, sixService(1))
	local := conn.LocalAddr().(*net.TCPAddr).AddrPort()
	k.refuse(t, packet{src: local, dst: ap(service), flags: syn}, "socket")
	// A connection of another port, and of another address, has no owner.
	for _, other := range []netip.AddrPort{netip.AddrPortFrom(local.Addr(), local.Port()^1), netip.AddrPortFrom(netip.MustParseAddr("2001:db8:1::78"), local.Port())} {
		if verdict, _ := k.send(t, packet{src: other, dst: ap(service), flags: syn, seq: 1, mss: 1440}); verdict != verdictRedirect {
			t.Errorf("SYN from %v: verdict %d, want %d; reasons %v", other, verdict, verdictRedirect, k.reasons(t))
		}
	}
}

// tcpState is the state of the socket that the room has from local to remote, of IPv4; 0 if there is none.
func (r *room) tcpState(t testing.TB, local, remote netip.AddrPort) (state int) {
	t.Helper()
	word := func(a netip.AddrPort) string {
		ip := a.Addr().As4()
		return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), a.Port())
	}
	r.must(t, "read /proc/net/tcp", func() error {
		text, err := os.ReadFile("/proc/thread-self/net/tcp")
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); f[1] == word(local) && f[2] == word(remote) {
				_, err = fmt.Sscanf(f[3], "%X", &state)
			}
		}
		return err
	})
	return state
}

func TestSourcePortCollision(t *testing.T) {
	k := newKernel(t, Options{})
	k.obj.settings.PortMin, k.obj.settings.PortMax = 2000, 2039
	k.sync(t, oneService(1))
	seen := make(map[uint16]bool)
	for i := range 40 {
		c := k.open(t, client(i))
		if seen[c.back.Port()] {
			t.Fatalf("port %d was given twice", c.back.Port())
		}
		seen[c.back.Port()] = true
	}
	k.refuse(t, synTo(40), "no_port")
	if n := k.entries(t); n != 80 {
		t.Errorf("%d entries, want 80", n)
	}
	for i := range uint32(3) { // of all, of the service, of the server
		if g := k.gauge(i); g.Open != 40 || g.Entries != 40 {
			t.Errorf("gauge %d: %+v, want 40 open", i, g)
		}
	}
}

// A port in the range that a local socket listens on is left alone.
func TestSourcePortsOfListenersAreSkipped(t *testing.T) {
	k := newKernel(t, Options{})
	k.must(t, "address", func() error { return addAddr("lo", backAddr) })
	k.listen(t, ":2001")
	k.obj.settings.PortMin, k.obj.settings.PortMax = 2000, 2003
	k.sync(t, oneService(1))
	for i := range 3 {
		if p := k.open(t, client(i)).back.Port(); p == 2001 {
			t.Fatal("the listener's port was claimed")
		}
	}
	k.refuse(t, synTo(3), "no_port")
}

func TestHalfOpenRing(t *testing.T) {
	k := newKernel(t, Options{HalfOpenRing: 8})
	k.oneCPU = true
	k.sync(t, oneService(1))
	established := k.establish(t, client(0))
	var flood []*conn
	for i := 1; i <= 100; i++ {
		flood = append(flood, k.open(t, client(i)))
	}
	s := k.snapshot(t).Total
	if s.Current != 1 || s.HalfOpen != 8 {
		t.Errorf("after the flood: %+v", s)
	}
	if want := 2 * int(s.Entries); k.entries(t) != want {
		t.Errorf("%d entries, want %d", k.entries(t), want)
	}
	established.fromClient(t, ack, "still here")
	established.fromTask(t, ack, "so am I")
	// A recycled flow is gone in both directions.
	first := flood[0]
	if verdict, _ := k.send(t, packet{src: first.task, dst: first.back, flags: syn | ack, seq: 1, ack: first.clientSeq}); verdict != verdictNext {
		t.Errorf("late SYN-ACK: verdict %d", verdict)
	}
	last := flood[len(flood)-1]
	last.fromTask(t, syn|ack, "")
	last.fromClient(t, ack, "")
	if s := last.state(t); s != FlowEstablished {
		t.Errorf("the newest is %s", s)
	}
}

func TestServerThatMovesOrLeaves(t *testing.T) {
	k := newKernel(t, Options{})
	d := oneService(2)
	k.sync(t, d)
	first, second := k.establish(t, client(0)), k.establish(t, client(1))
	d.Services[0].Servers[0].Addr = ap("198.51.100.77:9000") // the ID of the first gets another address
	d.Services[0].Servers = d.Services[0].Servers[:1]        // the second leaves
	d.Services[0].Schedule = []uint32{101}
	k.sync(t, d)
	for i := 2; i < 6; i++ {
		if c := k.open(t, client(i)); c.task != ap("198.51.100.77:9000") {
			t.Errorf("a new flow goes to %s", c.task)
		}
	}
	for _, c := range []*conn{first, second} {
		c.fromClient(t, ack, "on")
		c.fromTask(t, ack, "and on")
	}
	k.sync(t, Desired{})
	k.refuse(t, synTo(6), "")
	first.fromClient(t, ack, "even without the service")
}
