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
