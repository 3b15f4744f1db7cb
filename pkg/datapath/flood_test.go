package datapath

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"

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
	const conns, table = 1000, 4096
	top := newTopology(t, 2)
	dp := openIn(t, top.lb, Options{FlowMax: table})
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
	if n := dp.Counters().Total.Current; n != conns {
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
	if s.Total.Current != conns || rounds == 0 {
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
