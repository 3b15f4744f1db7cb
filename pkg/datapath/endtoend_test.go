package datapath

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// patience is for how long a test waits for what comes within milliseconds on a machine that does not stall. It
// is less than resync, which mends what went unnoticed.
const patience = resync - 5*time.Second

// awake is Options.awake of tests that are about something else.
const awake = time.Minute

// openIn opens a Datapath in the room and closes it with the test.
func openIn(t testing.TB, r *room, opts Options) *Datapath {
	t.Helper()
	opts.NetNS, opts.awake = r.path(), awake
	dp, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dp.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return dp
}

func binds(addrs ...string) (b []Bind) {
	for _, a := range addrs {
		b = append(b, Bind{AddrPort: ap(a)})
	}
	return b
}

// oneService is a service over n tasks, each once in the schedule.
func oneService(n int) Desired {
	s := Service{ID: 7, Name: "web", Binds: binds(fmt.Sprintf("0.0.0.0:%d", frontPort))}
	for i := range n {
		id := uint32(101 + i)
		s.Schedule = append(s.Schedule, id)
		s.Servers = append(s.Servers, Server{
			ID:   id,
			Name: fmt.Sprintf("task%d", i),
			Addr: netip.AddrPortFrom(netip.MustParseAddr(taskAddr(i)), taskPort),
		})
	}
	return Desired{Services: []Service{s}}
}

// serve answers each connection of ln with f, until ln is closed.
func serve(ln net.Listener, f func(net.Conn)) {
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				f(conn)
			}()
		}
	}()
}

// greetAndEcho is a task: it says which one it is, and sends back what it gets until its client or the test ends.
func greetAndEcho(ln net.Listener, i int) {
	serve(ln, func(c net.Conn) {
		fmt.Fprintf(c, "task%d\n", i)
		_, _ = io.Copy(c, c)
	})
}

func front() string { return fmt.Sprintf("%s:%d", frontAddr, frontPort) }

func TestEndToEnd(t *testing.T) {
	require.Root(t)
	for _, clsact := range []bool{false, true} {
		t.Run(fmt.Sprintf("clsact=%v", clsact), func(t *testing.T) {
			testEndToEnd(t, clsact)
		})
	}
}

func testEndToEnd(t *testing.T, clsact bool) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	top := newTopology(t, 3)
	dp := openIn(t, top.lb, Options{ForceClsact: clsact})
	defer dp.Close()
	if err := dp.Sync(oneService(3)); err != nil {
		t.Fatal(err)
	}
	for i, task := range top.tasks {
		ln := task.listen(t, fmt.Sprintf(":%d", taskPort))
		defer ln.Close()
		greetAndEcho(ln, i)
	}

	t.Run("10 MB there and back", func(t *testing.T) { echo(t, top) })
	t.Run("round robin", func(t *testing.T) { roundRobin(t, top, 30) })

	t.Run("one leg only", func(t *testing.T) { oneLeg(t, top) })
	var s Snapshot
	waitFor(t, "all flows to end", func() bool { s = dp.Counters(); return s.Total.Current == 0 })
	c := s.Services[7]
	t.Logf("counts %+v, reasons %v", c, s.Reasons)
	if c.Sessions != 32 || c.Connections != 32 {
		t.Errorf("sessions %d, connections %d, want 32 of each", c.Sessions, c.Connections)
	}
	if want := uint64(10 << 20); c.BytesIn != want {
		t.Errorf("bytes in: %d, want %d", c.BytesIn, want)
	}
	if want := uint64(10<<20 + 32*len("task0\n")); c.BytesOut != want {
		t.Errorf("bytes out: %d, want %d", c.BytesOut, want)
	}
	for name, n := range s.Reasons {
		if n != 0 {
			t.Errorf("%d packets not taken because of %s", n, name)
		}
	}
	want := attachTCX
	if clsact || thisMachine().older(6, 6) {
		want = attachClsact
	}
	for _, i := range dp.Status().Interfaces {
		if i.Attach != want {
			t.Errorf("%s attached by %s, want %s", i.Name, i.Attach, want)
		}
	}
}

// waitFor polls until done says so: what the kernel does after a close has no event to wait for.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// echo sends 10 MB through the balancer and compares what comes back.
func echo(t *testing.T, top *topology) {
	conn, err := top.client.dial(top.front)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	sent := make([]byte, 10<<20)
	src := rand.NewChaCha8([32]byte{1})
	_, _ = src.Read(sent) // never fails
	go func() {
		if _, err := conn.Write(sent); err != nil {
			t.Error(err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Error(err)
		}
	}()
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	_, got, _ = bytes.Cut(got, []byte("\n"))
	if sha256.Sum256(got) != sha256.Sum256(sent) {
		t.Fatalf("%d bytes came back changed; %d were sent", len(got), len(sent))
	}
}

// Senders may join more than 64 kB to one packet where their interfaces let them (BIG TCP): the field of its length is 0 then. In
// IPv6 since Linux 6.0, in IPv4 since 6.3.
func TestBigTCP(t *testing.T) {
	inBothFamilies(t, func(t *testing.T, top *topology, d Desired) {
		if thisMachine().older(6, 3) {
			t.Skip("BIG TCP for both families came with Linux 6.3")
		}
		const big = 180_000
		for _, r := range []*room{top.client, top.lb, top.tasks[0], top.fabric} {
			r.must(t, "allow packets of more than 64 kB", func() error {
				links, err := netlink.LinkList()
				for _, l := range links {
					if l.Attrs().EncapType != "ether" || err != nil {
						continue
					}
					err = errors.Join(netlink.LinkSetGSOMaxSize(l, big), netlink.LinkSetGROMaxSize(l, big),
						netlink.LinkSetGSOIPv4MaxSize(l, big), netlink.LinkSetGROIPv4MaxSize(l, big))
				}
				return err
			})
		}
		dp := openIn(t, top.lb, Options{})
		if err := dp.Sync(d); err != nil {
			t.Fatal(err)
		}
		greetAndEcho(top.tasks[0].listen(t, fmt.Sprintf("[::]:%d", taskPort)), 0)
		longest := top.lb.watchLengths(t, "eth1")
		echo(t, top)
		if n := longest(); n <= 1<<16 {
			t.Errorf("the longest packet has %d bytes: none was joined to more than 64 kB", n)
		}
		if n := top.client.counter(t, "snmp", "Tcp", "RetransSegs"); n > 1000 { // of 7500. A sender that had to wait for the CPU sends a long packet, 128, or a few again
			t.Errorf("%d segments were sent again", n)
		}
		if s := dp.Counters(); s.Total.Sessions != 1 || s.Total.BytesIn != 10<<20 || s.Reasons["bad_length"] != 0 {
			t.Errorf("%+v, reasons %v", s.Total, s.Reasons)
		}
	})
}

// watchLengths returns what tells how long the longest frame was that has come in by an interface of the room since.
func (r *room) watchLengths(t *testing.T, name string) (longest func() int) {
	t.Helper()
	var fd int
	r.must(t, "watch "+name, func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK, 0); err != nil {
			return err
		}
		return errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: hostOrder(unix.ETH_P_ALL), Ifindex: l.Attrs().Index}))
	})
	t.Cleanup(func() { unix.Close(fd) })
	return func() int {
		n := 0
		for buf := make([]byte, 64); ; {
			length, _, err := unix.Recvfrom(fd, buf, unix.MSG_TRUNC)
			if err != nil {
				return n
			}
			n = max(n, length)
		}
	}
}

// oneLeg lets a client on the tasks' own network come and go by the same interface.
func oneLeg(t *testing.T, top *topology) {
	conn, err := top.tasks[0].dial(fmt.Sprintf("%s:%d", backAddr, frontPort))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	line := make([]byte, len("task0\n"))
	if _, err := io.ReadFull(conn, line); err != nil {
		t.Fatal(err)
	}
}

func roundRobin(t *testing.T, top *topology, n int) {
	got := make(map[string]int)
	for range n {
		conn, err := top.client.dial(top.front)
		if err != nil {
			t.Fatal(err)
		}
		line := make([]byte, len("task0\n"))
		conn.SetDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(conn, line); err != nil {
			t.Fatal(err)
		}
		got[string(line)]++
		conn.Close()
	}
	for i := range top.tasks {
		if name := fmt.Sprintf("task%d\n", i); got[name] != n/len(top.tasks) {
			t.Errorf("%s got %d of %d connections", name, got[name], n)
		}
	}
}
