package datapath

import (
	"testing"
	"time"
)

// A client that uses its port again starts anew, and the port towards a task that closed first stays taken for as long as
// the task may be in TIME_WAIT.
func TestRecycledFlowsHoldTheirPorts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		close func(*conn)
		holds bool
	}{
		{"server first", func(c *conn) { c.fromTask(t, fin|ack, ""); c.fromClient(t, fin|ack, "") }, true},
		{"client first", func(c *conn) { c.fromClient(t, fin|ack, ""); c.fromTask(t, fin|ack, "") }, false},
		{"server first, then a reset", func(c *conn) { c.fromTask(t, fin|ack, ""); c.fromClient(t, rst|ack, "") }, false},
	} {
		k := newKernel(t, Options{})
		k.sync(t, oneService(1))
		k.obj.settings.PortMin, k.obj.settings.PortMax = 2000, 2001
		first := k.establish(t, client(0))
		tt.close(first)
		second := k.establish(t, client(0)) // from the same port of the client
		if second.back == first.back {
			t.Errorf("%s: the port was used again at once", tt.name)
		}
		if tt.holds {
			k.refuse(t, synTo(1), "no_port")
			if verdict, _ := k.send(t, packet{src: first.task, dst: first.back, flags: fin | ack, seq: first.taskSeq - 1, ack: first.clientSeq}); verdict != verdictDrop {
				t.Errorf("%s: the client hears from a connection that it has ended: verdict %d", tt.name, verdict)
			}
			const timeWait = 60*time.Second + 5120*time.Millisecond // in Linux: with what a timer of 100 Hz may be late by
			k.pass(t, k.collector(Timeouts{}), timeWait, 0)
			k.pass(t, k.collector(Timeouts{}), timeWait+2*time.Second, 1)
		}
		k.open(t, client(1))
		if g := k.gaugeOf(t, 101); g.Entries != 2 || g.Taken != 2 {
			t.Errorf("%s: %+v", tt.name, g)
		}
		second.fromTask(t, ack, "the new one lives")
	}
}

// Ports of a server are used in turn, so that the time until one is used again is as long as can be, whoever asks.
func TestPortsAreUsedInTurn(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	k.obj.settings.PortMin, k.obj.settings.PortMax = 2000, 2049
	last := map[uint16]int{}
	for i := range 500 {
		c := k.establish(t, client(i))
		c.fromClient(t, fin|ack, "")
		c.fromTask(t, fin|ack, "")
		port := c.back.Port()
		if at, used := last[port]; used && i-at < 50 {
			t.Fatalf("port %d after %d connections", port, i-at)
		}
		last[port] = i
		if len(last) > 40 {
			if n, err := k.collector(Timeouts{}).pass(monotonicNow() + uint64(time.Minute)); err != nil || n == 0 {
				t.Fatalf("%d deleted, %v", n, err)
			}
		}
	}
}
