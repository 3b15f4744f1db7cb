package datapath

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// anyPacket is one that may have to do with the flows of the model: mostly what TCP would send, and sometimes not.
func (x *modelRun) anyPacket() (p packet, ofTask bool) {
	r, i := x.r, x.r.IntN(2)
	flags := []uint8{syn, syn, syn | ack, ack, ack, ack, ack, ack | psh, ack | psh, fin | ack, fin | ack, fin | ack, rst | ack, 0, fin, syn | fin, syn | rst}
	client := []string{clientAddr, "2001:db8:1::10"}[i]
	p = packet{src: netip.AddrPortFrom(netip.MustParseAddr(client), uint16(5000+r.IntN(12))), dst: x.front(i), flags: flags[r.IntN(len(flags))]}
	if f := x.anyFlow(i); f != nil && r.IntN(2) == 0 {
		p.src = f.client
	}
	if r.IntN(3) > 0 {
		p.stamp = 7_000_000 + uint32(x.clock/time.Millisecond) + uint32(r.IntN(3))
	}
	f := x.flows[[2]netip.AddrPort{p.src, p.dst}]
	own, other := &modelSide{seqNext: r.Uint32()}, &modelSide{}
	if f != nil {
		own, other = &f.fwd, &f.rev
	}
	switch {
	case r.IntN(2) == 0:
		ofTask = true
		way := x.anyWay(i)
		if f != nil {
			way = f.way
		}
		p.src, p.dst = way.task, way.back
		if f != nil && !f.rev.syn && r.IntN(4) > 0 {
			p.flags = []uint8{syn | ack, syn | ack, syn | ack, syn | ack, syn | ack, rst | ack}[r.IntN(6)]
		} else if f != nil && f.state == FlowEstablished && r.IntN(3) == 0 {
			p.flags = fin | ack
		} else if f != nil && f.rev.fin && r.IntN(2) == 0 {
			p.flags = ack
		}
		own, other = other, own
	case f == nil && r.IntN(4) > 0:
		p.flags = syn
	case f != nil && f.state == FlowHalfOpen && !f.rev.syn && r.IntN(2) > 0:
		p.flags = syn
	case f != nil && f.state == FlowHalfOpen && r.IntN(4) > 0:
		p.flags = ack
	case f != nil && f.state == FlowEstablished && f.rev.fin && r.IntN(2) == 0:
		p.flags = fin | ack
	case f != nil && f.state == FlowClosed && r.IntN(4) == 0:
		p.flags = syn
	}
	p.seq, p.ack = anyNumber(r, own.seqNext), anyNumber(r, other.seqNext)
	if f != nil && f.state == FlowHalfOpen && p.flags == syn && !ofTask {
		p.seq = own.synNext - 1
	} else if p.flags == syn && r.IntN(2) == 0 { // newer than what is in TIME_WAIT somewhere
		p.seq = own.seqNext + uint32(r.IntN(1<<30))
	}
	p.payload = []string{"", "", "x", "twelve bytes"}[r.IntN(4)]
	return p, ofTask
}

// anyWay is that of a tombstone if there is one, else any.
func (x *modelRun) anyWay(service int) modelWay {
	if ways := sortedWays(x.tombs, service); len(ways) > 0 && x.r.IntN(2) == 0 {
		return ways[x.r.IntN(len(ways))]
	}
	from := []string{backAddr, backAddr6}[service]
	v := x.d.Services[service].Servers[x.r.IntN(3)]
	return modelWay{netip.AddrPortFrom(netip.MustParseAddr(from), x.first+uint16(x.r.IntN(int(x.last-x.first)+1))), v.Addr}
}

// anyFlow is one of a service's, nil if it has none.
func (x *modelRun) anyFlow(service int) *modelFlow {
	ways := sortedWays(x.backs, service)
	if len(ways) == 0 {
		return nil
	}
	return x.backs[ways[x.r.IntN(len(ways))]]
}

// sortedWays are those of a family, in an order that is the same each time.
func sortedWays[V any](of map[modelWay]V, service int) []modelWay {
	ways := slices.DeleteFunc(slices.Collect(maps.Keys(of)), func(w modelWay) bool { return w.task.Addr().Is6() != (service == 1) })
	slices.SortFunc(ways, func(a, b modelWay) int { return cmp.Or(a.task.Compare(b.task), a.back.Compare(b.back)) })
	return ways
}

// anyNumber is mostly the right one, else near it, else anywhere.
func anyNumber(r *rand.Rand, right uint32) uint32 {
	switch r.IntN(10) {
	case 0:
		return right + uint32(r.IntN(30)) - 15
	case 1:
		return r.Uint32()
	}
	return right
}

// icmp sends an error about a packet of a flow, or of none.
func (x *modelRun) icmp() {
	i := x.r.IntN(2)
	way := x.anyWay(i)
	if f := x.anyFlow(i); f != nil && x.r.IntN(3) > 0 {
		way = f.way
	}
	f := x.backs[way]
	about := packet{src: way.back, dst: way.task, flags: syn, seq: x.r.Uint32()}
	if f != nil && x.r.IntN(4) > 0 {
		about.seq = f.fwd.synNext - 1
	}
	router := []string{"203.0.113.1", "2001:db8:9::1"}[i]
	kind := []uint8{3, 1}[i]
	frame := icmpFrame(x.t, netip.MustParseAddr(router), way.back.Addr(), pkt{icmp: &icmpError{kind: kind, code: 1}}, about.frame(x.t)[14:], [6]byte{})
	switch {
	case x.tombs[way] != nil:
		x.drops(frame, "tombstone")
		return
	case f == nil:
		x.passes(frame, "")
		return
	case !f.rev.syn && f.state == FlowHalfOpen && about.seq+1 == f.fwd.synNext:
		if f.retries > 0 {
			f.refused = true
			x.drops(frame, "refused")
			return
		}
		f.reset = true
		x.seen["ICMP refusal without a retry"]++
		x.count(f).Failures++
		x.end(f)
	}
	if verdict, _ := x.send(frame); verdict != verdictRedirect {
		x.fail("verdict %d, want redirect", verdict)
	}
}

// strange sends what is no whole TCP packet of a service.
func (x *modelRun) strange() {
	p, _ := x.anyPacket()
	if p.src.Addr().Is6() {
		frame := header(unix.IPPROTO_FRAGMENT, 0, 0, 0, 1, 0, 0, 0, 7)(p.frame(x.t))
		x.passes(frame, "fragment")
		return
	}
	switch x.r.IntN(4) {
	case 0:
		p.fragment = true
		x.passes(p.frame(x.t), "fragment")
	case 1:
		p.options = []byte{1, 1, 1, 0}
		x.passes(p.frame(x.t), "ip_options")
	case 2:
		p.claim = 10
		x.passes(p.frame(x.t), "bad_length")
	default: // in transit
		p.dst = netip.AddrPortFrom(netip.MustParseAddr("203.0.113.77"), p.dst.Port())
		x.passes(p.frame(x.t), "")
	}
}
