package pool

import "testing"

func TestTLSRates(t *testing.T) {
	p := New(1)
	f, b := p.AddFrontend("f", HTTP, 0), p.AddBackend(BackendOptions{Name: "b"})
	p.Tick()
	for range 4 {
		f.TLS.Begin()
	}
	f.TLS.Shaken(false)
	f.TLS.Shaken(true)
	f.TLS.Shaken(true)
	f.TLS.Failed()
	f.TLS.End()
	b.TLS.Shaken(false)
	p.Tick()
	r := &p.Process.TLS
	if r.Rate.Cur() != 3 || r.KeyRate.Cur() != 1 || r.ServerKeyRate.Cur() != 1 {
		t.Errorf("rates %d, keys %d, to servers %d", r.Rate.Cur(), r.KeyRate.Cur(), r.ServerKeyRate.Cur())
	}
	if sum := f.TLS.Sum(); sum != (TLSTotals{Full: 1, Resumed: 2, Failed: 1}) || sum.All() != 4 {
		t.Errorf("%+v", sum)
	}
	p.Tick()
	if r.Rate.Cur() != 0 || r.Rate.Max() != 3 {
		t.Errorf("a second later: %d, at most %d", r.Rate.Cur(), r.Rate.Max())
	}
	if n := f.TLS.Conns.Load(); n != 3 {
		t.Errorf("%d connections", n)
	}
	// What a frontend of the name has counted stays through a reload.
	next := New(1)
	again := next.AddFrontend("f", HTTP, 0)
	next.TakeOver(p).Commit()
	if again.TLS.Sum().All() != 4 {
		t.Errorf("after a reload: %+v", again.TLS.Sum())
	}
}
