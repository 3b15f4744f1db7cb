package datapath

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// narrowStuckMax bounds how many directions of flows are remembered from one look to the next. Those beyond are told one second later.
const narrowStuckMax = 1 << 16

// narrowing tells the ends of living flows when the MTU of an interface is lowered, as a router would with each packet that is too long (RFC
// 1191, RFC 8201): the program does not compare lengths, and the other end of the link drops what it does not take. All flows are told at
// once, and those that get nothing through are told again each second: an ICMP error may be lost, and ends forget it (Linux after ten
// minutes). Flows that begin later know the MTU from their SYNs.
type narrowing struct {
	obj  *object
	tell func(tooLong)
	wake chan struct{}

	mu     sync.Mutex // guards what follows
	ifaces map[uint32]narrow

	stuck map[lbWgKey]uint32 // of the last look: what the other end had acknowledged
}

// narrow is an interface that had a larger MTU once.
type narrow struct {
	mtu, wide uint32
	since     uint64 // monotonicNow when it was seen; flows that are older may send more than it takes
	told      bool   // all of these have been
}

// tooLong is what the sender of packets that do not fit is told: about a packet from sender to ours, which stands at seq.
type tooLong struct {
	sender, ours netip.AddrPort
	ifindex      uint32 // where it is
	seq, ack     uint32
	mtu          uint32
}

func newNarrowing(obj *object, tell func(tooLong)) *narrowing {
	return &narrowing{obj: obj, tell: tell, wake: make(chan struct{}, 1), ifaces: make(map[uint32]narrow)}
}

// note takes notice of an interface's MTU and of what it was before.
func (n *narrowing) note(ifindex, was, is uint32, now uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	of, known := n.ifaces[ifindex]
	switch {
	case is == was:
		return
	case known && is >= of.wide:
		delete(n.ifaces, ifindex)
		return
	case known && is > was:
		of.mtu = is
		n.ifaces[ifindex] = of
		return
	case is > was:
		return
	}
	n.ifaces[ifindex] = narrow{mtu: is, wide: max(was, of.wide), since: now}
	notify(n.wake)
}

// look tells all flows that have not been told, and those that have got nothing through since the last look. An interface whose last older
// flow is gone is forgotten.
func (n *narrowing) look() error {
	n.mu.Lock()
	ifaces := maps.Clone(n.ifaces)
	n.mu.Unlock()
	if len(ifaces) == 0 {
		n.stuck = nil
		return nil
	}
	alive, stuck := make(map[uint32]bool), make(map[lbWgKey]uint32)
	err := eachEntry(n.obj.WgFlows, func(key lbWgKey, f lbWgFlow) bool {
		of, ok := ifaces[f.Ifindex]
		if !ok || f.Created >= of.since || f.Dir == dirTombstone {
			return true
		}
		other, ok := twin(n.obj.WgFlows, f)
		if !ok || !flowLives(f, other) {
			return true
		}
		alive[f.Ifindex] = true
		waits := other.Ack != 0 && other.Ack != f.SeqNext
		before, waited := n.stuck[key]
		if !of.told || waits && waited && before == other.Ack {
			l := tooLong{sender: addrPort(key.Saddr, key.Sport), ours: addrPort(key.Daddr, key.Dport), ifindex: other.Ifindex, ack: f.Ack, mtu: of.mtu}
			for _, l.seq = range believed(f, other) {
				n.tell(l)
			}
		}
		if waits && len(stuck) < narrowStuckMax {
			stuck[key] = other.Ack
		}
		return true
	})
	n.stuck = stuck
	if err == nil {
		n.done(ifaces, alive)
	}
	return err
}

// done notes what a look has found.
func (n *narrowing) done(looked map[uint32]narrow, alive map[uint32]bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for ifindex, of := range looked {
		if n.ifaces[ifindex] != of { // it has changed meanwhile
			continue
		}
		if of.told = true; alive[ifindex] {
			n.ifaces[ifindex] = of
		} else {
			delete(n.ifaces, ifindex)
		}
	}
}

// flowLives tells whether a flow of these entries may have something to send yet.
func flowLives(f, other lbWgFlow) bool {
	fwd := f
	if f.Dir == dirReverse {
		fwd = other
	}
	return fwd.State == lbWgStateWG_ESTABLISHED || fwd.State == lbWgStateWG_HALF
}

// believed returns the sequence numbers that a sender may be asked about, of which it believes those from the first that is not acknowledged to
// the next that it sends (RFC 5927, section 4.1; Linux both inclusive, others without the last): what its other end waits for, and the one behind
// all that was sent. The first may have been acknowledged: of two acknowledgements that meet on two CPUs the older one may be noted last.
func believed(f, other lbWgFlow) []uint32 {
	if other.Ack == 0 || other.Ack == f.SeqNext {
		return []uint32{f.SeqNext}
	}
	return []uint32{other.Ack, f.SeqNext}
}

// tooLong sends the ICMP error. It goes by the interface that the sender's packets come by.
func (r *resetter) tooLong(t tooLong) {
	e := ended{from: netip.AddrPortFrom(t.ours.Addr(), 0), to: netip.AddrPortFrom(t.sender.Addr(), 0), ifindex: t.ifindex}
	r.emit(e, tooLongPacket(t))
}

const (
	icmpHeader       = 8
	icmp4Unreachable = 3
	icmp4TooLong     = 4 // fragmentation needed
	icmp6TooLong     = 2
)

// tooLongPacket builds the error, which quotes the headers of a packet of the sender.
func tooLongPacket(t tooLong) []byte {
	quoted := tcpPacket(t.sender, t.ours, tcpAck, t.seq, t.ack)
	src, dst := t.ours.Addr().AsSlice(), t.sender.Addr().AsSlice()
	if t.sender.Addr().Is4() {
		binary.BigEndian.PutUint16(quoted[10:], ^fold(sum(0, quoted[:ip4Header])))
		p := make([]byte, ip4Header+icmpHeader, ip4Header+icmpHeader+len(quoted))
		p = append(p, quoted...)
		ip4(p, src, dst)
		p[9] = unix.IPPROTO_ICMP
		icmp := p[ip4Header:]
		icmp[0], icmp[1] = icmp4Unreachable, icmp4TooLong
		binary.BigEndian.PutUint16(icmp[6:], uint16(min(t.mtu, 1<<16-1)))
		binary.BigEndian.PutUint16(icmp[2:], ^fold(sum(0, icmp)))
		return p
	}
	p := make([]byte, ip6Header+icmpHeader, ip6Header+icmpHeader+len(quoted))
	p = append(p, quoted...)
	ip6(p, src, dst)
	icmp := p[ip6Header:]
	binary.BigEndian.PutUint16(p[4:], uint16(len(icmp)))
	p[6] = unix.IPPROTO_ICMPV6
	icmp[0] = icmp6TooLong
	binary.BigEndian.PutUint32(icmp[4:], t.mtu)
	binary.BigEndian.PutUint16(icmp[2:], ^fold(sum(sum(sum(uint32(unix.IPPROTO_ICMPV6)+uint32(len(icmp)), src), dst), icmp)))
	return p
}
