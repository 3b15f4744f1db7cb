package pool

import (
	"fmt"
	"sync"
	"testing"
)

// TestEventsInCommitOrder: whichever goroutine tells an event, observers see each backend's events in
// the order of the changes.
func TestEventsInCommitOrder(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 300 {
				s.SetMaint(true, CauseCLI)
				s.SetMaint(false, CauseCLI)
			}
		})
	}
	wg.Wait()
	up := true
	for i, e := range b.log {
		switch e.Kind {
		case EventMaint, EventReady:
			if becomes := e.Kind == EventReady; becomes == up {
				t.Fatalf("event %d: %q when it was so already", i, e.Text)
			} else {
				up = becomes
			}
		}
	}
	if len(b.log) == 0 || !up {
		t.Errorf("%d events, up %v", len(b.log), up)
	}
}

func TestObserverMayChangeState(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s, other := b.server(nil), b.server(nil)
	b.pool.Observe(func(e Event) {
		if e.Kind == EventDown && e.Server == s {
			other.SetMaint(true, CauseCLI)
		}
	})
	s.failCheck(1)
	b.wantStates("10.0.0.1 DOWN, 10.0.0.2 MAINT")
	kinds := fmt.Sprint(b.log[0].Kind, b.log[1].Kind, b.log[2].Kind)
	if want := fmt.Sprint(EventDown, EventMaint, EventBackendDown); kinds != want {
		t.Errorf("kinds %s, want %s", kinds, want)
	}
}

func TestChangedTellsOfSnapshots(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(nil)
	b.server(nil)
	closed := func(ch <-chan struct{}) bool {
		select {
		case <-ch:
			return true
		default:
			return false
		}
	}
	ch, version := b.pool.Changed(), b.Snapshot().Version
	s.pass(3)
	if closed(ch) || b.Snapshot().Version != version {
		t.Error("a passed check changes nothing to balance over")
	}
	s.failCheck(3)
	if !closed(ch) || b.Snapshot().Version != version+1 {
		t.Error("a server went down and readers were not told")
	}
	if closed(b.pool.Changed()) {
		t.Error("the next change is told before it comes")
	}
}

func TestSnapshotIsNotChangedUnderReaders(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(nil)
	b.server(nil)
	old := b.Snapshot()
	s.SetMaint(true, CauseCLI)
	if len(old.Targets) != 2 || old.Targets[0].Server != s {
		t.Errorf("a snapshot changed: %+v", old)
	}
}

func TestBackupServers(t *testing.T) {
	for _, all := range []bool{false, true} {
		b := newBench(t, BackendOptions{AllBackups: all})
		s := b.server(nil)
		for range 2 {
			b.server(func(o *ServerOptions) { o.Backup = true })
		}
		b.wantTargets("s1")
		s.failCheck(1)
		if all {
			b.wantTargets("s2 s3")
		} else {
			b.wantTargets("s2")
			b.Servers()[1].SetMaint(true, CauseCLI)
			b.wantTargets("s3")
		}
	}
}

// TestLeavingIsTheLastResort: before a server that has left DNS, even a backup is used.
func TestLeavingIsTheLastResort(t *testing.T) {
	b := newBench(t, BackendOptions{})
	g := b.template(2, nil)
	backup := b.server(func(o *ServerOptions) { o.Backup = true })
	g.Resolve(found(1, 2))
	b.wantTargets("s1 s2")
	g.Resolve(found(-1, 2))
	b.wantTargets("s2")
	g.Resolve(found(-1, -2))
	b.wantTargets("s3")
	backup.SetMaint(true, CauseCLI)
	b.wantTargets("s1 s2")
	if !b.View().Up {
		t.Error("the backend has servers of last resort and is shown as down")
	}
}

func TestIDs(t *testing.T) {
	p := New(1)
	fe := p.AddFrontend("fe", HTTP, 10)
	lf, lb := p.AddListen("l", TCP, 10, BackendOptions{Name: "l"})
	b := p.AddBackend(BackendOptions{Name: "b"})
	if fe.ID != 2 || lf.ID != 3 || lb.ID != 3 || b.ID != 4 {
		t.Errorf("ids %d %d %d %d, want 2 3 3 4", fe.ID, lf.ID, lb.ID, b.ID)
	}
	s1, s2, s3 := lb.AddServer(DefaultServerOptions()), lb.AddServer(DefaultServerOptions()), b.AddServer(DefaultServerOptions())
	if s1.ID != 1 || s2.ID != 2 || s3.ID != 1 || s1.Key == s2.Key || s2.Key == s3.Key || s1.Key == 0 {
		t.Errorf("server ids %d %d %d, keys %d %d %d", s1.ID, s2.ID, s3.ID, s1.Key, s2.Key, s3.Key)
	}
	if p.Backend("b") != b || p.Backend("x") != nil || p.Frontend("fe") != fe || p.Frontend("x") != nil {
		t.Error("lookup by name")
	}
}
