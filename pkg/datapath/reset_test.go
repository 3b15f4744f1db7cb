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

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// Where something is on its way to an end there are two RSTs: for what it has acknowledged, and for what it may have got since.
func TestResetsCoverWhatIsOnItsWay(t *testing.T) {
	require.Root(t)
	room := newRoom(t)
	var fd int
	var r *resetter
	room.must(t, "open sockets", func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_TCP); err != nil {
			return err
		}
		r, err = openResetter()
		return errors.Join(err, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}))
	})
	t.Cleanup(func() { unix.Close(fd); r.close() })
	for _, tt := range []struct {
		expects, sent uint32
		want          []uint32
	}{
		{1000, 1000, []uint32{1000}},
		{1000, 5000, []uint32{1000, 5000}},
		{0xffffff00, 16, []uint32{16, 0xffffff00}},
		{0, 5000, []uint32{5000}}, // it has acknowledged nothing yet
	} {
		r.reset(ended{from: ap("127.0.0.1:8080"), to: ap("127.0.0.2:40001"), ifindex: loIndex, expects: tt.expects, sent: tt.sent, spoke: 77})
		var got []uint32
		for buf := make([]byte, 100); len(got) < len(tt.want); {
			n, _, err := unix.Recvfrom(fd, buf, 0)
			if err != nil {
				t.Fatal(err)
			}
			p, _ := gopacket.NewPacket(buf[:n], layers.LayerTypeIPv4, gopacket.Default).Layer(layers.LayerTypeTCP).(*layers.TCP)
			if p == nil || !p.RST || !p.ACK || p.Ack != 77 || p.SrcPort != 8080 || p.DstPort != 40001 {
				continue // the answer of the namespace's stack, of which nothing is known
			}
			got = append(got, p.Seq)
		}
		slices.Sort(got) // sent on two CPUs they come in any order
		if !slices.Equal(got, tt.want) {
			t.Errorf("expects %d of %d: RSTs for %d, want %d", tt.expects, tt.sent, got, tt.want)
		}
	}
	if n := r.sent.Load(); n != 6 || r.failed.Load() != 0 {
		t.Errorf("%d sent, %d failed, want 6", n, r.failed.Load())
	}
}

// A RST built here is what gopacket reads, and its checksum what gopacket computes.
func TestRSTPacket(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		layer    gopacket.LayerType
		header   string
	}{
		{"192.0.2.1:8080", "203.0.113.9:40001", layers.LayerTypeIPv4, "192.0.2.1 203.0.113.9 64 DF"},
		{"[2001:db8::1]:8080", "[2001:db8:1::9]:40001", layers.LayerTypeIPv6, "2001:db8::1 2001:db8:1::9 64 20"},
	} {
		p := rstPacket(ap(tt.from), ap(tt.to), 0xfffffffe, 77)
		decoded := gopacket.NewPacket(p, tt.layer, gopacket.Default)
		tcp, _ := decoded.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if tcp == nil {
			t.Fatalf("not TCP: %x", p)
		}
		var header string
		switch ip := decoded.NetworkLayer().(type) {
		case *layers.IPv4:
			header = fmt.Sprint(ip.SrcIP, " ", ip.DstIP, " ", ip.TTL, " ", ip.Flags)
		case *layers.IPv6:
			header = fmt.Sprint(ip.SrcIP, " ", ip.DstIP, " ", ip.HopLimit, " ", ip.Length)
		}
		if header != tt.header {
			t.Errorf("%s, want %s", header, tt.header)
		}
		if tcp.SrcPort != 8080 || tcp.DstPort != 40001 || tcp.Seq != 0xfffffffe || tcp.Ack != 77 || !tcp.RST || !tcp.ACK || tcp.SYN || tcp.FIN {
			t.Errorf("%+v", tcp)
		}
		sent := tcp.Checksum
		if err := tcp.SetNetworkLayerForChecksum(decoded.NetworkLayer()); err != nil {
			t.Fatal(err)
		}
		buf := gopacket.NewSerializeBuffer()
		if err := tcp.SerializeTo(buf, gopacket.SerializeOptions{ComputeChecksums: true}); err != nil {
			t.Fatal(err)
		}
		if tcp.Checksum != sent {
			t.Errorf("checksum %04x, want %04x", sent, tcp.Checksum)
		}
	}
}

// What the collector's program answers is what both ends expect at that moment, whatever is on its way.
func TestShutdownKnowsWhatBothEndsExpect(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	c := k.establish(t, client(0))
	c.fromClient(t, ack, "request")
	c.fromTask(t, ack, "answer, part 1")
	acked := c.taskSeq
	c.fromClient(t, ack, "")
	c.fromTask(t, ack, "part 2, not acknowledged yet")
	var told []ended
	col := k.collector(Timeouts{})
	col.reset = func(e ended) { told = append(told, e) }
	n, err := col.shutdown(EndKilled, func(f Flow) bool { return f.Client == c.client })
	if n != 1 || err != nil {
		t.Fatalf("%d flows, %v", n, err)
	}
	want := []ended{
		{from: c.front, to: c.client, ifindex: loIndex, expects: acked, sent: c.taskSeq, spoke: c.clientSeq},
		{from: c.back, to: c.task, ifindex: loIndex, expects: c.clientSeq, sent: c.clientSeq, spoke: c.taskSeq},
	}
	if len(told) != 2 || told[0] != want[0] || told[1] != want[1] {
		t.Errorf("told %+v, want %+v", told, want)
	}
	if n := k.entries(t); n != 0 {
		t.Errorf("%d entries are left", n)
	}
	if g := k.gauge(0); g.Entries != 0 || g.Open != 0 || g.Established != 0 {
		t.Errorf("gauge %+v", g)
	}
}

// Nobody is told of the end of what nobody believes to be alive: a SYN without answer, or a flow that has closed.
func TestOnlyLiveFlowsAreReset(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	k.open(t, client(0))
	answered := k.open(t, client(1))
	answered.fromTask(t, syn|ack, "")
	closed := k.establish(t, client(2))
	closed.fromClient(t, fin|ack, "")
	closed.fromTask(t, fin|ack, "")
	told := 0
	col := k.collector(Timeouts{})
	col.reset = func(ended) { told++ }
	k.pass(t, col, time.Hour, 3)
	if told != 0 {
		t.Errorf("%d RSTs", told)
	}
	k.open(t, client(3))
	answered = k.open(t, client(4))
	answered.fromTask(t, syn|ack, "") // the client may have got it: it is told
	if n, err := col.shutdown(EndServerDown, func(Flow) bool { return true }); n != 2 || err != nil || told != 2 {
		t.Errorf("%d flows, %d RSTs, %v", n, told, err)
	}
}

// What is to end by force ends, though it moves between the look at it and its deletion.
func TestShutdownTakesWhatMoves(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	c := k.establish(t, client(0))
	n, err := k.collector(Timeouts{}).shutdown(EndServerDown, func(Flow) bool {
		tick() // activity is stamped by a clock of a few milliseconds
		c.fromClient(t, ack, "on its way")
		return true
	})
	if n != 1 || err != nil || k.entries(t) != 0 {
		t.Errorf("%d flows were ended, %v; %d entries are left", n, err, k.entries(t))
	}
}

// A RST whose flow's interface is gone goes by the routing table.
func TestResetsOfAnInterfaceThatIsGone(t *testing.T) {
	require.Root(t)
	r := newRoom(t)
	r.must(t, "reset", func() error {
		resets, err := openResetter()
		if err != nil {
			return err
		}
		for _, addr := range []string{"127.0.0.1:1", "[::1]:1"} {
			resets.reset(ended{from: ap(addr), to: ap(addr), ifindex: 1000, expects: 1, sent: 1})
		}
		if sent, failed := resets.sent.Load(), resets.failed.Load(); sent != 2 || failed != 0 {
			t.Errorf("%d RSTs are sent, %d are not, want 2 and 0", sent, failed)
		}
		return resets.close()
	})
}

// pairThrough connects client and task through the kernel path and returns both ends.
func pairThrough(t *testing.T, top *topology, ln net.Listener) (near, far net.Conn) {
	t.Helper()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			accepted <- conn
		}
		close(accepted)
	}()
	near, err := top.client.dial(top.front)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	if far = <-accepted; far == nil {
		t.Fatal("the task accepts nothing")
	}
	t.Cleanup(func() { far.Close() })
	return near, far
}

// wantReset demands that a read of each connection ends by ECONNRESET.
func wantReset(t *testing.T, conns ...net.Conn) {
	t.Helper()
	for i, conn := range conns {
		conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, conn); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("end %d: %v, want a reset", i, err)
		}
	}
}

// counter reads one number of /proc/net/snmp or netstat in the room, such as Tcp OutRsts.
func (r *room) counter(t testing.TB, file, group, name string) (n int) {
	t.Helper()
	r.must(t, "read "+file, func() error {
		text, err := os.ReadFile("/proc/thread-self/net/" + file)
		if err != nil {
			return err
		}
		var names []string
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if fields[0] != group+":" {
				continue
			}
			if names == nil {
				names = fields
				continue
			}
			for i, f := range names {
				if f == name {
					_, err := fmt.Sscan(fields[i], &n)
					return err
				}
			}
		}
		return fmt.Errorf("no %s %s", group, name)
	})
	return n
}

// noDance demands that the RSTs were right at once: nobody had to ask back, and no stack answered a stray packet.
func noDance(t *testing.T, top *topology) {
	t.Helper()
	if n := top.lb.counter(t, "snmp", "Tcp", "OutRsts"); n != 0 {
		t.Errorf("the balancer's stack sent %d RSTs", n)
	}
	for i, r := range []*room{top.client, top.tasks[0]} {
		if n := r.counter(t, "netstat", "TcpExt", "TCPChallengeACK"); n != 0 {
			t.Errorf("end %d sent %d challenge ACKs", i, n)
		}
	}
}

func exchange(t *testing.T, a, b net.Conn) {
	t.Helper()
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		if _, err := io.WriteString(way[0], "hello"); err != nil {
			t.Fatal(err)
		}
		way[1].SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(way[1], make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
	}
}

// inBothFamilies runs a test over IPv4 and over IPv6.
func inBothFamilies(t *testing.T, test func(t *testing.T, top *topology, d Desired)) {
	require.Root(t)
	t.Run("IPv4", func(t *testing.T) { test(t, newTopology(t, 1), oneService(1)) })
	t.Run("IPv6", func(t *testing.T) {
		top := newTopology(t, 1)
		top.front = net.JoinHostPort(frontAddr6, fmt.Sprint(frontPort))
		test(t, top, sixService(1))
	})
}

func TestShutdownResetsBothEndsAtOnce(t *testing.T) { inBothFamilies(t, shutdownResets) }

func shutdownResets(t *testing.T, top *topology, d Desired) {
	var log closedLog
	dp := openIn(t, top.lb, Options{OnClose: log.add})
	d.Services[0].Logged = true
	if err := dp.Sync(d); err != nil {
		t.Fatal(err)
	}
	near, far := pairThrough(t, top, top.tasks[0].listen(t, fmt.Sprintf(":%d", taskPort)))
	exchange(t, near, far)
	waitFor(t, "all to be acknowledged", dp.acknowledged) // an ACK of an end that comes after the flow is answered by the stack
	n, err := dp.Shutdown(EndServerDown, func(f Flow) bool { return f.Server == 101 })
	if n != 1 || err != nil {
		t.Fatalf("%d flows, %v", n, err)
	}
	wantReset(t, near, far)
	noDance(t, top)
	if s := dp.Counters(); s.Total.Current != 0 || s.Resets != 2 || s.ResetsFailed != 0 {
		t.Errorf("%+v", s)
	}
	waitFor(t, "its event", func() bool { return len(log.all()) == 1 })
	c := log.all()[0]
	if c.End != EndServerDown || c.BytesIn != 5 || c.BytesOut != 5 || c.Client.String() != near.LocalAddr().String() || c.Task != netip.MustParseAddrPort(far.LocalAddr().String()) {
		t.Errorf("%+v", c)
	}
}

// acknowledged tells whether both ends of all flows have acknowledged all that the other end has sent.
func (dp *Datapath) acknowledged() bool {
	all := true
	err := eachEntry(dp.obj.WgFlows, func(_ lbWgKey, f lbWgFlow) bool {
		other, ok := twin(dp.obj.WgFlows, f)
		all = all && ok && other.Ack == f.SeqNext
		return true
	})
	return all && err == nil
}

func TestExpiryResetsBothEnds(t *testing.T) { inBothFamilies(t, expiryResets) }

func expiryResets(t *testing.T, top *topology, d Desired) {
	dp := openIn(t, top.lb, Options{})
	if err := dp.Sync(d); err != nil {
		t.Fatal(err)
	}
	near, far := pairThrough(t, top, top.tasks[0].listen(t, fmt.Sprintf(":%d", taskPort)))
	exchange(t, near, far)
	waitFor(t, "all to be acknowledged", dp.acknowledged)
	d.Services = slices.Clone(d.Services) // not before: this machine may take longer for the above
	d.Services[0].Timeouts = Timeouts{Client: time.Second, Server: time.Second}
	if err := dp.Sync(d); err != nil {
		t.Fatal(err)
	}
	wantReset(t, near, far)
	noDance(t, top)
}

// While data streams the right number moves with every segment: the RSTs for what was acknowledged and for what was
// sent enclose it, and where both miss, the stack's answer to the next segment hits.
func TestShutdownOfAStream(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 1)
	dp := openIn(t, top.lb, Options{})
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	near, far := pairThrough(t, top, top.tasks[0].listen(t, fmt.Sprintf(":%d", taskPort)))
	wrote := make(chan error, 1)
	go func() {
		block := make([]byte, 1<<16)
		for {
			if _, err := far.Write(block); err != nil {
				wrote <- err
				return
			}
		}
	}()
	if _, err := io.CopyN(io.Discard, near, 4<<20); err != nil {
		t.Fatal(err)
	}
	if n, err := dp.Shutdown(EndKilled, func(Flow) bool { return true }); n != 1 || err != nil {
		t.Fatalf("%d flows, %v", n, err)
	}
	wantReset(t, near)
	select {
	case err := <-wrote:
		if !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) {
			t.Errorf("the task: %v", err)
		}
	case <-time.After(patience):
		t.Error("the task writes on")
	}
}
