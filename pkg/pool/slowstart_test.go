package pool

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestSlowStartRampsWeightAndMaxConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(1)
		b := p.AddBackend(BackendOptions{Name: "be"})
		o := DefaultServerOptions()
		o.Name, o.Addr, o.Weight, o.MaxConn, o.Slowstart = "s", netip.MustParseAddrPort("10.0.0.1:80"), 10, 100, 16*time.Second
		s := b.AddServer(o)
		now := func() (effective, limit int) {
			p.Tick()
			return b.Snapshot().Targets[0].Effective, s.Limit()
		}
		if e, l := now(); e != 10*WeightScale || l != 100 {
			t.Fatalf("at start: weight %d, limit %d: waggle's own start is none of the server's", e, l)
		}
		s.SetMaint(true, CauseCLI)
		time.Sleep(time.Second)
		s.SetMaint(false, CauseCLI)
		version := b.Snapshot().Version
		for _, want := range []struct {
			after            time.Duration
			effective, limit int
			throttle         int
		}{
			{0, 10, 6, 6}, {4 * time.Second, 50, 31, 31}, {4 * time.Second, 90, 56, 56}, {7 * time.Second, 160, 100, 100}, {time.Second, 160, 100, 0},
		} {
			time.Sleep(want.after)
			e, l := now()
			if e != want.effective || l != want.limit || s.View().Throttle != want.throttle {
				t.Errorf("%s later: weight %d, limit %d, throttle %d; want %+v", want.after, e, l, s.View().Throttle, want)
			}
		}
		if v := s.View(); v.Op != Running || v.Weight != 10 {
			t.Errorf("in the end: %+v", v)
		}
		if b.Snapshot().Version == version {
			t.Error("the paths were not told of the changes")
		}
	})
}

// A server that goes down while it warms up begins anew.
func TestSlowStartBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(1)
		b := p.AddBackend(BackendOptions{Name: "be"})
		o := DefaultServerOptions()
		o.Name, o.Addr, o.Slowstart = "s", netip.MustParseAddrPort("10.0.0.1:80"), 16*time.Second
		s := b.AddServer(o)
		for range 2 {
			s.SetMaint(true, CauseCLI)
			s.SetMaint(false, CauseCLI)
			if e := b.Snapshot().Targets[0].Effective; e != 1 {
				t.Errorf("weight %d as it comes back, want 1", e)
			}
			time.Sleep(8 * time.Second)
			p.Tick()
			if e := b.Snapshot().Targets[0].Effective; e != 9 {
				t.Errorf("weight %d half way, want 9", e)
			}
		}
	})
}
