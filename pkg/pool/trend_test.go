package pool

import (
	"slices"
	"testing"
)

func TestTrend(t *testing.T) {
	var tr Trend
	if len(tr.Sessions()) != 0 {
		t.Error("a past before the first second")
	}
	for _, n := range []int64{1, 9, 2, 3, 4 /* next step */, 5} {
		tr.add(n, uint64(n)*10)
	}
	if got := tr.Sessions(); !slices.Equal(got, []uint32{9, 5}) {
		t.Errorf("sessions %v", got)
	}
	if got := tr.Rates(); !slices.Equal(got, []uint32{90, 50}) {
		t.Errorf("rates %v", got)
	}
	for i := range TrendLength * TrendStep {
		tr.add(int64(100+i), 1<<40)
	}
	got := tr.Sessions()
	if len(got) != TrendLength || !slices.IsSorted(got) || got[len(got)-1] != 100+TrendLength*TrendStep-1 {
		t.Errorf("%d values, from %d to %d", len(got), got[0], got[len(got)-1])
	}
	if r := tr.Rates(); r[TrendLength-1] != 1<<32-1 {
		t.Errorf("a rate too large became %d", r[TrendLength-1])
	}
}

// TestTickFillsTrends: the pool's tick is what adds to them.
func TestTickFillsTrends(t *testing.T) {
	p := New(1)
	f := p.AddFrontend("in", TCP, 0)
	b := p.AddBackend(BackendOptions{Name: "be"})
	s := b.AddServer(ServerOptions{Name: "s"})
	f.Sessions.Add(1)
	b.Sessions.Add(2)
	s.Sessions.Add(3)
	s.Counters.Shard(1).Sessions.Add(7)
	p.Tick()
	if f.Trend.Sessions()[0] != 1 || b.Trend.Sessions()[0] != 2 || s.Trend.Sessions()[0] != 3 || s.Trend.Rates()[0] != 7 {
		t.Errorf("trends %v %v %v %v", f.Trend.Sessions(), b.Trend.Sessions(), s.Trend.Sessions(), s.Trend.Rates())
	}
}
