package balance

import "waggle/pkg/pool"

// first fills servers one after the other: the first in configuration order that has room.
type first struct{ backend *pool.Backend }

func (f *first) Pick(req Request) (pool.Target, bool) {
	targets := f.backend.Snapshot().Targets
	for _, t := range targets {
		if acquire(t, req.Avoid) {
			return t, true
		}
	}
	return lastResort(targets, req.Avoid)
}
