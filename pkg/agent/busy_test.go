package agent

import (
	"testing"
	"time"
)

func TestBusyPercent(t *testing.T) {
	for _, row := range []struct {
		idle, whole time.Duration
		want        int64
	}{
		{2 * time.Second, 2 * time.Second, 0}, // two loops, a second
		{time.Second, 2 * time.Second, 50},
		{0, 2 * time.Second, 100},
		{3 * time.Second, 2 * time.Second, 0}, // a wait that ended meanwhile was told twice
		{-time.Second, 2 * time.Second, 100},  // or not at all
		{0, 0, 0},
	} {
		if got := busyPercent(row.idle, row.whole); got != row.want {
			t.Errorf("%v of %v: %d %%, want %d", row.idle, row.whole, got, row.want)
		}
	}
}
