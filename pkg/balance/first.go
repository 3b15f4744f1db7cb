package balance

import "waggle/pkg/pool"

// first fills servers one after the other: of those that have room, the one with the lowest id, which is a server's position
// unless its line says otherwise (HAProxy, section 4.2, balance first).
type first struct{ backend *pool.Backend }

func (f *first) Pick(req Request) (pool.Target, bool) {
	targets := f.backend.Snapshot().Targets
	for at := -1; ; {
		if at = behind(targets, at); at < 0 {
			return lastResort(targets, req.Avoid)
		}
		if acquire(targets[at], req.Avoid) {
			return targets[at], true
		}
	}
}

// behind is the index of the target that follows the one at an index in the order of ids: the first for -1, -1 behind the last.
func behind(targets []pool.Target, at int) int {
	next := -1
	for i := range targets {
		id := targets[i].Server.ID
		follows := at < 0 || id > targets[at].Server.ID || id == targets[at].Server.ID && i > at
		if follows && (next < 0 || id < targets[next].Server.ID) {
			next = i
		}
	}
	return next
}
