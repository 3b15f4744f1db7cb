package balance

import (
	"cmp"
	"slices"
	"sync/atomic"

	"waggle/pkg/pool"
	"waggle/pkg/sample"
)

// ring is `hash-type consistent`: servers have points on a ring in proportion to their weights, and a key goes to
// the nearest point. When a server comes or goes few keys but its own change hands. The points are HAProxy's, made of
// the servers' ids.
type ring struct {
	backend *pool.Backend
	// factor bounds a server's sessions to that percentage of its share of all; 0 is no bound (hash-balance-factor).
	factor int
	cached atomic.Pointer[ringPlan]
	turn   atomic.Uint64
}

// ringPlan is the ring of one snapshot.
type ringPlan struct {
	snapshot *pool.Snapshot
	points   []point
	slots    []int // for sessions without a key
	weight   int   // of all targets
}

type point struct {
	at     uint32
	target int
}

// idSpan is how many points of a server's id there can be: those of the largest weight.
const idSpan = 256 * pool.WeightScale

func newRingPlan(snap *pool.Snapshot) *ringPlan {
	p := &ringPlan{snapshot: snap, slots: Schedule(effective(snap.Targets), MaxSchedule)}
	for i, t := range snap.Targets {
		p.weight += t.Effective
		for n := range t.Effective {
			p.points = append(p.points, point{sample.Avalanche(uint32(t.Server.ID*idSpan + n)), i})
		}
	}
	slices.SortStableFunc(p.points, func(a, b point) int { return cmp.Compare(a.at, b.at) })
	return p
}

func (r *ring) current() *ringPlan {
	snap := r.backend.Snapshot()
	if p := r.cached.Load(); p != nil && p.snapshot == snap {
		return p
	}
	p := newRingPlan(snap)
	r.cached.Store(p)
	return p
}

// nearest is the index of the point that is nearest to h, the one before it where both are as near.
func (p *ringPlan) nearest(h uint32) int {
	next, _ := slices.BinarySearchFunc(p.points, h, func(q point, h uint32) int { return cmp.Compare(q.at, h) })
	prev := next - 1
	if next == len(p.points) {
		next = 0
	}
	if prev < 0 {
		prev = len(p.points) - 1
	}
	if h-p.points[prev].at <= p.points[next].at-h {
		return prev
	}
	return next
}

// choose gives the target of a hash: the nearest that is not to be avoided and has not more than its share.
func (r *ring) choose(p *ringPlan, req Request) (pool.Target, bool) {
	if len(p.points) == 0 {
		return pool.Target{}, false
	}
	share := r.share(p)
	first := p.nearest(req.Hash)
	for i := range p.points {
		t := p.snapshot.Targets[p.points[(first+i)%len(p.points)].target]
		if t.Server != req.Avoid && (share == 0 || t.Server.Sessions.Taken()*int64(p.weight) < share*int64(t.Effective)) {
			return t, true
		}
	}
	return pool.Target{}, false
}

// share is how many sessions all servers together may have, this one included; 0 means no bound.
func (r *ring) share(p *ringPlan) int64 {
	if r.factor == 0 {
		return 0
	}
	taken := int64(1)
	for _, t := range p.snapshot.Targets {
		taken += t.Server.Sessions.Taken()
	}
	return (taken*int64(r.factor) + 99) / 100
}

// Pick implements Algorithm.
func (r *ring) Pick(req Request) (pool.Target, bool) {
	p := r.current()
	if req.Hashed {
		if t, ok := r.choose(p, req); ok {
			return t, t.Server.Acquire()
		}
		return lastResort(p.snapshot.Targets, req.Avoid)
	}
	n := uint64(len(p.slots))
	start := r.turn.Add(1) - 1
	for i := range n {
		if t := p.snapshot.Targets[p.slots[(start+i)%n]]; acquire(t, req.Avoid) {
			return t, true
		}
	}
	return lastResort(p.snapshot.Targets, req.Avoid)
}

// Bound implements Binder.
func (r *ring) Bound(req Request) *pool.Server {
	if !req.Hashed {
		return nil
	}
	t, _ := r.choose(r.current(), req)
	return t.Server
}
