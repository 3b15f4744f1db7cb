package check

import (
	"container/heap"
	"time"

	"waggle/pkg/pool"
)

// rouse has Run look at what others have left for it.
func (c *Checker) rouse() {
	select {
	case c.wakeup <- struct{}{}:
	default:
	}
}

// observe notes servers that have something new to check. It runs on whichever goroutine changed the
// pool and does not block.
func (c *Checker) observe(e pool.Event) {
	var why waking
	switch e.Kind {
	case pool.EventAddress:
		why = wakeAddress
	case pool.EventReady:
		why = wakeReady
	case pool.EventErrors:
		why = wakeErrors
	default:
		return
	}
	c.mu.Lock()
	known := c.of[e.Server] != nil
	if known {
		c.woken[e.Server] |= why
	}
	c.mu.Unlock()
	if known {
		c.rouse()
	}
}

// wake makes the servers that have something new to check due now. A check that is running for what
// was there before is given up.
func (c *Checker) wake(now time.Time) {
	fresh, woken, gone := c.collect()
	for _, t := range fresh {
		c.schedule(t, now)
	}
	for t, why := range woken {
		if why&wakeAddress != 0 {
			t.freshUntil = now.Add(freshWindow)
		}
		switch {
		case t.agent && why&wakeAddress == 0:
		case why == wakeErrors:
			c.hurry(t, now)
		case t.cancel != nil:
			t.again = true
			t.cancel()
		default:
			c.schedule(t, now)
		}
	}
	for _, t := range gone {
		t.removed = true
		switch {
		case t.cancel != nil:
			t.cancel()
		case t.index >= 0:
			heap.Remove(&c.queue, t.index)
		}
	}
}

// collect takes what others have left for Run.
func (c *Checker) collect() (fresh []*task, woken map[*task]waking, gone []*task) {
	c.mu.Lock()
	defer c.mu.Unlock()
	woken = make(map[*task]waking, len(c.woken))
	for s, why := range c.woken {
		for _, t := range c.of[s] {
			woken[t] = why
		}
	}
	fresh, gone = c.added, c.gone
	c.added, c.gone = nil, nil
	clear(c.woken)
	return fresh, woken, gone
}

// hurry brings the next check forward to `fastinter` from now, after errors in traffic.
func (c *Checker) hurry(t *task, now time.Time) {
	due := now.Add(t.Options.FastInter)
	if t.Options.FastInter == 0 || t.cancel != nil || t.index < 0 || t.due.Before(due) {
		return
	}
	c.schedule(t, due)
}

// waking is why a server is looked at before its time.
type waking uint8

const (
	wakeAddress waking = 1 << iota // it has another address
	wakeReady                      // it has left maintenance
	wakeErrors                     // its traffic shows errors
)
