package datapath

import (
	"testing"
	"time"
)

// Half-open flows hold a quarter of the places of a limit at most, and one at least: what comes beyond goes to userspace,
// until a handshake is finished or its time is over.
func TestHalfOpenFlowsLeavePlacesToOthers(t *testing.T) {
	for what, limit := range map[string]func(d *Desired, n uint32){
		"process":  func(d *Desired, n uint32) { d.GlobalLimit = n },
		"frontend": func(d *Desired, n uint32) { d.Services[0].Limit = n },
		"server":   func(d *Desired, n uint32) { d.Services[0].Servers[0].Limit = n },
	} {
		for places, half := range map[uint32]int{1: 1, 3: 1, 8: 2, 100: 25} {
			k := newKernel(t, Options{})
			d := oneService(1)
			limit(&d, places)
			k.sync(t, d)
			var conns []*conn
			for i := range half {
				conns = append(conns, k.open(t, client(i)))
			}
			if reason := "half_open"; places == 1 {
				k.refuse(t, synTo(half), map[string]string{"process": "global_limit", "frontend": "service_limit", "server": "servers_full"}[what])
			} else {
				k.refuse(t, synTo(half), reason)
			}
			if what == "process" && int(k.gauge(0).Taken) != half {
				t.Errorf("%s: %d of %d places are taken", what, k.gauge(0).Taken, places)
			}
			conns[0].fromClient(t, syn, "") // a retransmission is no other one
			conns[0].clientSeq -= 1
			conns[0].fromTask(t, syn|ack, "")
			conns[0].fromClient(t, ack, "")
			if places > 1 {
				k.open(t, client(half))
			}
		}
	}
}

// While connections wait in userspace a client that does not go on keeps its place for two seconds only.
func TestHalfOpenFlowsAreShortLivedWhereOthersWait(t *testing.T) {
	for _, tt := range []struct {
		answered, awaited bool
		gone              time.Duration
	}{
		{true, true, halfOpenAwaited}, {true, false, HalfOpenMin}, {false, true, halfOpenAwaited}, {false, false, HalfOpenMin},
	} {
		k := newKernel(t, Options{})
		d := oneService(1)
		d.Services[0].Limit = 1
		k.sync(t, d)
		half := k.open(t, client(0))
		if tt.answered {
			half.fromTask(t, syn|ack, "")
		}
		if tt.awaited {
			k.obj.places(k.planner.gauges.used[gaugeKey{id: 7}]).Waiting.Add(1)
		}
		c := k.collector(Timeouts{})
		k.pass(t, c, tt.gone-500*time.Millisecond, 0)
		k.pass(t, c, tt.gone+500*time.Millisecond, 1)
		if g := k.gaugeOf(t, 101); g.Taken != 0 {
			t.Errorf("%+v: %d places are taken still", tt, g.Taken)
		}
	}
}

// A client whose servers do not answer is told so when `timeout connect` has passed at each attempt that `retries` allows, as HAProxy
// has it, although its SYNs go on to come: once, by a RST that a socket in SYN_SENT believes. The server hears nothing.
func TestAClientIsToldThatNoServerAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		retries      uint32
		prepare      func(c *conn)
		spared, told time.Duration // since the first SYN
	}{
		"no retries":        {0, func(*conn) {}, 4500 * time.Millisecond, 5500 * time.Millisecond},
		"retries are left":  {3, func(*conn) {}, 19500 * time.Millisecond, 20500 * time.Millisecond},
		"retries used up":   {1, func(c *conn) { c.late(t); c.late(t); c.late(t); c.again(t) }, 4500 * time.Millisecond, 5500 * time.Millisecond},
		"too many to count": {1<<32 - 1, func(*conn) {}, time.Hour, 0},
		"refused":           {1, func(c *conn) { c.refuse(t, false) }, 19 * time.Second, 0},
		"answered":          {0, func(c *conn) { c.fromTask(t, syn|ack, "") }, 19 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKernel(t, Options{})
			d := loggedService(1)
			d.Services[0].Retries, d.Services[0].Timeouts.Connect = tt.retries, 5*time.Second
			k.sync(t, d)
			conn := k.open(t, client(0))
			tt.prepare(conn)
			timeouts := d.Services[0].Timeouts
			timeouts.retries = tt.retries
			c := k.collector(timeouts)
			var told []ended
			c.reset = func(e ended) { told = append(told, e) }
			keep := func(d time.Duration, gone int) {
				t.Helper()
				// Its SYNs come again all the time, so that it is not idle.
				k.edit(t, keyOf(conn.client, conn.front), func(f *lbWgFlow) { f.Seen = monotonicNow() + uint64(d) - uint64(3*time.Second) })
				k.edit(t, keyOf(conn.task, conn.back), func(f *lbWgFlow) { f.Seen = monotonicNow() + uint64(d) - uint64(3*time.Second) })
				k.pass(t, c, d, gone)
			}
			keep(tt.spared, 0)
			if len(told) > 0 {
				t.Fatalf("told too early: %+v", told)
			}
			if tt.told == 0 {
				return
			}
			keep(tt.told, 1)
			if len(told) != 1 || told[0].from != conn.front || told[0].to != conn.client || told[0].spoke != conn.clientSeq {
				t.Errorf("told %+v, want one RST to %v that acknowledges %d", told, conn.client, conn.clientSeq)
			}
			if e := k.events(t); len(e) != 1 || e[0].End != EndConnectTimeout {
				t.Errorf("events %+v", e)
			}
			if s := k.snapshot(t).Total; s.Failures != 1 || s.Entries != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}
