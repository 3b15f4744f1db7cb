package pool

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestServerLimitChanges(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(func(o *ServerOptions) { o.MaxConn = 1 })
	if !s.Acquire() || s.Acquire() {
		t.Fatal("maxconn 1 is not one session")
	}
	granted := 0
	waiter := func() *Waiter { return &Waiter{Grant: func(Target) bool { granted++; return true }} }
	b.Enqueue(waiter())
	b.Enqueue(waiter())
	changed := b.pool.Changed()
	s.SetLimit(2)
	if granted != 1 || s.Sessions.Load() != 2 {
		t.Errorf("raised by one, %d were let in; %d sessions", granted, s.Sessions.Load())
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was told of the limit")
	}
	s.SetLimit(1)
	s.Release()
	if granted != 1 {
		t.Error("a place was given away above the limit")
	}
	s.SetLimit(0)
	if granted != 2 || !s.Acquire() {
		t.Error("without a limit there is no room")
	}
}

// A limit between minconn and maxconn follows the sessions of the backend, those that wait included.
func TestMinConn(t *testing.T) {
	b := newBench(t, BackendOptions{FullConn: 100})
	s := b.server(func(o *ServerOptions) { o.MinConn, o.MaxConn = 10, 50 })
	for _, x := range []struct{ load, want int64 }{{0, 10}, {1, 10}, {20, 10}, {21, 10}, {22, 11}, {60, 30}, {99, 49}, {100, 50}, {1000, 50}} {
		b.Sessions.Add(x.load)
		if got := s.bound(); got != x.want {
			t.Errorf("with %d sessions the limit is %d, want %d", x.load, got, x.want)
		}
		n := int64(0)
		for s.Acquire() {
			n++
		}
		if n != x.want || !s.Full() {
			t.Errorf("with %d sessions %d were let in, want %d", x.load, n, x.want)
		}
		for range n {
			s.Release()
		}
		b.Sessions.Add(-x.load)
	}
	if s.Limit() != 50 {
		t.Errorf("statistics are told of a limit of %d", s.Limit())
	}
}

// Requests that come make room for those that wait, which is looked at when a session ends.
func TestMinConnGrowsWithTheQueue(t *testing.T) {
	b := newBench(t, BackendOptions{FullConn: 8})
	s := b.server(func(o *ServerOptions) { o.MinConn, o.MaxConn = 1, 4 })
	granted := 0
	for i := range 6 {
		b.Sessions.Add(1)
		if i == 0 {
			if !s.Acquire() {
				t.Fatal("there is no room for one")
			}
			continue
		}
		b.Enqueue(&Waiter{Grant: func(Target) bool { granted++; return true }})
	}
	if granted != 0 {
		t.Errorf("%d were let in by those that came", granted)
	}
	s.Release()
	if granted != 3 { // 6*4/8
		t.Errorf("at the end of a session %d were let in, want 3", granted)
	}
}

func TestOtherLimits(t *testing.T) {
	p := New(1)
	f := p.AddFrontend("in", TCP, 7)
	if f.Limit() != 7 {
		t.Errorf("limit %d, want the configured one", f.Limit())
	}
	for name, set := range map[string]func(int){"frontend": f.SetLimit, "process": p.SetLimit} {
		changed := p.Changed()
		set(3)
		select {
		case <-changed:
		default:
			t.Errorf("%s: nobody was told of the limit", name)
		}
	}
	if f.Limit() != 3 || p.Limit() != 3 || f.MaxConn != 7 {
		t.Errorf("limits %d and %d, configured %d", f.Limit(), p.Limit(), f.MaxConn)
	}
}

// TestLimitWhileStartingSlowly: what an operator sets is the limit that the slow start leads to.
func TestLimitWhileStartingSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, BackendOptions{})
		s := b.server(func(o *ServerOptions) { o.MaxConn, o.Slowstart = 16, 16*time.Second })
		s.ReportCheck(CheckResult{Status: CheckL4Con})
		s.pass(2)
		if s.Limit() != 1 {
			t.Fatalf("the limit is %d as the server comes up", s.Limit())
		}
		s.SetLimit(32)
		if s.Limit() != 2 {
			t.Errorf("the limit is %d, want 1/16 of 32", s.Limit())
		}
		time.Sleep(20 * time.Second)
		b.pool.Tick()
		if s.Limit() != 32 {
			t.Errorf("the limit is %d after the slow start, want 32", s.Limit())
		}
	})
}
