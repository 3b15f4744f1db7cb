package balance

import (
	"net/netip"

	"waggle/pkg/pool"
)

// newSource sends a client address always to the same server, by a Maglev table over the servers' addresses: as
// long as the set of servers stays as it is (what HAProxy promises), on every balancer alike whatever slots
// the servers have there, and for nearly all clients also when another server comes or goes. A full server
// is not replaced by another one: the session waits.
func newSource(b *pool.Backend) Algorithm {
	return &hashed{planner: planner{backend: b, table: sourceTable}, hash: func(req Request) (uint32, bool) { return SourceHash(req.Src), true }}
}

// sourceTable is the Maglev table over the targets. Weights count as they are set: a server that warms up must not
// take clients over one by one.
func sourceTable(targets []pool.Target) []int {
	members := make([]Member, len(targets))
	for i, t := range targets {
		members[i] = Member{Key: t.Addr.String(), Weight: t.Weight}
	}
	return Maglev(members)
}

// SourceHash reduces a client's address to 32 bits: the exclusive or of its 32-bit words in network order, as
// HAProxy does, then mixed so that neighbours go different ways (the finaliser of MurmurHash3). An IPv4
// address in its IPv6 form is the IPv4 address. The kernel path has the same function (bpf/addr.h).
func SourceHash(a netip.Addr) uint32 {
	a = a.Unmap()
	var h uint32
	for b := a.AsSlice(); len(b) >= 4; b = b[4:] {
		h ^= uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	}
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}
