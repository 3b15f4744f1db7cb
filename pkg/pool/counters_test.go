package pool

import (
	"reflect"
	"sync/atomic"
	"testing"
)

// TestSumAddsEveryCounter: a counter that is in the shards and not in the sum would read 0 forever.
func TestSumAddsEveryCounter(t *testing.T) {
	c := newCounters(3)
	want := make(map[string]uint64)
	next := uint64(1)
	for i := range c.Len() {
		shard := reflect.ValueOf(c.Shard(i)).Elem()
		for f := range shard.NumField() {
			name := shard.Type().Field(f).Name
			if !shard.Type().Field(f).IsExported() {
				continue
			}
			if counter, ok := shard.Field(f).Addr().Interface().(*atomic.Uint64); ok {
				counter.Store(next)
				want[name] += next
				next *= 3
			}
		}
		for j := range c.Shard(i).HTTP {
			c.Shard(i).HTTP[j].Store(uint64(10*i + j))
		}
	}
	sum := c.Sum()
	for name, n := range want {
		f := reflect.ValueOf(sum).FieldByName(name)
		if !f.IsValid() || f.Uint() != n {
			t.Errorf("%s: the sum is not that of the shards", name)
		}
	}
	for j, got := range sum.HTTP {
		if want := uint64(30 + 3*j); got != want {
			t.Errorf("HTTP[%d]: %d, want %d", j, got, want)
		}
	}
}

func TestCountStatus(t *testing.T) {
	var s Shard
	for _, code := range []int{100, 200, 204, 302, 404, 503, 600, 0, -1, 99} {
		s.CountStatus(code)
	}
	for class, want := range []uint64{1, 2, 1, 1, 1, 4} {
		if got := s.HTTP[class].Load(); got != want {
			t.Errorf("class %d: %d, want %d", class, got, want)
		}
	}
}

func TestGaugeAddsBothPaths(t *testing.T) {
	var g Gauge
	g.Add(3)
	g.SetKernel(4)
	g.Add(-2)
	g.SetKernel(1)
	if g.Load() != 2 || g.User() != 1 || g.Kernel() != 1 || g.Max() != 7 {
		t.Errorf("total %d, user %d, kernel %d, max %d", g.Load(), g.User(), g.Kernel(), g.Max())
	}
}

func TestAverageSlides(t *testing.T) {
	var a Average
	if a.Load() != 0 {
		t.Error("an average of nothing")
	}
	for range avgWindow {
		a.Add(100)
	}
	if a.Load() != 100 {
		t.Errorf("average %d, want 100", a.Load())
	}
	for range 10 * avgWindow {
		a.Add(1000)
	}
	if got := a.Load(); got < 950 || got > 1000 || a.Max() != 1000 {
		t.Errorf("average %d after many samples of 1000, max %d", got, a.Max())
	}
}

func TestTickMeasuresRates(t *testing.T) {
	p := New(1)
	f := p.AddFrontend("fe", HTTP, 10)
	b := p.AddBackend(BackendOptions{Name: "be"})
	s := b.AddServer(DefaultServerOptions())
	for _, step := range []struct{ sessions, cur, max uint64 }{{5, 5, 5}, {2, 2, 5}, {0, 0, 5}, {9, 9, 9}} {
		f.Counters.Shard(0).Connections.Add(step.sessions)
		f.Counters.Shard(1).Requests.Add(step.sessions)
		b.Counters.Shard(1).Sessions.Add(step.sessions)
		s.Counters.Shard(0).Sessions.Add(step.sessions)
		p.Tick()
		for name, r := range map[string]*Rate{
			"connections": &f.ConnRate, "requests": &f.RequestRate, "backend": &b.SessionRate, "server": &s.SessionRate,
			"process connections": &p.Process.ConnRate, "process requests": &p.Process.ReqRate,
		} {
			if r.Cur() != step.cur || r.Max() != step.max {
				t.Errorf("%s: rate %d, max %d; want %d, %d", name, r.Cur(), r.Max(), step.cur, step.max)
			}
		}
	}
}
