package datapath

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"waggle/pkg/lab/require"
)

// The kernel's own stopwatch goes on, and is off unless asked for.
func TestRunTime(t *testing.T) {
	require.Root(t)
	for _, on := range []bool{true, false} {
		top := newTopology(t, 1)
		dp := openIn(t, top.lb, Options{RunTime: on})
		if err := dp.Sync(oneService(1)); err != nil {
			t.Fatal(err)
		}
		serve(top.tasks[0].listen(t, fmt.Sprintf(":%d", taskPort)), func(c net.Conn) { _, _ = io.Copy(c, c) })
		conn, err := top.client.dial(front())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		rounds := func(n int) {
			t.Helper()
			conn.SetDeadline(time.Now().Add(patience))
			for range n {
				if _, err := io.WriteString(conn, "x"); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
			}
		}
		rounds(100)
		first := dp.Counters().RunTime
		rounds(100)
		second := dp.Counters().RunTime
		if !on {
			if second.Runs != 0 {
				t.Skipf("the machine measures all programs: %+v", second)
			}
			continue
		}
		if first.Runs < 200 || first.Time <= 0 || second.Runs < first.Runs+200 {
			t.Errorf("%+v after 100 rounds, %+v after 200", first, second)
		}
		if per := second.PerPacket(); per <= 0 || per > time.Millisecond {
			t.Errorf("%v per packet", per)
		}
		t.Logf("%v per packet", second.PerPacket())
	}
}
