package balance

import (
	"fmt"
	"testing"

	"waggle/pkg/pool"
)

// The tables are those that HAProxy 2.6's static-rr, which goes by the same map, was seen to walk.
func TestKeyMap(t *testing.T) {
	for _, row := range []struct {
		weights []int
		want    string
	}{
		{[]int{3, 1, 10, 2}, "[0 2 1 2 2 0 2 2 3 2 0 2 2 2 2 3]"},
		{[]int{2, 4, 6}, "[0 2 1 2 1 2]"},
		{[]int{7, 3}, "[0 0 0 1 0 0 1 0 0 1]"},
		{[]int{1, 0, 1}, "[0 2]"},
		{[]int{0}, "[]"},
	} {
		if got := fmt.Sprint(keyMap(row.weights)); got != row.want {
			t.Errorf("%v: %s, want %s", row.weights, got, row.want)
		}
	}
}

func hashAlgorithm(t *testing.T, spec Spec, b *pool.Backend) Algorithm {
	t.Helper()
	a, err := New(spec, b)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A key waits for its server when that is full, and goes to another one when it has just failed.
func TestKeyIsBound(t *testing.T) {
	for _, spec := range []Spec{{Name: "uri"}, {Name: "uri", Consistent: true}} {
		b := backendOf(t, pool.ServerOptions{Weight: 1, MaxConn: 1}, pool.ServerOptions{Weight: 1, MaxConn: 1})
		a := hashAlgorithm(t, spec, b)
		req := Request{Hash: 12345, Hashed: true}
		first, ok := a.Pick(req)
		if !ok {
			t.Fatal("no server")
		}
		if other, ok := a.Pick(req); ok {
			t.Errorf("%+v: a full server's key went to %s", spec, other.Server.Name)
		}
		if got := a.(Binder).Bound(req); got != first.Server {
			t.Errorf("%+v: bound to %v", spec, got)
		}
		req.Avoid = first.Server
		if other, ok := a.Pick(req); !ok || other.Server == first.Server {
			t.Errorf("%+v: redispatch found %v", spec, other.Server)
		}
		if got := a.(Binder).Bound(req); got == first.Server {
			t.Errorf("%+v: bound to the server to avoid", spec)
		}
		if got := a.(Binder).Bound(Request{}); got != nil {
			t.Errorf("%+v: bound without a key", spec)
		}
	}
}

// Without a key the servers take turns.
func TestNoKeyTakesTurns(t *testing.T) {
	for _, spec := range []Spec{{Name: "hdr"}, {Name: "hdr", Consistent: true}} {
		b := backendOf(t, pool.ServerOptions{Weight: 1}, pool.ServerOptions{Weight: 1})
		got := picks(hashAlgorithm(t, spec, b), 10, Request{})
		if len(got) != 2 || got["s1"] != 5 {
			t.Errorf("%+v: %v", spec, got)
		}
	}
}

// When a server leaves a consistent ring, only its own keys move.
func TestRingMovesFewKeys(t *testing.T) {
	b := backendOf(t, pool.ServerOptions{Weight: 1}, pool.ServerOptions{Weight: 1}, pool.ServerOptions{Weight: 1})
	a := hashAlgorithm(t, Spec{Name: "uri", Consistent: true}, b).(*ring)
	before := make([]*pool.Server, 2000)
	for i := range before {
		before[i] = a.Bound(Request{Hash: uint32(i) * 2654435761, Hashed: true})
	}
	gone := b.Servers()[1]
	gone.SetMaint(true, pool.CauseNone)
	for i, was := range before {
		now := a.Bound(Request{Hash: uint32(i) * 2654435761, Hashed: true})
		if was != gone && now != was || now == gone {
			t.Fatalf("key %d went from %s to %s", i, was.Name, now.Name)
		}
	}
}

// No server gets more than its factor of the average.
// A key belongs to the nearest point, on a circle.
func TestRingNearest(t *testing.T) {
	p := &ringPlan{points: []point{{1 << 30, 0}, {2 << 30, 1}}}
	for key, want := range map[uint32]int{1 << 30: 0, 1<<30 + 5: 0, 3<<29 - 1: 0, 3<<29 + 1: 1, 2 << 30: 1, 2<<30 + 7: 1, 0xffffffff: 0, 5: 0} {
		if got := p.nearest(key); got != want {
			t.Errorf("%#x: point %d, want %d", key, got, want)
		}
	}
}

func TestTheOnlyServerOfAKeyIsTheLastResort(t *testing.T) {
	for _, spec := range []Spec{{Name: "uri"}, {Name: "uri", Consistent: true}} {
		b := backendOf(t, pool.ServerOptions{})
		req := Request{Hash: 7, Hashed: true, Avoid: b.Servers()[0]}
		if got := picks(hashAlgorithm(t, spec, b), 1, req); got["s1"] != 1 {
			t.Errorf("%+v: the only server was not chosen: %v", spec, got)
		}
	}
}

func TestHashFactor(t *testing.T) {
	b := backendOf(t, pool.ServerOptions{Weight: 1}, pool.ServerOptions{Weight: 1}, pool.ServerOptions{Weight: 1}, pool.ServerOptions{Weight: 1})
	a := hashAlgorithm(t, Spec{Name: "uri", Consistent: true, Factor: 150}, b)
	most := func() (n int64) {
		for _, s := range b.Servers() {
			n = max(n, s.Sessions.Taken())
		}
		return n
	}
	for i := range 40 { // one key only
		if i == 3 && most() != 2 { // the session that comes counts: 1.5 times 3/4 are more than one
			t.Errorf("the busiest of 4 servers has %d of 3 sessions", most())
		}
		if _, ok := a.Pick(Request{Hash: 7, Hashed: true}); !ok {
			t.Fatal("no server")
		}
	}
	if most() != 15 { // 1.5 times 40/4
		t.Errorf("the busiest of 4 servers has %d of 40 sessions", most())
	}
}
