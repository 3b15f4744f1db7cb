package proxy

import (
	"testing"
	"time"
)

// TestShortagesAreSaidSeldom: each kind is said at once, and then with how many there were.
func TestShortagesAreSaidSeldom(t *testing.T) {
	var s shortages
	begin := time.Now()
	steps := []struct {
		after   time.Duration
		connect bool
		more    uint64
		say     bool
	}{
		{0, false, 1, true},
		{0, true, 1, true},
		{time.Millisecond, false, 0, false},
		{warnEvery - time.Millisecond, false, 0, false},
		{warnEvery, false, 3, true},
		{warnEvery + time.Second, false, 0, false},
		{3 * warnEvery, true, 1, true},
		{3 * warnEvery, false, 2, true},
	}
	for i, step := range steps {
		if more, say := s.note(step.connect, begin.Add(step.after)); more != step.more || say != step.say {
			t.Errorf("step %d: %d %v, want %d %v", i, more, say, step.more, step.say)
		}
	}
	if want := (Shortages{Accepts: 6, Connects: 2, Last: begin.Add(3 * warnEvery)}); s.now != want {
		t.Errorf("got %+v, want %+v", s.now, want)
	}
}
