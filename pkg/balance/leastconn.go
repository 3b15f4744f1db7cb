package balance

import (
	"sync/atomic"

	"waggle/pkg/pool"
)

// leastConn takes the server with the fewest sessions for its weight, queued ones included. Equals are
// taken in turn.
type leastConn struct {
	backend *pool.Backend
	turn    atomic.Uint32
}

func (l *leastConn) Pick(req Request) (pool.Target, bool) {
	targets := l.backend.Snapshot().Targets
	if len(targets) == 0 {
		return pool.Target{}, false
	}
	// A session that another loop takes between the look and the acquire may fill a server: look again,
	// at most once for each server.
	for range targets {
		best, ok := l.least(targets, req.Avoid)
		if !ok {
			break
		}
		if best.Server.Acquire() {
			return best, true
		}
	}
	return lastResort(targets, req.Avoid)
}

func (l *leastConn) least(targets []pool.Target, avoid *pool.Server) (best pool.Target, ok bool) {
	start := int(l.turn.Add(1)-1) % len(targets)
	var bestLoad int64
	for i := range targets {
		t := targets[(start+i)%len(targets)]
		if t.Server == avoid || t.Server.Full() {
			continue
		}
		load := t.Server.Sessions.Taken() + t.Server.Queue.Load()
		// load/weight < bestLoad/best.Effective, without dividing
		if !ok || load*int64(best.Effective) < bestLoad*int64(t.Effective) {
			best, bestLoad, ok = t, load, true
		}
	}
	return best, ok
}
