package datapath

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// flood sends n SYNs of as many clients through the attached program.
func flood(t *testing.T, r *room, obj *object, first, n int) {
	t.Helper()
	if err := r.do(func() error {
		for i := first; i < first+n; i++ {
			addr := fmt.Sprintf("10.%d.%d.%d:%d", i>>16&255, i>>8&255, i&255, 1024+i%60000)
			p := packet{src: ap(addr), dst: ap(front()), flags: syn, seq: 1}
			run := ebpf.RunOptions{Data: p.frame(t), Context: skbContext{Ifindex: loIndex}}
			if _, err := obj.WgIngress.Run(&run); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// A flood of ten times as many SYNs as the table holds: every connection that was there before goes on transferring, none
// is lost, and the kernel path takes new ones after it.
func TestSYNFloodHurtsNoEstablishedConnection(t *testing.T) {
	require.Root(t)
	conns, table := sized(1000, 40), sized(4096, 256)
	top := newTopology(t, 2)
	dp := openIn(t, top.lb, Options{FlowMax: uint32(table)})
	if err := dp.Sync(oneService(2)); err != nil {
		t.Fatal(err)
	}
	for i, task := range top.tasks {
		greetAndEcho(task.listen(t, fmt.Sprintf(":%d", taskPort)), i)
	}
	var lines []*bufio.ReadWriter
	for range conns {
		conn, err := top.client.dial(front())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(2 * time.Minute))
		rw := bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn))
		if _, err := rw.ReadString('\n'); err != nil { // its greeting
			t.Fatal(err)
		}
		lines = append(lines, rw)
	}
	if n := dp.Counters().Total.Current; n != uint64(conns) {
		t.Fatalf("%d established, want %d", n, conns)
	}

	done := make(chan struct{})
	var rounds int
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			for i, rw := range lines {
				if err := sendLine(rw, i, rounds); err != nil {
					t.Errorf("connection %d, round %d: %v", i, rounds, err)
					return
				}
			}
			rounds++
			select {
			case <-done:
				return
			default:
			}
		}
	})
	flood(t, top.lb, dp.obj, 0, 10*table)
	close(done)
	wg.Wait()
	s := dp.Counters()
	t.Logf("%d SYNs: %d flows are half-open, %d rounds of %d connections meanwhile; %d SYNs found the table full",
		10*table, s.Total.HalfOpen, rounds, conns, s.Reasons["table_full"])
	if s.Total.Current != uint64(conns) || rounds == 0 {
		t.Errorf("%d of %d connections are established, %d rounds", s.Total.Current, conns, rounds)
	}
	before := s.Total.Sessions
	for range 10 {
		conn, err := net.Conn(nil), error(nil)
		if conn, err = top.client.dial(front()); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	waitFor(t, "new connections in the kernel", func() bool { return dp.Counters().Total.Sessions == before+10 })
}

// A flood against a small maxconn: half-open flows never hold more than their share of the places, real clients come in
// by userspace all along, and once connections wait there even a lone place comes free.
func TestSYNFloodLeavesPlacesToRealClients(t *testing.T) {
	require.Root(t)
	for _, limit := range []int{1, 8} {
		top := newTopology(t, 1)
		dp := openIn(t, top.lb, Options{})
		d := oneService(1)
		d.Services[0].Limit = uint32(limit)
		if err := dp.Sync(d); err != nil {
			t.Fatal(err)
		}
		places, err := dp.ServicePlaces(d.Services[0].ID, "")
		if err != nil {
			t.Fatal(err)
		}
		serve(top.tasks[0].listen(t, fmt.Sprintf(":%d", taskPort)), func(c net.Conn) { fmt.Fprint(c, "served") })
		patient(top.lb.listen(t, fmt.Sprintf(":%d", frontPort)), places, int64(limit))

		// SYNs at the same instant may all find the last place: those of the flood, on the CPU where they are sent and on the one where they
		// were before, and a client's. And a session that ends while its numbers are read may look half-open.
		share := uint64(max(1, limit/4))
		most := share + 3
		refused := func() uint64 {
			reasons := dp.Counters().Reasons
			return reasons["half_open"] + reasons["service_limit"] + reasons["queued"]
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := spoof(t, top.client, n*100, 100); err != nil {
					t.Error(err)
					return
				}
				if half := dp.Counters().Total.HalfOpen; half > most {
					t.Errorf("maxconn %d: %d flows are half-open, of %d", limit, half, share)
					return
				}
				pause(ctx, 10*time.Millisecond)
			}
		})
		waitFor(t, "the flood", func() bool { return dp.Counters().Total.HalfOpen > 0 && refused() >= 100 })
		for range 3 {
			began := time.Now()
			conn, err := top.client.dial(front())
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(patience))
			if text, err := io.ReadAll(conn); err != nil || string(text) != "served" {
				t.Errorf("the client hears %q, %v", text, err)
			}
			conn.Close()
			t.Logf("maxconn %d: a client is served after %s", limit, time.Since(began).Round(time.Millisecond))
		}
		if s := dp.Counters(); s.Total.HalfOpen > most {
			t.Errorf("maxconn %d: %+v, reasons %v", limit, s.Total, s.Reasons)
		}
		stop()
		wg.Wait()
		if err := dp.Close(); err != nil {
			t.Error(err)
		}
	}
}

// synFrom is a SYN to the service without its Ethernet header and padding.
func synFrom(t testing.TB, addr netip.Addr, port uint16) []byte {
	return packet{src: netip.AddrPortFrom(addr, port), dst: ap(front()), flags: syn, seq: 1}.frame(t)[14:54]
}

// spoof puts n SYNs of made-up clients on the wire. The server answers them, and nobody the server.
func spoof(t testing.TB, from *room, first, n int) error {
	return from.do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for i := first; i < first+n; i++ {
			frame := synFrom(t, netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), uint16(1024+i%60000))
			to := unix.SockaddrInet4{Addr: netip.MustParseAddr(frontAddr).As4()}
			if err := unix.Sendto(fd, frame, 0, &to); err != nil {
				return err
			}
		}
		return nil
	})
}

// patient is a userspace path that serves a connection once it has a place of the limit, which it waits for.
func patient(ln net.Listener, places Places, limit int64) {
	serve(ln, func(c net.Conn) {
		places.Waiting.Add(1)
		for {
			n := places.Taken.Load()
			if int64(int32(n)) < limit && places.Taken.CompareAndSwap(n, n+1) {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		places.Waiting.Add(-1)
		fmt.Fprint(c, "served")
		places.Taken.Add(-1)
	})
}

// sendLine sends a line through a connection and wants it back.
func sendLine(rw *bufio.ReadWriter, conn, round int) error {
	text := fmt.Sprintf("connection %d round %d\n", conn, round)
	if _, err := io.WriteString(rw, text); err != nil {
		return err
	}
	if err := rw.Flush(); err != nil {
		return err
	}
	got, err := rw.ReadString('\n')
	if err == nil && got != text {
		err = fmt.Errorf("got %q, want %q", got, text)
	}
	return err
}
