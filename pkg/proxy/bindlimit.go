package proxy

import "sync/atomic"

// bindLimit is `maxconn` of a bind line, which the listeners of all loops share. nil is no limit.
type bindLimit struct {
	max   int64
	taken atomic.Int64
}

func newBindLimit(maxConn int) *bindLimit {
	if maxConn <= 0 {
		return nil
	}
	return &bindLimit{max: int64(maxConn)}
}

// enter takes a place; false if none is free.
func (b *bindLimit) enter() bool {
	if b == nil {
		return true
	}
	if b.taken.Add(1) > b.max {
		b.taken.Add(-1)
		return false
	}
	return true
}

// leave gives the place back.
func (b *bindLimit) leave() {
	if b != nil {
		b.taken.Add(-1)
	}
}

// room says whether enter has a chance.
func (b *bindLimit) room() bool { return b == nil || b.taken.Load() < b.max }
