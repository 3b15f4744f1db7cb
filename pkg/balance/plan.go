package balance

import (
	"sync/atomic"

	"waggle/pkg/pool"
)

// Table lists, for the algorithm that a `balance` line names, indices into targets: what its choice walks
// over, in both data paths. For leastconn and first that is the targets themselves.
//
// Weights that warm up (slowstart) count in it for roundrobin and random, as HAProxy has it: the others are
// static algorithms.
func Table(name string, targets []pool.Target) []int { return tableOf(name)(targets) }

func tableOf(name string) func([]pool.Target) []int {
	switch name {
	case "leastconn", "first":
		return identity
	case "source":
		return sourceTable
	case "static-rr":
		return func(t []pool.Target) []int { return Schedule(Weights(t), MaxSchedule) }
	}
	return func(t []pool.Target) []int { return Schedule(effective(t), MaxSchedule) }
}

func identity(targets []pool.Target) []int {
	all := make([]int, len(targets))
	for i := range all {
		all[i] = i
	}
	return all
}

// plan is the table of one snapshot.
type plan struct {
	snapshot *pool.Snapshot
	slots    []int
}

// at returns the target of slot n, counted round and round.
func (p *plan) at(n uint64) pool.Target {
	return p.snapshot.Targets[p.slots[n%uint64(len(p.slots))]]
}

// planner keeps the table of a backend's current snapshot, so that it is computed once for each
// change and not once for each session.
type planner struct {
	backend *pool.Backend
	table   func([]pool.Target) []int
	cached  atomic.Pointer[plan]
}

func (pl *planner) current() *plan {
	snap := pl.backend.Snapshot()
	if p := pl.cached.Load(); p != nil && p.snapshot == snap {
		return p
	}
	p := &plan{snapshot: snap, slots: pl.table(snap.Targets)}
	pl.cached.Store(p)
	return p
}
