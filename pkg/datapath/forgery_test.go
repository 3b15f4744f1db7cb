package datapath

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// echoes are a number of connections through the kernel path whose tasks send back what they get.
type echoes struct {
	conns  []net.Conn
	rounds int
}

func openEchoes(t *testing.T, top *topology, n int) *echoes {
	t.Helper()
	for _, task := range top.tasks {
		serve(task.listen(t, fmt.Sprintf(":%d", taskPort)), func(c net.Conn) { _, _ = io.Copy(c, c) })
	}
	e := new(echoes)
	for range n {
		conn, err := top.client.dial(front())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(2 * time.Minute))
		e.conns = append(e.conns, conn)
	}
	return e
}

// round sends a block of its own through each connection, and compares what comes back byte by byte.
func (e *echoes) round(size int) error {
	sent, got := make([]byte, size), make([]byte, size)
	for i, conn := range e.conns {
		src := rand.NewChaCha8([32]byte{byte(e.rounds), byte(e.rounds >> 8), byte(i), byte(i >> 8)})
		_, _ = src.Read(sent) // never fails
		if _, err := conn.Write(sent); err != nil {
			return fmt.Errorf("connection %d, round %d: %w", i, e.rounds, err)
		}
		if _, err := io.ReadFull(conn, got); err != nil {
			return fmt.Errorf("connection %d, round %d: %w", i, e.rounds, err)
		}
		if !bytes.Equal(got, sent) {
			return fmt.Errorf("connection %d, round %d: the bytes came back changed", i, e.rounds)
		}
	}
	e.rounds++
	return nil
}

// wire opens a raw socket in a room, for packets with their IP header, to an address of the balancer's.
func wire(t *testing.T, r *room) (send func(packet []byte, to netip.Addr)) {
	t.Helper()
	fd := -1
	r.must(t, "open a raw socket", func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		return err
	})
	t.Cleanup(func() { unix.Close(fd) })
	return func(packet []byte, to netip.Addr) {
		if err := unix.Sendto(fd, packet, 0, &unix.SockaddrInet4{Addr: to.As4()}); err != nil {
			t.Errorf("send a forged packet: %v", err)
		}
	}
}

// forgeries are what to send in the name of one end of a flow's leg, to us: RSTs that are off by all kinds of numbers, and ICMP
// errors of a router about packets that we have sent to that end. next is what comes next from that end, and acked what it
// expects; as far as an attacker gets who cannot see the packets, but knows all else.
func forgeries(t *testing.T, end, ours netip.AddrPort, next, acked uint32, r *rand.Rand) (packets [][]byte) {
	t.Helper()
	for range 8 {
		p := packet{src: end, dst: ours, flags: rst, seq: next + 1 + r.Uint32N(1<<32-1)} // any but the right one
		packets = append(packets, p.frame(t)[14:])
	}
	for _, off := range []uint32{1, 1000, 1 << 16, ^uint32(0), ^uint32(1000)} {
		packets = append(packets, packet{src: end, dst: ours, flags: rst | ack, seq: next + off, ack: acked}.frame(t)[14:])
	}
	router := netip.MustParseAddr("203.0.113.66")
	for _, e := range []icmpError{{kind: 3, code: 4, rest: 68}, {kind: 3, code: 4, rest: 0}, {kind: 3, code: 4, rest: 1400}, {kind: 3, code: 1}, {kind: 3, code: 3}, {kind: 11}} {
		for _, seq := range []uint32{acked, r.Uint32()} { // quoted with the right number, which nobody has to guess, and a wrong one
			about := packet{src: ours, dst: end, flags: ack, seq: seq, ack: next, payload: "some data"}.frame(t)[14:]
			packets = append(packets, icmpFrame(t, router, ours.Addr(), pkt{icmp: &e}, about[:28], ask)[14:])
		}
	}
	return packets
}

// A flood of ten times as many SYNs as the table holds, RSTs in the name of both ends of each connection, and ICMP errors about
// the packets of both legs, all while a thousand connections transfer: each byte arrives, and none is lost.
func TestForgeriesHurtNoEstablishedConnection(t *testing.T) {
	require.Root(t)
	const size = 2048
	conns, table := sized(1000, 40), sized(4096, 256)
	top := newTopology(t, 2)
	dp := openIn(t, top.lb, Options{FlowMax: uint32(table)})
	if err := dp.Sync(oneService(2)); err != nil {
		t.Fatal(err)
	}
	e := openEchoes(t, top, conns)
	if err := e.round(size); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if err := e.round(size); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	wg.Go(func() {
		if err := spoof(t, top.client, 0, 10*table); err != nil {
			t.Error(err)
		}
	})
	forged := 0
	byClient, byTask := wire(t, top.client), wire(t, top.tasks[0])
	r := rand.New(rand.NewPCG(1, 2))
	if err := eachEntry(dp.obj.WgFlows, func(key lbWgKey, f lbWgFlow) bool {
		if f.Dir != dirForward || f.State != lbWgStateWG_ESTABLISHED {
			return true
		}
		rev, _ := twin(dp.obj.WgFlows, f)
		client, front := addrPort(key.Saddr, key.Sport), addrPort(key.Daddr, key.Dport)
		back, task := addrPort(f.Saddr, f.Sport), addrPort(f.Daddr, f.Dport)
		for _, p := range forgeries(t, client, front, f.SeqNext, f.Ack, r) {
			byClient(p, front.Addr())
			forged++
		}
		for _, p := range forgeries(t, task, back, rev.SeqNext, rev.Ack, r) {
			byTask(p, back.Addr())
			forged++
		}
		return !t.Failed()
	}); err != nil {
		t.Fatal(err)
	}
	close(done)
	wg.Wait()
	if err := e.round(size); err != nil {
		t.Error(err)
	}
	s := dp.Counters()
	t.Logf("%d SYNs and %d forged packets, meanwhile %d rounds of %d bytes through each of %d connections", 10*table, forged, e.rounds, size, conns)
	if s.Total.Current != uint64(conns) || forged < conns*40 {
		t.Errorf("%d of %d flows are established after %d forged packets", s.Total.Current, conns, forged)
	}
	// They did come by the program: the sum of what the ends have been told by errors is known to them.
	if n := top.client.counter(t, "snmp", "Icmp", "InDestUnreachs"); n < conns {
		t.Errorf("the client was told of %d ICMP errors: they did not pass", n)
	}
	if n := top.tasks[0].counter(t, "netstat", "TcpExt", "OutOfWindowIcmps"); n == 0 {
		t.Error("the task saw no ICMP error with a wrong number: they did not pass")
	}
}

// A RST whose number is among what is in flight may be a guess: one in some thousand is, of a fast transfer. The receiver takes
// none but the very next (RFC 5961, section 3.2), and what is right for both is known exactly: the end of what was sent, or
// what the other end expects.
func TestRSTInFlightIsNoEnd(t *testing.T) {
	for _, tt := range []struct {
		name   string
		behind uint32 // of the end of what was sent; all of it is 4000 bytes, of which 1000 are acknowledged
		want   FlowState
	}{
		{"the end of what was sent", 0, FlowClosed}, {"what is expected", 3000, FlowClosed},
		{"in flight", 1500, FlowEstablished}, {"acknowledged", 3001, FlowEstablished},
	} {
		for _, ofClient := range []bool{true, false} {
			k := newKernel(t, Options{})
			k.sync(t, oneService(1))
			c := k.establish(t, client(0))
			part := string(make([]byte, 1000))
			if ofClient {
				c.fromClient(t, ack, part)
				c.fromTask(t, ack, "")
				c.fromClient(t, ack, part+part+part)
				c.clientSeq -= tt.behind
				c.fromClient(t, rst, "")
			} else {
				c.fromTask(t, ack, part)
				c.fromClient(t, ack, "")
				c.fromTask(t, ack, part+part+part)
				c.taskSeq -= tt.behind
				c.fromTask(t, rst, "")
			}
			if s := c.state(t); s != tt.want {
				t.Errorf("%s, of the client %v: %s, want %s", tt.name, ofClient, s, tt.want)
			}
		}
	}
}

// A FIN with a number that is far from all that was sent neither gives a flow the short life of one that is half closed, nor has the
// other side's FIN end it. One that is right does both, also when it comes again, or behind something that was lost.
func TestForgedFINIsNoEnd(t *testing.T) {
	for _, tt := range []struct {
		name  string
		off   uint32 // of the FIN's number, from the next one
		flags uint8
		want  FlowState
	}{
		{"right", 0, fin | ack, FlowClosed}, {"behind a loss", 1 << 16, fin | ack, FlowClosed},
		{"far ahead", 1 << 21, fin | ack, FlowEstablished}, {"half the numbers ahead", 1 << 31, fin | ack, FlowEstablished},
		{"of what was sent before", ^uint32(499), fin | ack, FlowEstablished}, {"of a SYN", ^uint32(0), syn | fin, FlowEstablished},
	} {
		for _, ofClient := range []bool{true, false} {
			k := newKernel(t, Options{})
			k.sync(t, oneService(1))
			c := k.establish(t, client(0))
			part := string(make([]byte, 1000))
			forge, seq, other := c.fromClient, &c.clientSeq, c.fromTask
			if !ofClient {
				forge, seq, other = c.fromTask, &c.taskSeq, c.fromClient
			}
			forge(t, ack, part)
			next := *seq
			*seq += tt.off
			forge(t, tt.flags, "")
			*seq = next
			brief := Timeouts{Client: time.Hour, Server: time.Hour, ClientFin: time.Second, ServerFin: time.Second}
			if tt.want == FlowEstablished {
				k.pass(t, k.collector(brief), time.Minute, 0)
			}
			other(t, fin|ack, "")
			if s := c.state(t); s != tt.want {
				t.Errorf("%s, of the client %v: %s, want %s", tt.name, ofClient, s, tt.want)
			}
			if s := k.snapshot(t).Total; tt.want == FlowEstablished && s.BytesIn+s.BytesOut != 1000 {
				t.Errorf("%s, of the client %v: %d bytes in and %d out were counted", tt.name, ofClient, s.BytesIn, s.BytesOut)
			}
			if tt.want == FlowEstablished { // and then the real one
				forge(t, fin|ack, "")
				if s := c.state(t); s != FlowClosed {
					t.Errorf("%s, of the client %v: %s after both FINs", tt.name, ofClient, s)
				}
			}
		}
	}
}
