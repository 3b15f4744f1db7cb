package pool

import (
	"net/netip"
	"reflect"
	"sync/atomic"
	"testing"
)

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

// TestClearCounters fills every counter there is, so that none is forgotten when one is added.
func TestClearCounters(t *testing.T) {
	p := New(2)
	f := p.AddFrontend("in", HTTP, 10)
	b := p.AddBackend(BackendOptions{Name: "be"})
	s := b.AddServer(ServerOptions{Name: "s", Check: true, Rise: 1, Fall: 1, Addr: netip.MustParseAddrPort("10.0.0.1:80")})
	all := []*Counters{&f.Counters, &b.Counters, &s.Counters}
	for _, c := range all {
		for i := range c.Len() {
			sh := reflect.ValueOf(c.Shard(i)).Elem()
			for j := range sh.NumField() {
				if !sh.Type().Field(j).IsExported() {
					continue // padding
				}
				switch field := sh.Field(j).Addr().Interface().(type) {
				case *atomic.Uint64:
					field.Add(3)
				case *[6]atomic.Uint64:
					for k := range field {
						field[k].Add(3)
					}
				}
			}
		}
	}
	s.Times.Total.Add(100)
	s.Observe, s.ErrorLimit = ObserveL4, 1
	s.ReportTraffic(TrafficConnectError)
	s.ReportCheck(CheckResult{Status: CheckL4Con})
	s.LastSession.Set(1)
	b.LastSession.Set(1)
	if s.View().TrafficFailures != 1 {
		t.Fatal("errors in traffic are not counted")
	}
	p.Tick()
	p.ClearCounters()
	for _, c := range all {
		if sum := c.Sum(); sum != (Totals{}) {
			t.Errorf("after the reset: %+v", sum)
		}
		c.Shard(1).Sessions.Add(2)
		if got := c.Sum().Sessions; got != 2 {
			t.Errorf("2 sessions since the reset, %d are counted", got)
		}
	}
	if v := s.View(); v.Downs != 0 || v.CheckFailures != 0 || s.Times.Total.Load() != 0 || b.View().Downs != 0 {
		t.Errorf("the server's own counts are left: %+v", v)
	}
	// HAProxy 2.6 was seen to forget these, too.
	if v := s.View(); v.TrafficFailures != 0 || s.LastSession.Load() != 0 || b.LastSession.Load() != 0 {
		t.Errorf("%d failures in traffic, last sessions %d and %d", v.TrafficFailures, s.LastSession.Load(), b.LastSession.Load())
	}
	p.Tick()
	if f.SessionRate.Cur() != 2 {
		t.Errorf("the rate is %d after the reset, want 2", f.SessionRate.Cur())
	}
}
