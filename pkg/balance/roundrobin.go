package balance

import (
	"sync/atomic"

	"waggle/pkg/pool"
)

// RoundRobin walks the smooth weighted schedule of the usable servers with one atomic cursor, so it is
// exact across event loops. The cursor outlives changes of the server set.
type RoundRobin struct {
	planner
	cursor atomic.Uint64
}

// NewRoundRobin returns round robin over b.
func NewRoundRobin(b *pool.Backend) *RoundRobin {
	return &RoundRobin{planner: planner{backend: b, table: tableOf("roundrobin")}}
}

// Pick takes the next server of the schedule that has room.
func (r *RoundRobin) Pick(req Request) (pool.Target, bool) {
	p := r.current()
	n := uint64(len(p.slots))
	if n == 0 {
		return pool.Target{}, false
	}
	start := r.cursor.Add(1) - 1
	var tried *pool.Server
	for i := range n {
		t := p.at(start + i)
		if t.Server == tried { // a run of slots of one full server
			continue
		}
		if acquire(t, req.Avoid) {
			return t, true
		}
		tried = t.Server
	}
	return lastResort(p.snapshot.Targets, req.Avoid)
}

// Continue implements [Continuer].
func (r *RoundRobin) Continue(from Algorithm) {
	if o, ok := from.(*RoundRobin); ok {
		r.cursor.Store(o.cursor.Load())
	}
}
