package datapath

import (
	"maps"
	"time"
)

// collect has the collector look at all, and demands that what is over is gone and nothing else.
func (x *modelRun) collect() {
	_, err := x.c.pass(monotonicNow())
	x.check(err)
	left := make(map[modelWay]bool)
	x.check(eachEntry(x.k.obj.WgFlows, func(key lbWgKey, f lbWgFlow) bool {
		if f.Dir != dirForward {
			left[modelWay{addrPort(key.Daddr, key.Dport), addrPort(key.Saddr, key.Sport)}] = true
		}
		return true
	}))
	for way, t := range maps.Clone(x.tombs) {
		hold := 32 * time.Second
		if t.ended {
			hold = 66 * time.Second
		}
		if x.gone(left[way], t.seen, hold, "tombstone") {
			x.seen["tombstone collected"]++
			x.exhume(way)
		}
	}
	for way, f := range maps.Clone(x.backs) {
		if !left[way] && x.givenUp(f) {
			x.seen["client given up"]++
		} else if life, since := x.life(f); !x.gone(left[way], since, life, "flow") {
			if sure, _ := x.unanswered(f); sure {
				x.fail("a client whose servers do not answer is not told")
			}
			continue
		}
		x.seen[string(f.state)+" flow collected"]++
		x.expire(f)
		x.forget(f)
	}
}

// gone tells whether something was deleted, which it must be, or not, by the time that has passed since.
func (x *modelRun) gone(left bool, since moment, life time.Duration, what string) bool {
	sure, perhaps := x.passed(since, life)
	if left && sure || !left && !perhaps {
		x.fail("a %s is left: %v, %v and %v after its last activity, of %v", what, left, x.clock-since.set, time.Since(since.wall), life)
	}
	return !left
}

// unanswered tells whether a client has waited for servers that do not answer for as long as it has to.
func (x *modelRun) unanswered(f *modelFlow) (sure, perhaps bool) {
	t := x.timeouts(f.service)
	if f.state != FlowHalfOpen || f.rev.syn || f.refused || t.Connect == 0 {
		return false, false
	}
	sure, perhaps = x.passed(f.attempt, t.Connect)
	if f.retries > 0 {
		allSure, all := x.passed(f.created, t.Connect*time.Duration(t.retries+1))
		sure, perhaps = sure && allSure, perhaps && all
	}
	quiet, _ := x.passed(f.fwd.seen, halfOpenAwaited) // the collector is not shown whose SYN has just come
	sure = sure && quiet
	return sure, perhaps
}

func (x *modelRun) givenUp(f *modelFlow) bool {
	_, perhaps := x.unanswered(f)
	return perhaps
}

// life is how long a flow may be idle, and since when it is.
func (x *modelRun) life(f *modelFlow) (time.Duration, moment) {
	last := f.fwd.seen
	if f.rev.seen.wall.After(last.wall) {
		last = f.rev.seen
	}
	t := x.timeouts(f.service)
	switch {
	case f.state == FlowHalfOpen && x.gauge(gaugeKey{id: f.service}).waiting > 0:
		return 2 * time.Second, f.fwd.seen
	case f.state == FlowHalfOpen:
		return max(20*time.Second, t.Connect), last
	case f.reset:
		return 2 * time.Second, last
	case f.state == FlowClosed && f.closer == &f.fwd:
		return 5 * time.Second, last
	case f.state == FlowClosed:
		return 66 * time.Second, last
	case f.fwd.fin:
		return t.ClientFin, last
	case f.rev.fin:
		return t.ServerFin, last
	}
	return min(t.Client, t.Server), last
}

// expire counts the end of a flow whose time is over.
func (x *modelRun) expire(f *modelFlow) {
	c := x.count(f)
	switch {
	case f.state == FlowHalfOpen && !f.rev.syn:
		c.Failures++
	case f.state == FlowEstablished:
		c.Ended++
		if f.fwd.fin {
			c.ClientAborts++
		} else {
			c.ServerTimeouts++
		}
	}
}

// shutdown ends the sessions of a server.
func (x *modelRun) shutdown() {
	server := x.d.Services[x.r.IntN(2)].Servers[x.r.IntN(3)].ID
	n, err := x.c.shutdown(EndServerDown, func(f Flow) bool { return f.Server == server })
	x.check(err)
	want := 0
	for _, f := range maps.Clone(x.backs) {
		if f.server != server || f.state == FlowClosed {
			continue
		}
		if want++; f.state == FlowEstablished {
			x.count(f).Ended++
		}
		x.seen["flow shut down"]++
		x.forget(f)
	}
	if n != want {
		x.fail("%d flows of server %d were shut down, want %d", n, server, want)
	}
}

// checkNumbers compares what is cheap to read.
func (x *modelRun) checkNumbers() {
	for key, want := range x.gauges {
		index := uint32(0)
		if key != (gaugeKey{}) {
			index = x.k.planner.gauges.used[key]
		}
		g := x.k.gauge(index)
		got := modelGauge{open: int(g.Open), established: int(g.Established), held: int(g.Entries - g.Open), user: int(g.Taken) - int(g.Open), waiting: want.waiting}
		if got != *want {
			x.fail("the numbers of %+v are %+v, want %+v", key, got, *want)
		}
	}
}

// checkReasons compares how often each was counted.
func (x *modelRun) checkReasons() {
	for name, n := range x.k.reasons(x.t) {
		if n != x.reasons[name] {
			x.fail("%s was counted %d times, want %d", name, n, x.reasons[name])
		}
	}
}

// checkAll compares every flow and counter.
func (x *modelRun) checkAll() {
	if n := x.k.entries(x.t); n != x.entries() {
		x.fail("%d entries, want %d", n, x.entries())
	}
	for _, f := range x.k.flows(x.t) {
		want := x.backs[modelWay{f.Back, f.Task}]
		if want == nil || f.Client != want.client || f.State != want.state || f.Server != want.server || f.BytesIn != want.fwd.bytes || f.BytesOut != want.rev.bytes {
			x.fail("flow %+v, want %+v", f, want)
		}
	}
	for key, index := range x.k.planner.counters.used {
		var got Counts
		got.add(x.k.obj.counter(index))
		if got.Connect.Sum < 0 || got.Connect.Longest > got.Life.Longest+time.Millisecond || got.Connect.Sum > got.Life.Sum {
			x.fail("times %+v of connecting, %+v of the whole", got.Connect, got.Life)
		}
		got.Connect, got.Life = Spans{}, Spans{} // time is set forward
		want := x.counts[key]
		if want == nil {
			want = &Counts{}
		}
		if got != *want {
			x.fail("counters of %+v: %+v, want %+v", key, got, *want)
		}
	}
}
