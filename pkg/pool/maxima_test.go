package pool

import "testing"

func TestClearMaxima(t *testing.T) {
	p := New(1)
	f := p.AddFrontend("fe", HTTP, 10)
	b := p.AddBackend(BackendOptions{Name: "be"})
	s := b.AddServer(DefaultServerOptions())

	f.Sessions.Add(5)
	f.Sessions.Add(-3)
	s.Times.Total.Add(900)
	f.Counters.Shard(KernelShard).Sessions.Add(7)
	p.Tick()
	p.Tick()

	if f.SessionRate.Max() != 7 || p.Process.SessRate.Max() != 7 || f.Sessions.Max() != 5 || s.Times.Total.Max() != 900 {
		t.Fatalf("before: rate %d, process rate %d, sessions %d, time %d",
			f.SessionRate.Max(), p.Process.SessRate.Max(), f.Sessions.Max(), s.Times.Total.Max())
	}
	p.ClearMaxima()
	if f.SessionRate.Max() != 0 || p.Process.SessRate.Max() != 0 || f.Sessions.Max() != 2 || s.Times.Total.Max() != 0 {
		t.Errorf("after: rate %d, process rate %d, sessions %d, time %d",
			f.SessionRate.Max(), p.Process.SessRate.Max(), f.Sessions.Max(), s.Times.Total.Max())
	}
	if f.Counters.Sum().Sessions != 7 || s.Times.Total.Load() != 900 {
		t.Error("a total or an average was lost")
	}
}
