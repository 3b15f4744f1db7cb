package pool

import (
	"testing"
	"time"
)

func TestHistogramsOfAllLoopsAddUp(t *testing.T) {
	l := newLatencies(3)
	for i, us := range []uint64{0, 1000, 1001, 99_999, 9_999_999, 10_000_001} {
		l.Shard(i % 3).Total.Add(us)
	}
	got := l.Total()
	want := map[time.Duration]uint64{time.Millisecond: 2, 2500 * time.Microsecond: 3, 50 * time.Millisecond: 3, 100 * time.Millisecond: 4, 5 * time.Second: 4, 10 * time.Second: 5}
	for i, bound := range LatencyBounds() {
		if n, ok := want[bound]; ok && got.Buckets[i] != n {
			t.Errorf("up to %s there are %d, want %d", bound, got.Buckets[i], n)
		}
	}
	if got.Count != 6 || got.Sum != 20_102_000*time.Microsecond {
		t.Errorf("%d in %s", got.Count, got.Sum)
	}
	if l.Connect().Count != 0 {
		t.Error("times of another kind were counted")
	}
}
