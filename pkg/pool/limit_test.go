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
