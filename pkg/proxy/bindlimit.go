package proxy

import (
	"sync/atomic"

	"waggle/pkg/pool"
)

// bindLimit is `maxconn` of a bind line, which the listeners of all loops share, and what is counted of its address. nil is
// no limit, and nothing counted.
type bindLimit struct {
	max   int64 // 0 = no limit
	taken atomic.Int64
	stats *pool.Listener // nil: only the frontend counts
}

func newBindLimit(maxConn int, stats *pool.Listener) *bindLimit {
	if maxConn <= 0 && stats == nil {
		return nil
	}
	return &bindLimit{max: int64(max(maxConn, 0)), stats: stats}
}

// sameAs says whether b can stand for what other is of the configuration before.
func (b *bindLimit) sameAs(other *bindLimit) bool {
	if b == nil || other == nil {
		return b == other
	}
	return b.max == other.max && (b.stats == nil) == (other.stats == nil)
}

// reserve is [pool.Gauge.Reserve] of a place.
func (b *bindLimit) reserve() bool {
	if b == nil {
		return true
	}
	if n := b.taken.Add(1); b.max > 0 && n > b.max {
		b.taken.Add(-1)
		return false
	}
	if b.stats != nil {
		b.stats.Sessions.Reserve(0)
	}
	return true
}

// cancel is [pool.Gauge.Cancel] of the place.
func (b *bindLimit) cancel() {
	if b == nil {
		return
	}
	b.taken.Add(-1)
	if b.stats != nil {
		b.stats.Sessions.Cancel()
	}
}

// leave gives back a place that was needed.
func (b *bindLimit) leave() {
	if b == nil {
		return
	}
	b.taken.Add(-1)
	if b.stats != nil {
		b.stats.Sessions.Add(-1)
	}
}

// room says whether reserve has a chance.
func (b *bindLimit) room() bool { return b == nil || b.max == 0 || b.taken.Load() < b.max }

// counters are those of what comes in at the address: its own, whose sums are in its frontend's, else the frontend's.
func (b *bindLimit) counters(fe *frontend) *pool.Counters {
	if b != nil && b.stats != nil {
		return &b.stats.Counters
	}
	return &fe.stats.Counters
}
