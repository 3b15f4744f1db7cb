package balance

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"waggle/pkg/pool"
)

func members(n int) []Member {
	m := make([]Member, n)
	for i := range m {
		m[i] = Member{Key: fmt.Sprintf("10.0.%d.%d:80", i/250, i%250+1), Weight: 1}
	}
	return m
}

// owners is the table by key, so that tables of different lists can be compared.
func owners(m []Member) []string {
	table := Maglev(m)
	keys := make([]string, len(table))
	for i, at := range table {
		keys[i] = m[at].Key
	}
	return keys
}

func TestMaglevShares(t *testing.T) {
	for _, weights := range [][]int{{1}, {1, 1, 1}, {1, 2, 5}, {256, 1, 13}, {0, 7}, slices.Repeat([]int{1}, 1000)} {
		m := members(len(weights))
		total := 0
		for i, w := range weights {
			m[i].Weight = w
			total += w
		}
		count := make([]int, len(m))
		for _, i := range Maglev(m) {
			count[i]++
		}
		for i, w := range weights {
			exact := float64(MaglevSize*w) / float64(total)
			if off := float64(count[i]) - exact; off > 2 || off < -2 { // the last round is not finished
				t.Errorf("%d members: weight %d has %d slots, exact is %.1f", len(weights), w, count[i], exact)
			}
		}
	}
	if Maglev(nil) != nil || Maglev([]Member{{Key: "a"}}) != nil {
		t.Error("a table without a member")
	}
}

// Balancers that have the same servers in other slots agree.
func TestMaglevDoesNotDependOnOrder(t *testing.T) {
	m := members(20)
	want := owners(m)
	rand.Shuffle(len(m), func(i, j int) { m[i], m[j] = m[j], m[i] })
	if !slices.Equal(owners(m), want) {
		t.Error("another order makes another table")
	}
}

// TestMaglevDisruption measures how many slots that need not change hands do when a member leaves. A table by position
// (HAProxy's map-based hash) moves nearly all.
func TestMaglevDisruption(t *testing.T) {
	for _, n := range []int{3, 10, 100} {
		m := members(n)
		before, after := owners(m), owners(slices.Delete(slices.Clone(m), n/2, n/2+1))
		moved := 0
		for i := range before {
			if before[i] != m[n/2].Key && before[i] != after[i] {
				moved++
			}
		}
		share := float64(moved) / MaglevSize
		t.Logf("%d members, one leaves: %.1f %% of the clients of others move", n, 100*share)
		if share > 0.06 {
			t.Errorf("%d members: %.3f of the slots moved without need", n, share)
		}
	}
}

// The function is what balancers agree on, and the kernel path has it in C: it must never change.
func TestSourceHash(t *testing.T) {
	for addr, want := range map[string]uint32{
		"0.0.0.0": 0, "192.0.2.1": 0xd7423d9e, "::ffff:192.0.2.1": 0xd7423d9e, "2001:db8::1": 0xab3c9036,
	} {
		if got := SourceHash(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %#x, want %#x", addr, got, want)
		}
	}
}

// A client whose server failed goes to the same other one each time.
func TestSourceRedispatchesToTheSameServer(t *testing.T) {
	b := backendOf(t, pool.ServerOptions{}, pool.ServerOptions{}, pool.ServerOptions{})
	s := algorithm(t, "source", b)
	src := netip.MustParseAddr("192.0.2.7")
	first, _ := s.Pick(Request{Src: src})
	first.Server.Release()
	got := picks(s, 10, Request{Src: src, Avoid: first.Server})
	if len(got) != 1 || got[first.Server.Name] != 0 {
		t.Errorf("%v, first was %s", got, first.Server.Name)
	}
}

func BenchmarkMaglev(b *testing.B) {
	for _, n := range []int{3, 100, 1000} {
		m := members(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				Maglev(m)
			}
		})
	}
}

func TestSourceFollowsWeights(t *testing.T) {
	b := backendOf(t, pool.ServerOptions{Weight: 1}, pool.ServerOptions{Weight: 3})
	a := algorithm(t, "source", b)
	heavy := 0
	for i := range 4000 {
		heavy += picks(a, 1, Request{Src: netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})})["s2"]
	}
	if heavy < 2800 || heavy > 3200 {
		t.Errorf("weight 3 of 4 got %d of 4000 clients", heavy)
	}
}
