package balance

import (
	"slices"
	"sync/atomic"

	"waggle/pkg/pool"
)

// leastConn takes the server with the fewest sessions for its weight, queued ones included. Equals are
// taken in turn. A server that is full has more sessions wait in its own queue if it has a maxqueue.
type leastConn struct {
	backend *pool.Backend
	turn    atomic.Uint32
}

func (l *leastConn) Pick(req Request) (pool.Target, bool) {
	targets := l.backend.Snapshot().Targets
	if len(targets) == 0 {
		return pool.Target{}, false
	}
	turn := l.turn.Add(1) - 1
	// A session that another loop takes between the look and the acquire may fill a server: look again,
	// at most once for each server.
	for range targets {
		best, ok := least(targets, req.Avoid, turn)
		if !ok {
			break
		}
		if best.Server.Take() {
			return best, true
		}
	}
	return lastResort(targets, req.Avoid)
}

// Bound implements [Binder]: it is the server in whose queue the session waits.
func (l *leastConn) Bound(req Request) *pool.Server {
	targets := l.backend.Snapshot().Targets
	if !slices.ContainsFunc(targets, func(t pool.Target) bool { return t.Server.MaxQueue > 0 }) {
		return nil
	}
	best, ok := least(targets, req.Avoid, l.turn.Load())
	if ok && (best.Server.Full() || best.Server.Queue.Load() > 0) {
		return best.Server
	}
	return nil
}

// least is the server that admits sessions and has the fewest for its weight, the first from turn on among equals.
func least(targets []pool.Target, avoid *pool.Server, turn uint32) (best pool.Target, ok bool) {
	start := int(turn) % len(targets)
	var bestLoad int64
	for i := range targets {
		t := targets[(start+i)%len(targets)]
		if t.Server == avoid || !t.Server.Admits() {
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
