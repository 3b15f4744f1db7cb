package pool

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
)

func dynamic(name string) ServerOptions {
	o := DefaultServerOptions()
	o.Name, o.Addr = name, netip.MustParseAddrPort("10.1.0.1:80")
	return o
}

func TestDynamicServer(t *testing.T) {
	b := newBench(t, BackendOptions{})
	b.server(nil)
	before := b.Servers()
	s, err := b.AddDynamic(dynamic("new"), 0)
	if err != nil || s.ID != 2 || len(before) != 1 {
		t.Fatalf("id %d, %v; readers have %d servers", s.ID, err, len(before))
	}
	b.wantStates("10.0.0.1 UP 1/3, 10.1.0.1 MAINT")
	b.wantTargets("s1")
	s.SetMaint(false, CauseCLI)
	b.wantTargets("s1 new")

	for want, again := range map[error]func() (*Server, error){
		ErrServerExists: func() (*Server, error) { return b.AddDynamic(dynamic("new"), 0) },
		ErrServerID:     func() (*Server, error) { return b.AddDynamic(dynamic("other"), 2) },
	} {
		if _, err := again(); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if err := s.RemoveDynamic(); !errors.Is(err, ErrNotInMaint) {
		t.Errorf("removed while in use: %v", err)
	}
	s.SetMaint(true, CauseCLI)
	for name, g := range map[string]*Gauge{"session": &s.Sessions, "kept connection": &s.Idle, "waiting request": &s.Queue} {
		g.Add(1)
		if err := s.RemoveDynamic(); !errors.Is(err, ErrServerInUse) {
			t.Errorf("removed with a %s: %v", name, err)
		}
		g.Add(-1)
	}
	if err := s.RemoveDynamic(); err != nil {
		t.Fatal(err)
	}
	b.wantStates("10.0.0.1 UP 1/3")
	if err := s.RemoveDynamic(); !errors.Is(err, ErrServerGone) {
		t.Errorf("removed twice: %v", err)
	}
	next, err := b.AddDynamic(dynamic("new"), 0)
	if err != nil || next.ID != 2 || next.Key == s.Key {
		t.Errorf("its number is not free again, or its key was used twice: %+v, %v", next, err)
	}
}

func TestReferencedServersAreNotRemoved(t *testing.T) {
	b := newBench(t, BackendOptions{})
	b.template(1, nil)
	if err := b.Servers()[0].RemoveDynamic(); !errors.Is(err, ErrReferenced) {
		t.Errorf("a slot of a template: %v", err)
	}
	tracked := b.server(nil)
	b.server(func(o *ServerOptions) { o.Check = false }).Track(tracked)
	tracked.SetMaint(true, CauseCLI)
	if err := tracked.RemoveDynamic(); !errors.Is(err, ErrReferenced) {
		t.Errorf("a server that another one tracks: %v", err)
	}
}

// TestDynamicServersUnderTraffic has the race detector look at readers beside changes.
func TestDynamicServersUnderTraffic(t *testing.T) {
	b := newBench(t, BackendOptions{})
	b.server(func(o *ServerOptions) { o.Check = false })
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for _, t := range b.Snapshot().Targets {
					if t.Server.Acquire() {
						t.Server.Release()
					}
				}
				for _, s := range b.Servers() {
					s.View()
				}
			}
		})
	}
	for i := range 200 {
		s, err := b.AddDynamic(dynamic(fmt.Sprint("d", i)), 0)
		if err != nil {
			t.Fatal(err)
		}
		s.SetMaint(false, CauseCLI)
		s.SetMaint(true, CauseCLI)
		for s.RemoveDynamic() != nil {
		}
	}
	close(stop)
	readers.Wait()
	if n := len(b.Servers()); n != 1 {
		t.Errorf("%d servers are left", n)
	}
}
