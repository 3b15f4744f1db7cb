package pool

import (
	"testing"
	"time"
)

// No second, wherever it begins, has many more than the limit, and all that are allowed come.
func TestPace(t *testing.T) {
	start := time.Unix(1000, 0)
	total := 0
	q := Pace{}
	q.SetLimit(10)
	var times []time.Duration
	for at := time.Duration(0); at < 10*time.Second; at += time.Millisecond {
		now := start.Add(at)
		allowed := q.Allows(now)
		if q.Reserve(now) != allowed {
			t.Fatalf("at %v Allows and Reserve disagree", at)
		}
		if allowed {
			total++
			times = append(times, at)
		}
	}
	if total < 95 || total > 105 {
		t.Errorf("%d came in 10 s, want about 100", total)
	}
	for i := range times {
		n := 0
		for _, o := range times[i:] {
			if o < times[i]+time.Second {
				n++
			}
		}
		if n > 12 {
			t.Errorf("%d came within the second from %v on", n, times[i])
		}
	}
}

// One that has not come makes room for another, and a limit of 0 is none.
func TestPaceCancel(t *testing.T) {
	var p Pace
	now := time.Unix(1000, 0)
	for range 100 {
		if !p.Reserve(now) {
			t.Fatal("limited without a limit")
		}
	}
	p.SetLimit(1)
	now = now.Add(2 * time.Second)
	if !p.Reserve(now) || p.Reserve(now) {
		t.Error("want one, and no more")
	}
	p.Cancel()
	if !p.Reserve(now) {
		t.Error("there is no room")
	}
}
