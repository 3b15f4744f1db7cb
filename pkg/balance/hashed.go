package balance

import (
	"sync/atomic"

	"waggle/pkg/pool"
)

// hashed sends a key always to the same server, which it looks up in the table. A session without a key goes
// round the table.
type hashed struct {
	planner
	hash func(Request) (h uint32, ok bool)
	turn atomic.Uint64
}

// newMapped is `hash-type map-based`.
func newMapped(b *pool.Backend) Algorithm {
	return &hashed{
		planner: planner{backend: b, table: func(t []pool.Target) []int { return keyMap(Weights(t)) }},
		hash:    func(req Request) (uint32, bool) { return req.Hash, req.Hashed },
	}
}

// maxMap is the largest number of slots in the table of a map-based hash: that of 256 servers of the largest weight.
const maxMap = 1 << 16

// keyMap spreads servers over a table in the order in which HAProxy 2.6 was seen to do it, so that keys find the
// servers that they find there. It is Schedule's, except that who is ahead counts in whole totals only: among all of
// the same class the first wins. It holds indices into weights.
func keyMap(weights []int) []int {
	weights, total := quantise(weights, maxMap)
	slots := make([]int, 0, total)
	ahead := make([]int, len(weights))
	for range total {
		best, most := -1, 0
		for i, w := range weights {
			ahead[i] += w
			if class := (ahead[i] + total) / total; w > 0 && (best < 0 || class > most) {
				best, most = i, class
			}
		}
		ahead[best] -= total
		slots = append(slots, best)
	}
	return slots
}

// Pick implements Algorithm.
func (h *hashed) Pick(req Request) (pool.Target, bool) {
	p := h.current()
	n := uint64(len(p.slots))
	if n == 0 {
		return pool.Target{}, false
	}
	key, keyed := h.hash(req)
	at := uint64(key) % n
	if !keyed {
		at = h.turn.Add(1) - 1
	}
	t := p.at(at)
	if acquire(t, req.Avoid) {
		return t, true
	}
	if keyed && t.Server != req.Avoid {
		return pool.Target{}, false
	}
	// Without a key any server will do. With one it is a redispatch: the server itself failed, and the next ones in the
	// table take its keys, as the kernel path has it for `balance source`.
	for i := range n {
		if next := p.at(at + i); acquire(next, req.Avoid) {
			return next, true
		}
	}
	return lastResort(p.snapshot.Targets, req.Avoid)
}

// Bound implements Binder.
func (h *hashed) Bound(req Request) *pool.Server {
	p := h.current()
	key, keyed := h.hash(req)
	if len(p.slots) == 0 || !keyed {
		return nil
	}
	if t := p.at(uint64(key) % uint64(len(p.slots))); t.Server != req.Avoid {
		return t.Server
	}
	return nil
}
