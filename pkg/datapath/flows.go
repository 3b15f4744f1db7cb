package datapath

import (
	"encoding/binary"
	"net/netip"
)

// hostOrder turns a port as it is on the wire, read as a native integer, into a number.
func hostOrder(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}

func addrPort(addr [16]byte, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(addr).Unmap(), hostOrder(port))
}

// makeFlow describes the flow of two entries.
func makeFlow(key lbWgKey, fwd, rev lbWgFlow, now uint64) Flow {
	f := Flow{
		ID:       fwd.Generation,
		Service:  fwd.Service,
		Server:   fwd.Server,
		Client:   addrPort(key.Saddr, key.Sport),
		Front:    addrPort(key.Daddr, key.Dport),
		Back:     addrPort(fwd.Saddr, fwd.Sport),
		Task:     addrPort(fwd.Daddr, fwd.Dport),
		State:    FlowClosed,
		Age:      idle(now, fwd.Created),
		Idle:     idle(now, max(fwd.Seen, rev.Seen)),
		BytesIn:  fwd.Bytes,
		BytesOut: rev.Bytes,
	}
	switch fwd.State {
	case lbWgStateWG_HALF:
		f.State = FlowHalfOpen
	case lbWgStateWG_ESTABLISHED:
		f.State = FlowEstablished
	}
	return f
}

// flows calls yield for each flow in the table.
func (obj *object) flows(yield func(Flow) bool) error {
	now := monotonicNow()
	return eachEntry(obj.WgFlows, func(key lbWgKey, f lbWgFlow) bool {
		if f.Dir != dirForward || f.State == lbWgStateWG_DEAD {
			return true
		}
		rev, _ := twin(obj.WgFlows, f)
		return yield(makeFlow(key, f, rev, now))
	})
}
