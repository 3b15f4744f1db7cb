package pool

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
)

// kernelPlace is what the kernel path adds for a place: it counts its own in the upper half.
const kernelPlace = 1<<32 + 1

// Places that both paths fight for are given out to the last one, and never one more.
func TestSharedPlacesAreExact(t *testing.T) {
	const limit = 50
	var g Gauge
	var taken atomic.Int64
	g.Share(&taken)
	var entered, most atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5000 {
				if g.Enter(limit) {
					for n, seen := entered.Add(1), most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
					}
					entered.Add(-1)
					g.Add(-1)
				}
			}
		})
	}
	wg.Go(func() { // as the kernel does it
		for range 5000 {
			if n := taken.Load(); places(n) < limit && taken.CompareAndSwap(n, n+kernelPlace) {
				taken.Add(-kernelPlace)
			}
		}
	})
	wg.Wait()
	if taken.Load() != 0 || g.User() != 0 || most.Load() > limit {
		t.Errorf("%d places are left taken, %d sessions, %d at once", taken.Load(), g.User(), most.Load())
	}
	for i := range int64(limit) {
		if !g.Enter(limit) {
			t.Fatalf("refused with %d of %d places taken", i, limit)
		}
	}
	if g.Enter(limit) {
		t.Error("a place beyond the limit was given")
	}
}

// What the kernel path holds counts at once, not when it is reported.
func TestPlacesOfTheKernelCountAtOnce(t *testing.T) {
	var g Gauge
	g.Add(2)
	var taken atomic.Int64
	g.Share(&taken)
	taken.Add(3 * kernelPlace) // the kernel path takes three
	if g.Taken() != 5 || g.Load() != 2 || g.Enter(5) {
		t.Errorf("taken %d, sessions %d", g.Taken(), g.Load())
	}
	taken.Add(-kernelPlace)
	if !g.Enter(5) || g.Taken() != 5 || g.User() != 3 {
		t.Errorf("taken %d, user %d", g.Taken(), g.User())
	}
}

func TestQueuesRaiseTheirFlagsAtOnce(t *testing.T) {
	p := New(1)
	b := p.AddBackend(BackendOptions{Name: "be"})
	var first, second atomic.Int64
	b.ShareQueues([]*atomic.Int64{&first, &second})
	got := 0
	w := &Waiter{Grant: func(Target) bool { got++; return true }}
	b.Enqueue(w)
	if first.Load() != 1 || second.Load() != 1 {
		t.Errorf("flags %d and %d while one waits", first.Load(), second.Load())
	}
	select {
	case <-p.Waiting():
	default:
		t.Error("nobody is told that a request waits")
	}
	if !b.Dequeue(w) || first.Load() != 0 || second.Load() != 0 {
		t.Errorf("flags %d and %d while none waits", first.Load(), second.Load())
	}
	f := p.AddFrontend("fe", TCP, 1)
	f.ShareHold(&first)
	f.Hold(1)
	if first.Load() != 1 || f.Held() != 1 {
		t.Errorf("flag %d while a listener is held", first.Load())
	}
	f.Hold(-1)
	if first.Load() != 0 {
		t.Errorf("flag %d after it", first.Load())
	}
	other := p.AddFrontend("other", TCP, 1)
	p.Hold(1) // for a place of the process
	other.ShareHold(&second)
	if first.Load() != 1 || second.Load() != 1 || p.Held() != 1 {
		t.Errorf("flags %d and %d while a listener waits for the process", first.Load(), second.Load())
	}
	other.ShareHold(nil)
	p.Hold(-1)
	if first.Load() != 0 || second.Load() != 0 {
		t.Errorf("flags %d and %d after it", first.Load(), second.Load())
	}
}

// A place that the kernel path frees goes to the request that waits longest.
func TestServeQueueGivesFreedPlaces(t *testing.T) {
	p := New(1)
	b := p.AddBackend(BackendOptions{Name: "be"})
	o := DefaultServerOptions()
	o.Name, o.MaxConn, o.Addr = "s", 1, netip.MustParseAddrPort("10.0.0.1:80")
	s := b.AddServer(o)
	var taken atomic.Int64
	s.Sessions.Share(&taken)
	taken.Store(1) // a flow has it
	var order []int
	for i := range 2 {
		b.Enqueue(&Waiter{Grant: func(Target) bool { order = append(order, i); return true }})
	}
	if !b.ServeQueue() || len(order) != 0 {
		t.Fatalf("granted %v with the only place taken", order)
	}
	taken.Store(0) // it ended
	if !b.ServeQueue() || len(order) != 1 || order[0] != 0 || taken.Load() != 1 {
		t.Fatalf("granted %v, %d places taken", order, taken.Load())
	}
	taken.Add(-1)
	if b.ServeQueue() || len(order) != 2 {
		t.Errorf("granted %v", order)
	}
}

// Another loop may have a place reserved for a client who is not there while one is confirmed.
func TestAPlaceThatIsNotNeededIsInNoTotal(t *testing.T) {
	for _, limit := range []int64{0, 3} {
		for _, taken := range []*atomic.Int64{nil, new(atomic.Int64)} {
			var g Gauge
			if taken != nil {
				g.Share(taken)
			}
			check := func(when string, total, most, places int64) {
				t.Helper()
				if g.Load() != total || g.User() != total || g.Max() != most || g.Taken() != places {
					t.Errorf("limit %d, %s: %d are in, %d at most, %d places are taken; want %d, %d, %d", limit, when, g.Load(), g.Max(), g.Taken(), total, most, places)
				}
			}
			g.Enter(limit)
			for range 2 {
				if !g.Reserve(limit) {
					t.Errorf("limit %d: a place is not given", limit)
				}
			}
			if limit > 0 && g.Reserve(limit) {
				t.Errorf("limit %d: what is reserved takes no place", limit)
			}
			check("two are reserved", 1, 1, 3)
			g.Confirm()
			check("one is confirmed", 2, 2, 3)
			g.Add(-1)
			g.Cancel()
			check("one has left, one is not needed", 1, 2, 1)
			g.Add(-1)
			check("the last has left", 0, 2, 0)
			if g.user.Load() != 0 {
				t.Errorf("limit %d: %#x is left", limit, g.user.Load())
			}
		}
	}
}
