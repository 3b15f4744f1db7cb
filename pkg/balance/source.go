package balance

import (
	"net/netip"

	"waggle/pkg/pool"
)

// source sends a client address always to the same server while the set of servers stays as it is
// (hash-type map-based, HAProxy's default). A full server is not replaced by another one: the session
// waits.
type source struct{ planner }

func (s *source) Pick(req Request) (pool.Target, bool) {
	p := s.current()
	if len(p.slots) == 0 {
		return pool.Target{}, false
	}
	t := p.at(uint64(hashAddr(req.Src)))
	if acquire(t, req.Avoid) {
		return t, true
	}
	if t.Server != req.Avoid {
		return pool.Target{}, false
	}
	for _, other := range p.snapshot.Targets { // redispatch: the server itself failed
		if acquire(other, req.Avoid) {
			return other, true
		}
	}
	return lastResort(p.snapshot.Targets, req.Avoid)
}

// hashAddr reduces an address to 32 bits as HAProxy does for `balance source`: the exclusive or of its
// 32-bit words in network order.
func hashAddr(a netip.Addr) uint32 {
	a = a.Unmap()
	var h uint32
	for b := a.AsSlice(); len(b) >= 4; b = b[4:] {
		h ^= uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	}
	return h
}
