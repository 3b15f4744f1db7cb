package datapath

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// age moves the last activity of every flow into the past.
func (k *kernel) age(t *testing.T, d time.Duration) {
	t.Helper()
	all := make(map[lbWgKey]lbWgFlow)
	if err := eachEntry(k.obj.WgFlows, func(key lbWgKey, f lbWgFlow) bool { all[key] = f; return true }); err != nil {
		t.Fatal(err)
	}
	for key, f := range all {
		f.Seen -= uint64(d)
		if err := k.obj.WgFlows.Put(key, f); err != nil {
			t.Fatal(err)
		}
	}
}

// taskCloses ends a connection so that its task is in TIME_WAIT.
func taskCloses(t *testing.T, c *conn) {
	t.Helper()
	c.fromTask(t, fin|ack, "")
	c.fromClient(t, fin|ack, "")
	c.fromTask(t, ack, "")
}

// A port whose task is in TIME_WAIT is used again for a SYN that is newer than all the task remembers, and for no other: that
// one would meet a challenge, and its client wait for a second.
func TestPortsOfTimeWait(t *testing.T) {
	const old, seq = 5_000_000, 1002 // the client's last timestamp, and what comes next of it
	for _, tt := range []struct {
		name   string
		stamp  uint32 // of the first connection
		close  func(*testing.T, *conn)
		age    time.Duration
		again  packet // the SYN, but for its ends
		reopen bool
	}{
		{"newer", 0, taskCloses, time.Second, packet{seq: seq + 1}, true},
		{"newer, half the numbers ahead", 0, taskCloses, time.Second, packet{seq: seq + 1<<31 - 1}, true},
		{"older, half the numbers behind", 0, taskCloses, time.Second, packet{seq: seq + 1<<31}, false},
		{"the very next number", 0, taskCloses, time.Second, packet{seq: seq}, false},
		{"older", 0, taskCloses, time.Second, packet{seq: seq - 1}, false},
		{"newer, timestamp the only one", 0, taskCloses, time.Second, packet{seq: seq + 1, stamp: 1}, true},
		{"newer, timestamp too", old, taskCloses, time.Second, packet{seq: seq + 1, stamp: old + 1}, true},
		{"newer, same timestamp", old, taskCloses, time.Second, packet{seq: seq + 1, stamp: old}, false},
		{"newer, older timestamp", old, taskCloses, time.Second, packet{seq: seq + 1, stamp: old - 1}, false},
		{"newer, timestamp gone", old, taskCloses, time.Second, packet{seq: seq + 1}, true},
		{"older, newer timestamp", old, taskCloses, time.Second, packet{seq: seq - 1, stamp: old + 1}, false},
		{"too soon", 0, taskCloses, 900 * time.Millisecond, packet{seq: seq + 1}, false},
		{"the client's FIN not acknowledged", 0, func(t *testing.T, c *conn) {
			c.fromTask(t, fin|ack, "")
			c.fromClient(t, fin|ack, "")
		}, time.Second, packet{seq: seq + 1}, false},
		{"the task's FIN not acknowledged", 0, func(t *testing.T, c *conn) {
			c.fromTask(t, fin|ack, "")
			c.taskSeq--
			c.fromClient(t, fin|ack, "")
			c.taskSeq++
			c.fromTask(t, ack, "")
		}, time.Second, packet{seq: seq + 1}, false},
		{"a later timestamp after the FIN", old, func(t *testing.T, c *conn) {
			taskCloses(t, c)
			c.stamp += 100
			c.fromClient(t, ack, "")
		}, time.Second, packet{seq: seq + 1, stamp: old + 50}, false},
		{"client first", 0, func(t *testing.T, c *conn) {
			c.fromClient(t, fin|ack, "")
			c.fromTask(t, fin|ack, "")
			c.fromClient(t, ack, "")
		}, time.Second, packet{seq: seq + 1}, false},
		{"ended by RST", 0, func(t *testing.T, c *conn) {
			c.fromTask(t, fin|ack, "")
			c.fromClient(t, rst|ack, "")
		}, time.Second, packet{seq: seq + 1}, false},
		{"alive", 0, func(*testing.T, *conn) {}, time.Hour, packet{seq: seq + 1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, recycled := range []bool{false, true} { // by its own client, from the same port: a tombstone holds the port
				k := newKernel(t, Options{})
				k.sync(t, oneService(1))
				k.obj.settings.PortMin, k.obj.settings.PortMax = 2000, 2000
				first := &conn{stamp: tt.stamp}
				*first = *k.open(t, client(0))
				first.stamp = tt.stamp
				first.fromTask(t, syn|ack, "")
				first.fromClient(t, ack, "")
				tt.close(t, first)
				if recycled {
					if first.state(t) != FlowClosed || !tt.reopen {
						continue
					}
					k.recycle(t, first)
				}
				k.age(t, tt.age)
				again := tt.again
				again.src, again.dst, again.flags = ap(client(1)), ap(front()), syn
				if !tt.reopen {
					k.refuse(t, again, "no_port")
					continue
				}
				want := again
				want.src, want.dst, want.ttl = first.back, first.task, 63
				k.expect(t, again, want)
				for i := range uint32(3) {
					if g := k.gauge(i); g.Entries != uint64(k.entries(t)/2) || g.Taken != g.Open {
						t.Errorf("recycled %v, gauge %d: %+v, %d entries", recycled, i, g, k.entries(t))
					}
				}
				second := &conn{k: k, client: again.src, front: again.dst, back: first.back, task: first.task, clientSeq: again.seq + 1, taskSeq: 70_000, stamp: again.stamp}
				second.fromTask(t, syn|ack, "")
				second.fromClient(t, ack, "it lives")
				second.fromTask(t, ack, "indeed")
				// What comes late of the client before is nobody's.
				if !recycled {
					k.refuse(t, packet{src: first.client, dst: first.front, flags: fin | ack, seq: first.clientSeq - 1, ack: first.taskSeq}, "no_flow")
				}
			}
		})
	}
}

// recycle has the client of a closed connection begin anew, on another port of ours, and forget that again.
func (k *kernel) recycle(t *testing.T, c *conn) {
	t.Helper()
	k.obj.settings.PortMax = 2001
	again := k.open(t, c.client.String())
	if again.back == c.back {
		t.Fatal("the port is used again at once")
	}
	again.fromTask(t, rst|ack, "")
	k.pass(t, k.collector(Timeouts{}), holdReset+time.Second, 1)
	k.obj.settings.PortMax = 2000
}

// A port is another's for one client only, however many CPUs ask.
func TestPortsOfTimeWaitAreReopenedOnce(t *testing.T) {
	k := newKernel(t, Options{HalfOpenRing: 5000})
	k.sync(t, oneService(1))
	const ports = 300
	only := func(i int) { k.obj.settings.PortMin, k.obj.settings.PortMax = uint16(2000+i), uint16(2000+i) }
	for i := range ports {
		only(i)
		taskCloses(t, k.establish(t, client(i)))
	}
	k.age(t, 2*time.Second)
	// For each port two clients ask at the same time, as near as can be.
	var ready, done atomic.Int32
	wait := func(n *atomic.Int32, want int) {
		for n.Add(1); int(n.Load()) < want; {
			runtime.Gosched()
		}
	}
	var wg sync.WaitGroup
	for cpu := range 2 {
		wg.Go(func() {
			if err := k.do(func() error {
				for i := range ports {
					if cpu == 0 {
						only(i)
					}
					p := synTo(2000 + 2*i + cpu)
					p.seq = 2000
					run := ebpf.RunOptions{Data: p.frame(t), Context: skbContext{Ifindex: loIndex}}
					wait(&ready, 2*(i+1))
					_, err := k.obj.WgIngress.Run(&run)
					wait(&done, 2*(i+1))
					if err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := k.snapshot(t).Total
	if s.HalfOpen != ports || s.Entries != ports || k.entries(t) != 2*ports {
		t.Errorf("%+v, %d entries; want %d half-open flows and no other", s, k.entries(t), ports)
	}
	if n := k.reasons(t)["no_port"]; n != ports {
		t.Errorf("%d SYNs fell through, want %d", n, ports)
	}
}
