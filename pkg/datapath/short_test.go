package datapath

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waggle/pkg/lab/require"
)

// relay is the userspace path in small: what falls through is carried to the task.
func relay(t *testing.T, r *room, task string) {
	serve(r.listen(t, fmt.Sprintf(":%d", frontPort)), func(c net.Conn) {
		up, err := r.dial(task)
		if err != nil {
			t.Error(err)
			return
		}
		defer up.Close()
		_, _ = io.Copy(c, up) // the task closes first
	})
}

// Two clients make more short connections to one task, which closes first, than there are source ports. A port that the
// task still has in TIME_WAIT would cost a client a second if the task refused its SYN: only those are used whose
// task is known to take it, and what finds none goes through userspace.
func TestShortConnectionsNeverStall(t *testing.T) {
	require.Root(t)
	const workers = 8
	total := sized(60_000, 500)
	top := newTopology(t, 1)
	other := newRoom(t)
	top.plug(t, "front", other, "eth0", "192.0.2.20", clientMTU)
	dp := openIn(t, top.lb, Options{})
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	serve(top.tasks[0].listen(t, fmt.Sprintf(":%d", taskPort)), func(c net.Conn) { fmt.Fprint(c, "x") })
	relay(t, top.lb, fmt.Sprintf("%s:%d", taskAddr(0), taskPort))

	rooms := map[string]*room{"client": top.client, "other": other, "balancer": top.lb, "task": top.tasks[0], "fabric": top.fabric}
	before := lossesOf(t, dp, rooms)
	start := time.Now()
	var left, failed atomic.Int64
	left.Store(int64(total))
	var wg sync.WaitGroup
	for _, r := range []*room{top.client, other} {
		for range workers / 2 {
			wg.Go(func() {
				for left.Add(-1) >= 0 {
					if err := shortConnection(r); err != nil && failed.Add(1) < 5 {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	elapsed := time.Since(start)

	s := dp.Counters()
	retransmitted := 0
	for _, r := range []*room{top.client, other} {
		retransmitted += r.counter(t, "netstat", "TcpExt", "TCPSynRetrans")
	}
	t.Logf("%d connections in %s, %.0f %% of them in the kernel; %d fell through for want of a port; %d SYNs were sent again",
		total, elapsed.Round(time.Millisecond), 100*float64(s.Total.Sessions)/float64(total), s.Reasons["no_port"], retransmitted)
	// Where the machine stands still for a second each worker's SYN is sent again. Of ports that the task does not take there would be hundreds.
	if retransmitted > workers || failed.Load() != 0 {
		t.Errorf("%d SYNs had to be sent again, which takes a second; %d connections failed; counters of losses:%s",
			retransmitted, failed.Load(), lossesOf(t, dp, rooms).since(before))
	}
	// Where the machine stands still for 3 s the program thinks that its agent is gone.
	if left := s.Reasons["no_port"] + s.Reasons["stale"]; s.Total.Sessions < uint64(total)*95/100 || s.Total.Sessions+left < uint64(total) {
		t.Errorf("%d sessions in the kernel, want most of %d, though there are only %d ports", s.Total.Sessions, total, s.Ports)
	}
}

func shortConnection(r *room) error {
	conn, err := r.dial(front())
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	text, err := io.ReadAll(conn)
	if err == nil && string(text) != "x" {
		err = fmt.Errorf("got %q", text)
	}
	return err
}
