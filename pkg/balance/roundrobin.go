package balance

import (
	"sync/atomic"

	"waggle/pkg/pool"
)

// roundRobin walks the smooth weighted schedule of the usable servers with one atomic cursor, so it is
// exact across event loops. The cursor outlives changes of the server set.
type roundRobin struct {
	planner
	cursor atomic.Uint64
}

// newRoundRobin makes roundrobin or static-rr.
func newRoundRobin(b *pool.Backend, name string) *roundRobin {
	return &roundRobin{planner: planner{backend: b, table: tableOf(name)}}
}

// Pick takes the next server of the schedule that has room.
func (r *roundRobin) Pick(req Request) (pool.Target, bool) {
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
func (r *roundRobin) Continue(from Algorithm) {
	if o, ok := from.(*roundRobin); ok {
		r.cursor.Store(o.cursor.Load())
	}
}
