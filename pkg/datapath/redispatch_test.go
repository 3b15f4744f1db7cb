package datapath

import (
	"bufio"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"waggle/pkg/lab/require"
)

// With option redispatch a server that does not answer in time loses the connection to another one, and what it says
// later is dropped. Nothing is left of it in the end.
func TestRedispatchAfterTimeout(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, retrying(2, 3, true))
	c := k.open(t, client(0))
	first, seq := c.way(), c.clientSeq
	c.again(t)
	if c.way() != first {
		t.Fatalf("moved before its time: %v became %v", first, c.way())
	}
	k.age(t, 10*time.Second) // what is left of the attempt is younger
	c.late(t)
	c.again(t)
	if c.task == first.task {
		t.Fatalf("still at %v", c.way())
	}
	lateAnswer := packet{src: first.task, dst: first.back, flags: syn | ack, seq: 9, ack: seq}
	for range 2 {
		if verdict, _ := k.send(t, lateAnswer); verdict != verdictDrop {
			t.Errorf("late SYN-ACK: verdict %d, want drop", verdict)
		}
	}
	if n := k.reasons(t)["tombstone"]; n != 2 {
		t.Errorf("tombstone counted %d times", n)
	}
	c.fromTask(t, syn|ack, "")
	c.fromClient(t, ack, "")
	c.fromClient(t, ack, "to the second server")
	// Once it has answered, a SYN-ACK was seen: no SYN moves it any more.
	second := c.way()
	c.late(t)
	if verdict, out := k.send(t, packet{src: c.client, dst: c.front, flags: syn, seq: c.clientSeq}); verdict != verdictRedirect || decode(t, out).dst != second.task {
		t.Errorf("verdict %d", verdict)
	}
	answered := k.open(t, client(1))
	answered.fromTask(t, syn|ack, "")
	third := answered.way()
	answered.late(t)
	if answered.again(t); answered.way() != third {
		t.Errorf("%v became %v, though the server has answered", third, answered.way())
	}
	answered.fromClient(t, ack, "")
	answered.fromClient(t, fin|ack, "")
	answered.fromTask(t, fin|ack, "")
	k.pass(t, k.collector(Timeouts{}), 10*time.Second, 1)
	s := k.snapshot(t)
	if s.Total.Connections != 3 { // the first client's at both servers, and the other's
		t.Errorf("%d connections, want 3", s.Total.Connections)
	}
	if s.Servers[101].HalfOpen+s.Servers[102].HalfOpen != 0 || s.Total.Current != 1 || s.Total.Redispatches != 1 {
		t.Errorf("%+v %+v", s.Total, s.Servers)
	}
	if g := k.gaugeOf(t, serverOf(first.task)); g.Taken != 0 || g.Entries != 1 {
		t.Errorf("the first server: %+v, want the port held and no place taken", g)
	}
	k.pass(t, k.collector(Timeouts{}), 31*time.Second, 0)
	k.pass(t, k.collector(Timeouts{}), 33*time.Second, 1)
	if g := k.gaugeOf(t, serverOf(first.task)); g.Entries != 0 || k.entries(t) != 2 {
		t.Errorf("the tombstone is left: %+v, %d entries", g, k.entries(t))
	}
	c.fromTask(t, ack, "still here")
}

// serverOf is the id of a task in oneService.
func serverOf(task netip.AddrPort) uint32 {
	for i := range 10 {
		if task.Addr().String() == taskAddr(i) {
			return uint32(101 + i)
		}
	}
	return 0
}

// A server that refused has nothing to say any more: nothing is kept of it.
func TestRedispatchAfterRefusal(t *testing.T) {
	k := newKernel(t, Options{HalfOpenRing: 4})
	k.oneCPU = true
	k.sync(t, retrying(2, 3, true))
	c := k.open(t, client(0))
	first := c.way()
	c.refuse(t, false)
	c.again(t)
	if c.task == first.task {
		t.Fatalf("still at %v", c.way())
	}
	if n := k.entries(t); n != 2 {
		t.Errorf("%d entries, want 2", n)
	}
	// It is half-open still, and recycled like any other.
	for i := 1; i <= 8; i++ {
		k.open(t, client(i))
	}
	if s := c.state(t); s != "none" {
		t.Errorf("the moved flow is %s", s)
	}
	if s := k.snapshot(t).Total; s.HalfOpen != 4 {
		t.Errorf("%+v", s)
	}
}

// Whatever the algorithm says, the server that has just failed is not the next one, even if it is its turn, or the best.
func TestRedispatchPassesTheServerThatFailed(t *testing.T) {
	for _, a := range []Algorithm{RoundRobin, LeastConn, First, Random, Source} {
		k := newKernel(t, Options{})
		d := byAlgorithm(a, 1, 1)
		d.Services[0].Retries, d.Services[0].Redispatch = 3, 1
		k.sync(t, d)
		for i := range 20 {
			c := k.open(t, client(2*i))
			k.open(t, client(2*i+1)) // the turn of the server is next
			failed := c.task
			other := k.loadOf(t, 203-serverOf(failed))
			other.Taken += 20 // the failed one is less loaded
			c.refuse(t, false)
			if c.again(t); c.task == failed {
				t.Errorf("%v: connection %d is sent to the same server", a, i)
			}
			other.Taken -= 20
		}
	}
}

// Without another server that is usable the same one is tried again.
func TestRedispatchWithoutAnotherServer(t *testing.T) {
	for name, change := range map[string]func(*Desired){
		"only one": func(d *Desired) {
			d.Services[0].Servers, d.Services[0].Schedule = d.Services[0].Servers[:1], []uint32{101}
		},
		"full": func(d *Desired) { d.Services[0].Servers[1].Limit = 1 },
	} {
		k := newKernel(t, Options{})
		d := retrying(2, 3, true)
		change(&d)
		k.sync(t, d)
		if name == "full" {
			k.loadOf(t, 102).Taken = 1
		}
		c := k.open(t, client(0))
		c.refuse(t, false)
		c.again(t)
		if serverOf(c.task) != 101 || k.gaugeOf(t, 101).Taken != 1 {
			t.Errorf("%s: goes to %s", name, c.task)
		}
		c.fromTask(t, syn|ack, "")
		c.fromClient(t, ack, "")
	}
}

// Without a free port towards the other server the flow stays where it is, and no place is lost.
func TestRedispatchWithoutAPort(t *testing.T) {
	k := newKernel(t, Options{})
	k.obj.settings.PortMin, k.obj.settings.PortMax = 2000, 2000
	k.sync(t, retrying(2, 3, true))
	c := k.open(t, client(0))
	other := k.open(t, client(1))
	c.late(t)
	first := c.way()
	c.again(t)
	if c.way() != first || c.task == other.task {
		t.Errorf("%v became %v", first, c.way())
	}
	if total := k.snapshot(t).Total; total.Retries != 1 || total.Redispatches != 0 {
		t.Errorf("%+v, want one attempt more at the same server", total)
	}
	c.fromTask(t, syn|ack, "")
	if c.fromClient(t, ack, ""); c.state(t) != FlowEstablished {
		t.Errorf("the flow that could not move is %s", c.state(t))
	}
	for id := uint32(101); id <= 102; id++ {
		if g := k.gaugeOf(t, id); g.Taken != 1 || g.Open != 1 || g.Entries != 1 {
			t.Errorf("server %d: %+v", id, g)
		}
	}
}

// With an interval only some of the retries move.
func TestRedispatchInterval(t *testing.T) {
	k := newKernel(t, Options{})
	d := retrying(2, 4, true)
	d.Services[0].Redispatch = 3
	k.sync(t, d)
	c := k.open(t, client(0))
	for i, moves := range []bool{false, false, true, false} {
		before := c.task
		c.refuse(t, false)
		c.again(t)
		if (c.task != before) != moves {
			t.Errorf("retry %d: from %s to %s", i+1, before, c.task)
		}
	}
	c.refuse(t, true)
}

// With real TCP: one of two tasks does not listen. Each client is served by the other, after its SYN has come again.
func TestRedispatchEndToEnd(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 2)
	dp := openIn(t, top.lb, Options{})
	if err := dp.Sync(retrying(2, 3, true)); err != nil {
		t.Fatal(err)
	}
	greetAndEcho(top.tasks[1].listen(t, fmt.Sprintf(":%d", taskPort)), 1)
	for range 4 {
		conn, err := top.client.dial(front())
		if err != nil {
			t.Fatalf("%v; reasons %v", err, dp.Counters().Reasons)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "task1\n" {
			t.Errorf("%q, %v", line, err)
		}
	}
	s := dp.Counters()
	if s.Total.Sessions != 4 || s.Servers[102].Current != 4 || s.Servers[101].HalfOpen != 0 || s.Servers[101].Redispatches == 0 {
		t.Errorf("%+v", s)
	}
}
