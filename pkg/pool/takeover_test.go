package pool

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

// reloaded makes the pool of another configuration and has it take over.
func (b *bench) reloaded(servers ...ServerOptions) (*Pool, *Takeover) {
	p := New(2)
	next := p.AddBackend(BackendOptions{Name: "be"})
	for _, o := range servers {
		next.AddServer(o)
	}
	t := p.TakeOver(b.pool)
	t.Commit()
	return p, t
}

func options(name, addr string, edit func(*ServerOptions)) ServerOptions {
	o := DefaultServerOptions()
	o.Name, o.Addr, o.Check = name, netip.MustParseAddrPort(addr), true
	if edit != nil {
		edit(&o)
	}
	return o
}

func TestTakeOverKeepsWhatWasMadeOfServers(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(func(o *ServerOptions) { o.MaxConn = 10 })
	if err := s.SetWeight(7); err != nil {
		t.Fatal(err)
	}
	s.SetLimit(3)
	s.SetDrain(true)
	s.Counters.Shard(1).Sessions.Add(5)
	if !s.Acquire() {
		t.Fatal("no place")
	}
	key := s.Key

	same := options("s1", "10.0.0.1:80", func(o *ServerOptions) { o.MaxConn = 10 })
	p, moved := b.reloaded(same)
	n := p.Backend("be").Servers()[0]
	v := n.View()
	if n == s || n.Key != key || v.Weight != 7 || n.Limit() != 3 || !v.Admin.Drain() || n.Counters.Sum().Sessions != 5 || n.Sessions.Load() != 1 {
		t.Errorf("the server is %+v, key %d, limit %d, %d sessions", v, n.Key, n.Limit(), n.Sessions.Load())
	}
	if len(moved.Added)+len(moved.Removed) != 0 {
		t.Errorf("added %v, removed %v", moved.Added, moved.Removed)
	}
	s.Release() // by a session of before
	if n.Sessions.Load() != 0 {
		t.Error("a session of the old configuration is not given back to the server")
	}
}

func TestTakeOverAppliesWhatTheLineSaysAnew(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(nil)
	if err := s.SetWeight(7); err != nil {
		t.Fatal(err)
	}
	p, _ := b.reloaded(options("s1", "10.0.0.9:81", func(o *ServerOptions) { o.Weight, o.MaxConn, o.Disabled = 20, 4, true }))
	n := p.Backend("be").Servers()[0]
	if v := n.View(); v.Weight != 20 || n.Limit() != 4 || v.Addr.String() != "10.0.0.9:81" || v.Status != "MAINT" {
		t.Errorf("the server is %+v with limit %d", v, n.Limit())
	}
	if got := len(p.Backend("be").Snapshot().Targets); got != 0 {
		t.Errorf("%d targets", got)
	}
	if log := b.texts(); !strings.Contains(log, "be/s1 changed its IP from 10.0.0.1 to 10.0.0.9 by configuration.") ||
		!strings.Contains(log, "Server be/s1 is going DOWN for maintenance (changed from configuration).") {
		t.Errorf("the log says:\n%s", log)
	}
	again := New(2)
	again.AddBackend(BackendOptions{Name: "be"}).AddServer(options("s1", "10.0.0.9:81", func(o *ServerOptions) { o.Weight, o.MaxConn = 20, 4 }))
	again.TakeOver(p).Commit()
	if v := again.Backend("be").Servers()[0].View(); v.Status != "UP 1/3" {
		t.Errorf("enabled by the configuration, the server is %s", v.Status)
	}
}

func (b *bench) texts() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out strings.Builder
	for _, e := range b.log {
		out.WriteString(e.Text + "\n")
	}
	return out.String()
}

func TestTakeOverKeepsAServerThatIsDown(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(nil)
	s.ReportCheck(CheckResult{Status: CheckL4Con})
	p, _ := b.reloaded(options("s1", "10.0.0.1:80", func(o *ServerOptions) { o.Rise = 5 }))
	if v := p.Backend("be").Servers()[0].View(); v.Op != Stopped || v.Status != "DOWN" {
		t.Errorf("the server is %s", v.Status)
	}
	p2 := New(2)
	p2.AddBackend(BackendOptions{Name: "be"}).AddServer(options("s1", "10.0.0.1:80", func(o *ServerOptions) { o.Check = false }))
	p2.TakeOver(p).Commit()
	if v := p2.Backend("be").Servers()[0].View(); v.Status != "no check" {
		t.Errorf("without checks the server is %s", v.Status)
	}
}

func TestTakeOverAddsAndRemovesServers(t *testing.T) {
	b := newBench(t, BackendOptions{})
	first, second := b.server(nil), b.server(nil)
	var got Target
	w := &Waiter{Grant: func(t Target) bool { got = t; return true }}
	second.SetLimit(1)
	second.Acquire()
	if !b.EnqueueFor(w, second) {
		t.Fatal("no place in the queue")
	}
	p, moved := b.reloaded(options("s3", "10.0.0.3:80", nil), options("s1", "10.0.0.1:80", nil))
	if len(moved.Added) != 1 || moved.Added[0].Name != "s3" || len(moved.Removed) != 1 || moved.Removed[0] != second {
		t.Errorf("added %v, removed %v", moved.Added, moved.Removed)
	}
	servers := p.Backend("be").Servers()
	if servers[0].Key == first.Key || servers[0].Key == second.Key || servers[1].Key != first.Key {
		t.Errorf("keys %d and %d, before %d and %d", servers[0].Key, servers[1].Key, first.Key, second.Key)
	}
	if got.Server == nil || got.Server.Name == "s2" {
		t.Errorf("who waited for the server that went was given %v", got.Server)
	}
	for _, target := range b.Snapshot().Targets { // as a session of before sees it
		if target.Server == second {
			t.Error("the server that went is still chosen")
		}
	}
	p.Recycle(second)
	if next := p.AddBackend(BackendOptions{Name: "more"}).AddServer(options("x", "10.0.0.4:80", nil)); next.Key != second.Key {
		t.Errorf("key %d, that of the server that went was %d", next.Key, second.Key)
	}
}

func TestTakeOverOfABackendOfAnotherModeBeginsAnew(t *testing.T) {
	b := newBench(t, BackendOptions{})
	old := b.server(nil)
	p := New(2)
	p.AddBackend(BackendOptions{Name: "be", Mode: HTTP}).AddServer(options("s1", "10.0.0.1:80", nil))
	moved := p.TakeOver(b.pool)
	moved.Commit()
	if len(moved.Removed) != 1 || moved.Removed[0] != old || len(moved.Added) != 1 {
		t.Errorf("added %v, removed %v", moved.Added, moved.Removed)
	}
}

func TestSharedPlacesSurviveUnshare(t *testing.T) {
	p := New(1)
	f := p.AddFrontend("fe", TCP, 2)
	var flag, taken atomic.Int64
	f.Sessions.Add(1)
	f.Hold(1)
	f.Sessions.Share(&taken)
	f.ShareHold(&flag)
	if taken.Load() != 1 || flag.Load() != 1 {
		t.Errorf("%d places, flag %d", taken.Load(), flag.Load())
	}
	f.Sessions.Unshare()
	f.ShareHold(nil)
	if taken.Load() != 0 || flag.Load() != 0 || f.Sessions.Taken() != 1 || f.Held() != 1 {
		t.Errorf("after it %d places, flag %d; its own %d and %d", taken.Load(), flag.Load(), f.Sessions.Taken(), f.Held())
	}
}
