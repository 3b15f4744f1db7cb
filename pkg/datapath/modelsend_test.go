package datapath

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/cilium/ebpf"
)

// send runs the program.
func (x *modelRun) send(frame []byte) (verdict int, out []byte) {
	run := ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256), Context: skbContext{IngressIfindex: loIndex, Ifindex: loIndex}}
	x.started = time.Now()
	ret, err := x.k.obj.WgIngress.Run(&run)
	x.check(err)
	return int(int32(ret)), run.DataOut
}

// passes demands that a packet goes on unchanged.
func (x *modelRun) passes(frame []byte, reason string) {
	verdict, out := x.send(frame)
	x.passedOn(verdict, out, frame, reason)
}

func (x *modelRun) passedOn(verdict int, out, frame []byte, reason string) {
	if verdict != verdictNext || !bytes.Equal(out, frame) {
		x.fail("verdict %d, want it to pass unchanged for %q", verdict, reason)
	}
	x.because(reason)
}

func (x *modelRun) drops(frame []byte, reason string) {
	if verdict, _ := x.send(frame); verdict != verdictDrop {
		x.fail("verdict %d, want it dropped for %q", verdict, reason)
	}
	x.because(reason)
}

func (x *modelRun) because(reason string) {
	if reason != "" {
		x.reasons[reason]++
	}
}

// leaves demands that a packet has left as it was but for its ends.
func (x *modelRun) leaves(verdict int, out []byte, p packet, src, dst netip.AddrPort) {
	p.src, p.dst, p.ttl = src, dst, 63
	if want := p.frame(x.t); verdict != verdictRedirect || !bytes.Equal(out, want) {
		x.fail("verdict %d, leaves as %x, want %x", verdict, out, want)
	}
}

func (x *modelRun) fromTask(p packet) {
	way := modelWay{p.dst, p.src}
	frame := p.frame(x.t)
	f := x.backs[way]
	switch {
	case x.tombs[way] != nil:
		x.drops(frame, "tombstone")
		return
	case f == nil:
		x.passes(frame, "")
		return
	case p.flags&rst != 0 && !f.rev.syn && f.state == FlowHalfOpen && f.retries > 0 && p.ack == f.fwd.seqNext:
		f.refused = true
		x.drops(frame, "refused")
		return
	}
	verdict, out := x.send(frame)
	x.note(f, &f.rev, &f.fwd, p)
	x.leaves(verdict, out, p, f.front, f.client)
}

func (x *modelRun) fromClient(p packet) {
	f := x.flows[[2]netip.AddrPort{p.src, p.dst}]
	if f != nil && f.state == FlowClosed && opening(p) {
		x.recycle(f)
		f = nil
	}
	frame := p.frame(x.t)
	verdict, out := x.send(frame)
	switch {
	case f == nil && !opening(p):
		x.passedOn(verdict, out, frame, "no_flow")
		return
	case f == nil:
		if f = x.claim(p, verdict, out); f == nil {
			x.passedOn(verdict, out, frame, "")
			return
		}
	case opening(p):
		if x.retry(f, p, verdict, out) {
			break
		}
		if f = x.beginAnew(p, verdict, out); f == nil {
			x.passedOn(verdict, out, frame, "")
			return
		}
	default:
		x.promote(f, p)
	}
	x.note(f, &f.fwd, &f.rev, p)
	x.leaves(verdict, out, p, f.way.back, f.way.task)
}

// claim says what becomes of a SYN without a flow, given what has become of it; nil if it was left to the stack.
func (x *modelRun) claim(p packet, verdict int, out []byte) *modelFlow {
	s := x.services[p.dst]
	if reason := x.barred(s); reason != "" {
		x.because(reason)
		return nil
	}
	outcomes := chooser{x.model, s, 0}.outcomes(p.src.Addr())
	if verdict == verdictRedirect {
		x.begun++
		v, way := x.chosen(outcomes, p, out, 2)
		return x.begin(s, p, v, way)
	}
	got := x.grown()
	for _, o := range outcomes {
		if o.server == nil && o.reason == got {
			x.because(got)
			return nil
		}
	}
	for _, o := range outcomes {
		if o.server == nil {
			continue
		}
		if _, reasons := x.verdicts(o.server, p, 2); slices.Contains(reasons, got) {
			x.begun++
			x.because(got)
			x.lostTombs()
			return nil
		}
	}
	x.fail("verdict %d for %q; want one of %+v", verdict, got, outcomes)
	return nil
}

// barred is what keeps all SYNs of a service from being taken.
func (x *modelRun) barred(s *Service) string {
	switch {
	case x.stale:
		return "stale"
	case s.Queued || x.gauge(gaugeKey{id: s.ID}).waiting > 0:
		return "queued"
	}
	for _, g := range []struct {
		key    gaugeKey
		reason string
	}{{gaugeKey{}, "global_limit"}, {gaugeKey{id: s.ID}, "service_limit"}} {
		switch x.enter(g.key) {
		case "full":
			return g.reason
		case "half_open":
			return "half_open"
		}
	}
	return ""
}

// grown is the reason that has been counted and not been expected yet.
func (x *modelRun) grown() (reason string) {
	for name, n := range x.k.reasons(x.t) {
		if n > x.reasons[name] {
			reason = name
		}
	}
	return reason
}

// chosen says where a SYN went, which must be one of the outcomes.
func (x *modelRun) chosen(outcomes []outcome, p packet, out []byte, need int) (*Server, modelWay) {
	got := decode(x.t, out)
	way := modelWay{got.src, got.dst}
	for _, o := range outcomes {
		if o.server == nil || o.server.Addr != way.task {
			continue
		}
		ways, _ := x.ports(o.server, p)
		if u, ok := ways[way]; !ok || !u.perhaps {
			x.fail("port %s, which %+v has, or %+v", way.back, x.backs[way], x.tombs[way])
		}
		if ways[way].free && x.room-x.entries() < need {
			x.fail("taken, though there is room for %d entries", x.room-x.entries())
		}
		return o.server, way
	}
	x.fail("goes to %s, want one of %+v", way.task, outcomes)
	return nil, modelWay{}
}

// lostTombs notes tombstones whose port was taken by a SYN that found no room then.
func (x *modelRun) lostTombs() {
	for way, t := range x.tombs {
		var f lbWgFlow
		err := x.k.obj.WgFlows.Lookup(lbWgKey{Saddr: way.task.Addr().As16(), Daddr: way.back.Addr().As16(), Sport: netOrder(way.task.Port()), Dport: netOrder(way.back.Port())}, &f)
		if errors.Is(err, ebpf.ErrKeyNotExist) && t.waits && x.room == x.entries() {
			x.exhume(way)
			return
		}
	}
}

// beginAnew says what becomes of a SYN whose flow was abandoned.
func (x *modelRun) beginAnew(p packet, verdict int, out []byte) *modelFlow {
	places := x.placesOnTheRing() // of the attempt to find it another server as well
	if verdict == verdictRedirect {
		x.begun = places - 1
		return x.claim(p, verdict, out)
	}
	f := x.claim(p, verdict, out)
	x.begun = places
	return f
}

// retry says what becomes of a client's SYN that comes again, given what has become of it; false: it belongs to no flow any more.
func (x *modelRun) retry(f *modelFlow, p packet, verdict int, out []byte) bool {
	s := x.services[p.dst]
	if f.state != FlowHalfOpen || f.retries == 0 || f.rev.syn {
		return true
	}
	sure, perhaps := x.passed(f.attempt, s.Timeouts.Connect)
	if late := s.Timeouts.Connect > 0 && (sure || perhaps && x.hasRetried(f)); !f.refused && !late {
		return true
	}
	avoid := f.server
	if x.hasLeft(f) {
		avoid = 0 // it may be chosen at another address
		x.seen["retry after the server has left"]++
	}
	if (avoid == 0 || s.Redispatch > 0 && (s.Retries+1-f.retries)%s.Redispatch == 0) && x.redispatch(s, avoid, f, p, verdict, out) {
		return true
	}
	if avoid == 0 {
		x.abandon(f)
		return false
	}
	x.count(f).Retries++
	f.retries--
	f.refused, f.attempt = false, x.now()
	x.seen["retry"]++
	return true
}

// hasRetried tells whether the program has counted an attempt that the model has not.
func (x *modelRun) hasRetried(f *modelFlow) bool {
	c, want := x.k.obj.counter(x.k.planner.counters.used[pair{f.service, f.server}]), x.count(f)
	return c.Retries+c.Redispatches > want.Retries+want.Redispatches
}

// hasLeft tells whether no server is where the flow's is any more.
func (x *modelRun) hasLeft(f *modelFlow) bool {
	return !slices.ContainsFunc(x.d.Services, func(s Service) bool {
		return slices.ContainsFunc(s.Servers, func(v Server) bool { return v.ID == f.server && v.Addr == f.way.task })
	})
}

// redispatch tells whether the flow has moved, and demands that it has if it can.
func (x *modelRun) redispatch(s *Service, avoid uint32, f *modelFlow, p packet, verdict int, out []byte) bool {
	outcomes := chooser{x.model, s, avoid}.outcomes(p.src.Addr())
	mayStay, mayMove := false, false
	for _, o := range outcomes {
		if o.server == nil {
			mayStay = true
			continue
		}
		taken, reasons := x.verdicts(o.server, p, 1)
		mayMove, mayStay = mayMove || taken, mayStay || len(reasons) > 0
	}
	moved := x.hasMoved(f, verdict, out)
	if verdict != verdictRedirect && avoid != 0 {
		x.fail("verdict %d, want redirect", verdict)
	}
	if moved && !mayMove || !moved && !mayStay {
		x.fail("moved: %v; may stay: %v, may move: %v; %+v", moved, mayStay, mayMove, outcomes)
	}
	if !moved { // it may have got as far as to a server
		x.begun = x.placesOnTheRing()
		return false
	}
	x.begun++
	v, way := x.chosen(outcomes, p, out, 1)
	x.move(f, v, way)
	return true
}

// hasMoved tells whether a SYN that came again has gone another way as the same flow.
func (x *modelRun) hasMoved(f *modelFlow, verdict int, out []byte) bool {
	if verdict != verdictRedirect {
		return false
	}
	got := decode(x.t, out)
	var entry lbWgFlow
	x.check(x.k.obj.WgFlows.Lookup(lbWgKey{Saddr: f.client.Addr().As16(), Daddr: f.front.Addr().As16(), Sport: netOrder(f.client.Port()), Dport: netOrder(f.front.Port())}, &entry))
	return modelWay{got.src, got.dst} != f.way && entry.Flags&lbWgFlowFlagWG_FLOW_MOVED != 0
}

// placesOnTheRing is how many flows, and attempts to make one, have asked for a place on the ring of the run's CPU.
func (x *modelRun) placesOnTheRing() int {
	begun := make([]uint64, ebpf.MustPossibleCPU())
	x.check(x.k.obj.WgBegun.Lookup(uint32(0), begun))
	return int(begun[x.cpu])
}
