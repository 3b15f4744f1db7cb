package datapath

import (
	"testing"
)

func TestFINBothWaysCloses(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	c := k.establish(t, client(0))
	c.fromTask(t, fin|ack, "last words")
	if s := c.state(t); s != FlowEstablished {
		t.Errorf("after one FIN: %s", s)
	}
	c.fromClient(t, ack, "a half-closed connection still carries data")
	c.fromClient(t, fin|ack, "")
	if s := c.state(t); s != FlowClosed {
		t.Errorf("after both FINs: %s", s)
	}
	c.fromTask(t, ack, "") // the last ACK is still translated
	if n := k.snapshot(t).Total; n.Current != 0 || n.HalfOpen != 0 || n.Entries != 1 || n.Sessions != 1 {
		t.Errorf("%+v", n)
	}
	if g := k.gauge(0); g.Open != 0 || g.Established != 0 {
		t.Errorf("gauge %+v", g)
	}
}

func TestSYNOverAClosedPairStartsAnew(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	old := k.establish(t, client(0))
	old.fromClient(t, fin|ack, "")
	old.fromTask(t, fin|ack, "")
	fresh := k.establish(t, client(0))
	if fresh.back == old.back {
		t.Errorf("the new connection comes from the port of the old one, %s", old.back)
	}
	if n := k.entries(t); n != 2 {
		t.Errorf("%d entries, want 2", n)
	}
	if n := k.snapshot(t).Total; n.Sessions != 2 || n.Current != 1 || n.Entries != 1 {
		t.Errorf("%+v", n)
	}
}

func TestSYNInALiveFlowStaysInIt(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(2))
	c := k.establish(t, client(0))
	forged := packet{src: c.client, dst: c.front, flags: syn, seq: 999999}
	want := forged
	want.src, want.dst, want.ttl = c.back, c.task, 63
	k.expect(t, forged, want) // the task answers with a challenge ACK
	c.fromClient(t, ack, "unharmed")
	if n := k.snapshot(t).Total; n.Sessions != 1 || n.BytesIn != 8 {
		t.Errorf("%+v", n)
	}
}

func TestRST(t *testing.T) {
	for _, tt := range []struct {
		name string
		rst  func(t *testing.T, c *conn)
		want FlowState
	}{
		{"of the client", func(t *testing.T, c *conn) { c.fromClient(t, rst, "") }, FlowClosed},
		{"of the task", func(t *testing.T, c *conn) { c.fromTask(t, rst|ack, "") }, FlowClosed},
		{"forged, ahead", func(t *testing.T, c *conn) { c.clientSeq += 70000; c.fromClient(t, rst, "") }, FlowEstablished},
		{"forged, behind", func(t *testing.T, c *conn) { c.clientSeq -= 70000; c.fromClient(t, rst, "") }, FlowEstablished},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKernel(t, Options{})
			k.sync(t, oneService(1))
			c := k.establish(t, client(0))
			c.fromClient(t, ack, "some")
			c.fromTask(t, ack, "data")
			tt.rst(t, c)
			if s := c.state(t); s != tt.want {
				t.Errorf("%s, want %s", s, tt.want)
			}
		})
	}
}

func TestRefusedConnection(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	c := k.open(t, client(0))
	forged := packet{src: c.task, dst: c.back, flags: rst | ack, ack: c.clientSeq + 1}
	if k.send(t, forged); c.state(t) != FlowHalfOpen {
		t.Errorf("a RST that acknowledges what was not sent left the flow %s", c.state(t))
	}
	c.taskSeq = 0
	c.fromTask(t, rst|ack, "")
	if n := k.snapshot(t).Total; n.Sessions != 0 || n.HalfOpen != 0 || n.Entries != 1 {
		t.Errorf("%+v", n)
	}
	if s := c.state(t); s != FlowClosed {
		t.Errorf("%s", s)
	}
	k.establish(t, client(0)) // tries again at once
}
