package proxy

import (
	"testing"
	"time"
)

// A clock that is set, forwards or back, is followed within a second, so that dates in cookies are those of other balancers and
// what is told of the last session is no nonsense.
func TestDatesFollowTheWallClock(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	wall, looks := start, 0
	c := newCalendar(func() time.Time { looks++; return wall })
	for _, step := range []struct {
		now  time.Duration // by the loop
		wall time.Duration // behind start
		want time.Duration
	}{
		{500 * time.Millisecond, 500 * time.Millisecond, 500 * time.Millisecond},
		{900 * time.Millisecond, time.Hour, 900 * time.Millisecond}, // not looked at yet
		{time.Second, time.Hour, time.Hour},
		{1500 * time.Millisecond, -time.Hour, time.Hour + 500*time.Millisecond},
		{2 * time.Second, -time.Hour, -time.Hour},
		{3 * time.Second, 5 * time.Hour, 5 * time.Hour}, // the machine has slept
	} {
		wall = start.Add(step.wall)
		if got := c.date(step.now).Sub(start); got != step.want {
			t.Errorf("after %v, with the clock at %v: %v, want %v", step.now, step.wall, got, step.want)
		}
	}
	if looks != 4 {
		t.Errorf("looked at the wall clock %d times in 3 s", looks)
	}
}
