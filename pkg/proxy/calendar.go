package proxy

import "time"

// calendar tells dates by a loop's clock. That one is monotonic: it knows nothing of a wall clock that is set, and stands still while
// the machine sleeps. So the wall clock is looked at again, once a second at most.
type calendar struct {
	wall func() time.Time
	zero time.Time     // when the loop's clock was 0, by the wall clock as it was
	seen time.Duration // then
}

func newCalendar(wall func() time.Time) calendar { return calendar{wall: wall, zero: wall().Round(0)} }

// date is the wall clock's time when the loop's clock says now.
func (c *calendar) date(now time.Duration) time.Time {
	if now-c.seen >= time.Second {
		c.zero, c.seen = c.wall().Round(0).Add(-now), now
	}
	return c.zero.Add(now)
}
