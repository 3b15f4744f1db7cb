package datapath

import (
	"testing"
	"time"
)

// collectorAt returns a collector for k with these timeouts.
func (k *kernel) collector(t Timeouts) *collector {
	return &collector{obj: k.obj, timeouts: func(uint32) Timeouts { return t }, each: func(yield func(Timeouts)) { yield(t) }}
}

// pass runs the collector as if d had gone by since the last packet, and demands how many flows it deletes. What this machine has taken
// since then, which may be more than a test is exact to, does not count.
func (k *kernel) pass(t *testing.T, c *collector, d time.Duration, want int) {
	t.Helper()
	now, last := monotonicNow(), uint64(0)
	if err := eachEntry(k.obj.WgFlows, func(_ lbWgKey, f lbWgFlow) bool {
		for _, at := range []uint64{f.Created, f.Seen} {
			if at <= now { // a test may have set it forward
				last = max(last, at)
			}
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	got, err := c.pass(last + uint64(d))
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("after %v %d flows were deleted, want %d", d, got, want)
	}
}

func TestCollector(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	c := k.collector(Timeouts{Client: 50 * time.Second, Server: 40 * time.Second})

	half := k.open(t, client(0))
	k.establish(t, client(1))
	closed := k.establish(t, client(2))
	closed.fromClient(t, fin|ack, "")
	closed.fromTask(t, fin|ack, "")

	k.pass(t, c, time.Second, 0)
	k.pass(t, c, holdClientFirst+time.Second, 1)
	if s := closed.state(t); s != "none" {
		t.Errorf("the closed flow is %s", s)
	}
	k.pass(t, c, HalfOpenMin+time.Second, 1)
	if s := half.state(t); s != "none" {
		t.Errorf("the half-open flow is %s", s)
	}
	k.pass(t, c, 39*time.Second, 0)
	k.pass(t, c, 41*time.Second, 1)
	if n := k.entries(t); n != 0 {
		t.Errorf("%d entries are left", n)
	}
	for i := range uint32(4) {
		if g := k.gauge(i); g.Entries != 0 || g.Open != 0 || g.Established != 0 {
			t.Errorf("gauge %d: %+v", i, g)
		}
	}
}

func TestCollectorDeletesInBatches(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	const n = 3*128 + 5
	for i := range n {
		k.open(t, client(i))
	}
	k.pass(t, k.collector(Timeouts{}), time.Minute, n)
	if left := k.entries(t); left != 0 {
		t.Errorf("%d entries are left", left)
	}
}

// Between the look at a flow and its deletion the flow may move: then it stays.
func TestCollectorSparesWhatHasMoved(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	c := k.collector(Timeouts{Client: time.Second})
	for name, move := range map[string]func(*conn){
		"data":   func(f *conn) { f.fromClient(t, ack, "x") },
		"answer": func(f *conn) { f.fromTask(t, ack, "x") },
		"anew": func(f *conn) {
			f.fromClient(t, fin|ack, "")
			f.fromTask(t, fin|ack, "")
			k.establish(t, f.client.String())
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := k.establish(t, client(len(name)))
			var key lbWgKey
			var fwd lbWgFlow
			if err := eachEntry(k.obj.WgFlows, func(at lbWgKey, e lbWgFlow) bool {
				if e.Dir == dirForward && addrPort(at.Saddr, at.Sport) == f.client {
					key, fwd = at, e
				}
				return true
			}); err != nil {
				t.Fatal(err)
			}
			doomed, ok := c.judge(key, fwd, monotonicNow()+uint64(time.Minute), false)
			if !ok {
				t.Fatal("the flow is not judged to be over")
			}
			tick() // activity is stamped by a clock of a few milliseconds
			move(f)
			if n, err := c.execute([]sentence{doomed}); n != 0 || err != nil {
				t.Fatalf("%d deleted, %v", n, err)
			}
			if s := f.state(t); s != FlowEstablished {
				t.Errorf("the flow is %s", s)
			}
		})
	}
}

// tick waits until the kernel's coarse clock moves.
func tick() {
	for start := monotonicNow(); monotonicNow() == start; {
		time.Sleep(time.Millisecond)
	}
}

func TestCollectorTakesOrphans(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	k.establish(t, client(0))
	f := k.establish(t, client(1))
	k.lose(t, keyOf(f.client, f.front))
	c := k.collector(Timeouts{})
	k.pass(t, c, time.Hour, 0)
	c.passes = orphanPasses - 1
	k.pass(t, c, time.Second, 0)
	c.passes = orphanPasses - 1
	k.pass(t, c, time.Hour, 1)
	if n := k.entries(t); n != 2 {
		t.Errorf("%d entries, want those of the other flow", n)
	}
}

func netOrder(port uint16) uint16 { return hostOrder(port) } // swapping twice is no change

func TestLifetime(t *testing.T) {
	const s = time.Second
	flow := func(state lbWgState, fwdFlags, revFlags uint32) [2]lbWgFlow {
		return [2]lbWgFlow{{State: state, TcpFlags: fwdFlags}, {TcpFlags: revFlags}}
	}
	byServer := flow(lbWgStateWG_CLOSED, tcpFin, tcpFin)
	byServer[0].Closer = 1 + dirReverse
	byClient := flow(lbWgStateWG_CLOSED, tcpFin, tcpFin)
	byClient[0].Closer = 1 + dirForward
	all := Timeouts{Connect: 5 * s, Client: 50 * s, Server: 60 * s, ClientFin: 3 * s, ServerFin: 4 * s}
	tunnel := all
	tunnel.Tunnel = 3600 * s
	for _, tt := range []struct {
		name string
		flow [2]lbWgFlow
		t    Timeouts
		want time.Duration
	}{
		{"half-open", flow(lbWgStateWG_HALF, 0, 0), all, HalfOpenMin},
		{"half-open, long connect", flow(lbWgStateWG_HALF, 0, 0), Timeouts{Connect: 30 * s}, 30 * s},
		{"established", flow(lbWgStateWG_ESTABLISHED, 0, 0), all, 50 * s},
		{"established, one timeout", flow(lbWgStateWG_ESTABLISHED, 0, 0), Timeouts{Server: 60 * s}, 60 * s},
		{"established, none", flow(lbWgStateWG_ESTABLISHED, 0, 0), Timeouts{}, 8000 * s},
		{"tunnel", flow(lbWgStateWG_ESTABLISHED, 0, 0), tunnel, 3600 * s},
		{"client's FIN", flow(lbWgStateWG_ESTABLISHED, tcpFin, 0), tunnel, 3 * s},
		{"server's FIN", flow(lbWgStateWG_ESTABLISHED, 0, tcpFin), tunnel, 4 * s},
		{"server's FIN, no timeout for it", flow(lbWgStateWG_ESTABLISHED, 0, tcpFin), Timeouts{Client: 50 * s}, 50 * s},
		{"both FINs crossed", flow(lbWgStateWG_ESTABLISHED, tcpFin, tcpFin), all, holdServerFirst},
		{"server closed first", byServer, all, 66 * s},
		{"client closed first", byClient, all, holdClientFirst},
		{"reset, noted in the forward entry", flow(lbWgStateWG_CLOSED, tcpRst, 0), all, holdReset},
	} {
		if got := lifetime(tt.flow[0], tt.flow[1], tt.t); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if least := shortestLife(tt.flow[0], tt.t); least > tt.want {
			t.Errorf("%s: shortestLife is %v, more than %v", tt.name, least, tt.want)
		}
	}
}
