package balance

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"waggle/pkg/pool"
)

func TestSchedule(t *testing.T) {
	for _, tc := range []struct {
		name    string
		weights []int
		limit   int
		want    []int
	}{
		{"nothing", nil, 10, nil},
		{"all zero", []int{0, 0}, 10, nil},
		{"equal weights give configuration order", []int{1, 1, 1}, 10, []int{0, 1, 2}},
		{"a common divisor shortens the cycle", []int{100, 100}, 10, []int{0, 1}},
		{"heavy servers are spread out", []int{5, 1, 1}, 10, []int{0, 0, 1, 0, 2, 0, 0}},
		{"a zero weight takes no slot", []int{1, 0, 1}, 10, []int{0, 2}},
		{"nor does a negative one", []int{-4, 2}, 10, []int{1}},
		{"each has a slot, also of more than there may be", []int{1, 1, 1, 1}, 3, []int{0, 1, 2, 3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Schedule(tc.weights, tc.limit); !slices.Equal(got, tc.want) {
				t.Errorf("Schedule(%v) = %v, want %v", tc.weights, got, tc.want)
			}
		})
	}
}

func TestScheduleQuantisesToTheLimit(t *testing.T) {
	weights := []int{256, 255, 1, 13}
	got := Schedule(weights, 64)
	if len(got) > 64 {
		t.Fatalf("%d slots, limit 64", len(got))
	}
	count := make([]int, len(weights))
	for _, i := range got {
		count[i]++
	}
	for i, w := range weights {
		exact := float64(w) / 525
		if share := float64(count[i]) / float64(len(got)); count[i] == 0 || share < exact-2.0/64 || share > exact+2.0/64 {
			t.Errorf("weight %d has share %.3f, exact is %.3f", w, share, exact)
		}
	}
}

func backendOf(t *testing.T, servers ...pool.ServerOptions) *pool.Backend {
	t.Helper()
	b := pool.New(1).AddBackend(pool.BackendOptions{Name: "be"})
	for i, o := range servers {
		d := pool.DefaultServerOptions()
		if o.Weight == 0 {
			o.Weight = d.Weight
		}
		o.Rise, o.Fall = d.Rise, d.Fall
		o.Name = fmt.Sprintf("s%d", i+1)
		o.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 80)
		b.AddServer(o)
	}
	return b
}

func algorithm(t *testing.T, name string, b *pool.Backend) Algorithm {
	t.Helper()
	a, err := New(Spec{Name: name}, b)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// picks takes n sessions, releases them, and returns who got them.
func picks(a Algorithm, n int, req Request) map[string]int {
	got := map[string]int{}
	for range n {
		if t, ok := a.Pick(req); ok {
			got[t.Server.Name]++
			t.Server.Release()
		}
	}
	return got
}

func TestRoundRobinIsExactAcrossGoroutines(t *testing.T) {
	b := backendOf(t, pool.ServerOptions{}, pool.ServerOptions{Weight: 2}, pool.ServerOptions{})
	rr := newRoundRobin(b, "roundrobin")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if target, ok := rr.Pick(Request{}); ok {
					target.Server.Counters.Shard(1).LBTotal.Add(1)
					target.Server.Release()
				}
			}
		})
	}
	wg.Wait()
	for i, want := range []uint64{2000, 4000, 2000} {
		if got := b.Servers()[i].Counters.Sum().LBTotal; got != want {
			t.Errorf("server %d was chosen %d times, want %d", i+1, got, want)
		}
	}
}

func TestRoundRobinSkipsFullAndFailedServers(t *testing.T) {
	b := backendOf(t, pool.ServerOptions{MaxConn: 1}, pool.ServerOptions{}, pool.ServerOptions{})
	rr := newRoundRobin(b, "roundrobin")
	if !b.Servers()[0].Acquire() {
		t.Fatal("the first session of s1 was refused")
	}
	if got := picks(rr, 6, Request{}); got["s1"] != 0 {
		t.Errorf("a full server was chosen: %v", got)
	}
	if got := picks(rr, 6, Request{Avoid: b.Servers()[1]}); got["s2"] != 0 || got["s3"] != 6 {
		t.Errorf("avoiding s2 with s1 full: %v", got)
	}
}

func TestTheServerToAvoidIsTheLastResort(t *testing.T) {
	for _, name := range []string{"roundrobin", "leastconn", "first", "random", "source"} {
		b := backendOf(t, pool.ServerOptions{})
		if got := picks(algorithm(t, name, b), 1, Request{Avoid: b.Servers()[0]}); got["s1"] != 1 {
			t.Errorf("%s: the only server was not chosen: %v", name, got)
		}
	}
}

// Any other server comes before the one to avoid, even if that is the better one.
func TestTheServerToAvoidIsAvoided(t *testing.T) {
	for _, name := range []string{"roundrobin", "leastconn", "first", "random", "source"} {
		for avoid := range 2 {
			b := backendOf(t, pool.ServerOptions{Weight: 1}, pool.ServerOptions{Weight: 1})
			servers := b.Servers()
			a := algorithm(t, name, b)
			for i := range 10 {
				req := Request{Src: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), Avoid: servers[avoid]}
				if got, ok := a.Pick(req); !ok || got.Server == servers[avoid] {
					t.Fatalf("%s: the server to avoid was chosen, %v", name, ok)
				}
			}
		}
	}
}

func TestNoServerIsNoPick(t *testing.T) {
	for _, name := range []string{"roundrobin", "leastconn", "first", "random", "source"} {
		if _, ok := algorithm(t, name, backendOf(t)).Pick(Request{}); ok {
			t.Errorf("%s picked a server of an empty backend", name)
		}
	}
}

func TestLeastConnTakesTheLeastLoadedForItsWeight(t *testing.T) {
	b := backendOf(t, pool.ServerOptions{}, pool.ServerOptions{Weight: 3})
	lc := algorithm(t, "leastconn", b)
	for range 8 { // held, not released
		lc.Pick(Request{})
	}
	if s1, s2 := b.Servers()[0].Sessions.Load(), b.Servers()[1].Sessions.Load(); s1 != 2 || s2 != 6 {
		t.Errorf("sessions %d and %d, want 2 and 6", s1, s2)
	}
}

// Of servers that are alike each has its turn.
func TestLeastConnTakesTurns(t *testing.T) {
	lc := algorithm(t, "leastconn", backendOf(t, pool.ServerOptions{}, pool.ServerOptions{}))
	if got := picks(lc, 10, Request{}); got["s1"] != 5 {
		t.Errorf("%v", got)
	}
}

// Who waits counts as who is there, where it is chosen whose queue to wait in.
func TestLeastConnFillsQueuesEvenly(t *testing.T) {
	b := backendOf(t, pool.ServerOptions{MaxConn: 1, MaxQueue: 4}, pool.ServerOptions{MaxConn: 1, MaxQueue: 4})
	a := algorithm(t, "leastconn", b)
	for range 2 {
		a.Pick(Request{})
	}
	for range 3 {
		for range b.Servers() {
			if s := a.(Binder).Bound(Request{}); s == nil || !b.EnqueueFor(&pool.Waiter{Grant: func(pool.Target) bool { return true }}, s) {
				t.Fatalf("no queue; %v", s)
			}
		}
		if one, two := b.Servers()[0].Queue.Load(), b.Servers()[1].Queue.Load(); one != two {
			t.Errorf("queues of %d and %d", one, two)
		}
	}
}

// A place that somebody waits for is no reason not to wait behind them.
func TestLeastConnWaitsBehindWhoWaits(t *testing.T) {
	b := backendOf(t, pool.ServerOptions{MaxConn: 1, MaxQueue: 4})
	one := b.Servers()[0]
	one.Acquire()
	b.EnqueueFor(&pool.Waiter{Grant: func(pool.Target) bool { return true }}, one)
	one.Sessions.Add(-1) // as it is just before the place is given away
	if got := algorithm(t, "leastconn", b).(Binder).Bound(Request{}); got != one {
		t.Errorf("bound to %v", got)
	}
}

func TestFirstFillsInOrderOfIDs(t *testing.T) {
	for _, c := range []struct {
		ids  [3]int
		want []string
	}{
		{[3]int{}, []string{"s1", "s1", "s2", "s2", "s3", "s3"}},
		{[3]int{30, 10, 20}, []string{"s2", "s2", "s3", "s3", "s1", "s1"}},
	} {
		b := backendOf(t, pool.ServerOptions{MaxConn: 2}, pool.ServerOptions{MaxConn: 2}, pool.ServerOptions{MaxConn: 2})
		for i, id := range c.ids {
			if id > 0 {
				b.Servers()[i].ID = id
			}
		}
		f := algorithm(t, "first", b)
		var got []string
		for range 7 {
			if target, ok := f.Pick(Request{}); ok {
				got = append(got, target.Server.Name)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("ids %v: got %v, want %v", c.ids, got, c.want)
		}
	}
}

func TestRandomFollowsWeights(t *testing.T) {
	b := backendOf(t, pool.ServerOptions{Weight: 1}, pool.ServerOptions{Weight: 3})
	r, err := New(Spec{Name: "random", Args: []string{"1"}}, b) // one draw: no correction by load
	if err != nil {
		t.Fatal(err)
	}
	if got := picks(r, 4000, Request{}); got["s2"] < 2850 || got["s2"] > 3150 {
		t.Errorf("weight 3 of 4 got %d of 4000", got["s2"])
	}
	// Of many draws all but never the same server; the least loaded for its weight is taken.
	b.Servers()[0].Sessions.Add(10)
	b.Servers()[1].Sessions.Add(20)
	if r, err = New(Spec{Name: "random", Args: []string{"64"}}, b); err != nil {
		t.Fatal(err)
	}
	if got := picks(r, 20, Request{}); got["s2"] != 20 {
		t.Errorf("the one that is less loaded for its weight got %d of 20", got["s2"])
	}
	if _, err := New(Spec{Name: "random", Args: []string{"0"}}, b); err == nil {
		t.Error("0 draws were accepted")
	}
}

func TestSourceIsStable(t *testing.T) {
	b := backendOf(t, pool.ServerOptions{}, pool.ServerOptions{}, pool.ServerOptions{})
	s := algorithm(t, "source", b)
	seen := map[string]bool{}
	for i := range 32 {
		src := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		got := picks(s, 5, Request{Src: src})
		if len(got) != 1 {
			t.Errorf("%s went to %v", src, got)
		}
		for name := range got {
			seen[name] = true
		}
	}
	if len(seen) != 3 {
		t.Errorf("32 clients reached only %v", seen)
	}
}

// With a maxqueue leastconn counts what waits for a server as its load, and has sessions wait for it while it is the least.
func TestLeastConnFillsQueues(t *testing.T) {
	b := backendOf(t, pool.ServerOptions{MaxConn: 1, MaxQueue: 1}, pool.ServerOptions{MaxConn: 1, MaxQueue: 1})
	a := algorithm(t, "leastconn", b)
	servers := b.Servers()
	for range 2 {
		if _, ok := a.Pick(Request{}); !ok {
			t.Fatal("no room for one each")
		}
	}
	for range 2 {
		s := a.(Binder).Bound(Request{})
		if s == nil || s.Queue.Load() != 0 {
			t.Fatalf("bound to %v", s)
		}
		if _, ok := a.Pick(Request{}); ok {
			t.Error("there was room")
		}
		if !b.EnqueueFor(&pool.Waiter{Grant: func(pool.Target) bool { return true }}, s) {
			t.Error("no room in the queue")
		}
	}
	if s := a.(Binder).Bound(Request{}); s != nil {
		t.Errorf("bound to %s, whose queue is full", s.Name)
	}
	servers[0].Release() // to the one that waits
	servers[0].Release()
	if got, ok := a.Pick(Request{}); !ok || got.Server != servers[0] {
		t.Errorf("chosen is %v", got.Server)
	}
}

// Who waits for a server is not passed by those who take any.
func TestPickPassesNobody(t *testing.T) {
	for _, name := range []string{"roundrobin", "leastconn", "first", "random"} {
		b := backendOf(t, pool.ServerOptions{MaxConn: 1}, pool.ServerOptions{MaxConn: 1})
		one := b.Servers()[0]
		one.Acquire()
		b.EnqueueFor(&pool.Waiter{Grant: func(pool.Target) bool { return true }}, one)
		one.Sessions.Add(-1) // as it is just before the place is given away
		a := algorithm(t, name, b)
		if got, ok := a.Pick(Request{}); !ok || got.Server == one {
			t.Errorf("%s: chosen is %v", name, got.Server)
		}
		if got, ok := a.Pick(Request{}); ok {
			t.Errorf("%s: then it is %v", name, got.Server)
		}
	}
}

// A change of the configuration does not begin the turns anew.
func TestRoundRobinContinues(t *testing.T) {
	b := backendOf(t, pool.ServerOptions{}, pool.ServerOptions{})
	before, after := newRoundRobin(b, "roundrobin"), newRoundRobin(b, "roundrobin")
	picks(before, 1, Request{})
	after.Continue(before)
	if got := picks(after, 1, Request{}); got["s2"] != 1 {
		t.Errorf("%v", got)
	}
}
