package e2e

import (
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// When the agent hangs, the kernel takes no new connection, since nobody tells it any more which servers are there; they
// wait at the socket for the agent to come back. What is established goes on.
func TestAHangingAgent(t *testing.T) {
	b := startLogged(t, kernelMode())
	held := b.to(8004, "echo\nhello")
	defer held.Close()
	round := func(conn net.Conn) {
		t.Helper()
		if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
	}
	round(held)
	before := b.metric("waggle_frontend_sessions_total", `path="kernel",proxy="checked_in"`)
	if err := b.process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer b.process.Signal(syscall.SIGCONT)
	time.Sleep(4 * time.Second) // the real clock of the kernel: it gives the agent 3 s
	waiting := b.to(8004, "echo\nhello")
	defer waiting.Close()
	for range 10 {
		if _, err := fmt.Fprint(held, "hello"); err != nil {
			t.Fatal(err)
		}
		round(held)
	}
	waiting.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := waiting.Read(make([]byte, 5)); n != 0 || err == nil {
		t.Fatalf("the new connection was served: %d bytes, %v", n, err)
	}
	if err := b.process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	waiting.SetReadDeadline(time.Now().Add(patience))
	round(waiting) // by userspace
	if n := b.metric("waggle_datapath_verdicts_total", `reason="stale"`); n < 1 {
		t.Error("no SYN was counted as stale")
	}
	if n := b.metric("waggle_frontend_sessions_total", `path="kernel",proxy="checked_in"`); n != before {
		t.Errorf("the kernel took %v connections", n-before)
	}
	b.eventually("the kernel takes connections again", func() error {
		conn := b.to(8004, "echo\nhello")
		defer conn.Close()
		round(conn)
		if n := b.metric("waggle_frontend_sessions_total", `path="kernel",proxy="checked_in"`); n == before {
			return fmt.Errorf("still none: %s", strings.TrimSpace(b.process.Output()))
		}
		return nil
	})
}
