package balance

import (
	"sync/atomic"

	"waggle/pkg/pool"
)

// plan is the schedule of one snapshot.
type plan struct {
	snapshot *pool.Snapshot
	slots    []int
}

// at returns the target of slot n, counted round and round.
func (p *plan) at(n uint64) pool.Target {
	return p.snapshot.Targets[p.slots[n%uint64(len(p.slots))]]
}

// planner keeps the schedule of a backend's current snapshot, so that it is computed once for each
// change and not once for each session.
type planner struct {
	backend *pool.Backend
	cached  atomic.Pointer[plan]
}

func (pl *planner) current() *plan {
	snap := pl.backend.Snapshot()
	if p := pl.cached.Load(); p != nil && p.snapshot == snap {
		return p
	}
	p := &plan{snapshot: snap, slots: Schedule(Weights(snap.Targets), MaxSchedule)}
	pl.cached.Store(p)
	return p
}
