package datapath

import (
	"cmp"
	"maps"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"

	"waggle/pkg/lab/require"
)

// A change of the routing table that fails half-way leaves no address with the way of a wider prefix, and nothing of it once there
// is room again.
func TestRoutesThatCouldNotBeWrittenAreMadeRightLater(t *testing.T) {
	require.Root(t)
	spec, err := specFor(Options{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	small := spec.Maps[lbMapWgRoutes]
	small.MaxEntries = 3
	m, err := ebpf.NewMap(small)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	x := mirror[lbWgRouteKey, lbWgRoute]{m: m}
	narrow := func(a, b lbWgRouteKey) int { return cmp.Compare(b.Bits, a.Bits) }
	// table is a routing table of which all is new.
	way := uint32(0)
	table := func(prefixes ...string) map[lbWgRouteKey]lbWgRoute {
		routes := make(map[lbWgRouteKey]lbWgRoute)
		for _, p := range prefixes {
			way++
			routes[routeKey(netip.MustParsePrefix(p))] = lbWgRoute{Ifindex: 1, Way: way}
		}
		return routes
	}
	holds := func(when string, want map[lbWgRouteKey]lbWgRoute) {
		t.Helper()
		if got, err := readMap[lbWgRouteKey, lbWgRoute](m); err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: %v (%v), want %v", when, got, err, want)
		}
	}
	first := table("0.0.0.0/0", "10.0.0.0/8", "192.0.2.0/24")
	if err := x.become(first, narrow); err != nil {
		t.Fatal(err)
	}
	holds("at first", first)
	// The second is one too many. All that is wider than what has no room stays without a way that holds.
	second := table("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24")
	if err := x.become(second, narrow); err == nil {
		t.Fatal("there is room for four")
	}
	got, err := readMap[lbWgRouteKey, lbWgRoute](m)
	if err != nil {
		t.Fatal(err)
	}
	missing := uint32(0)
	for key := range second {
		if _, ok := got[key]; !ok {
			missing = max(missing, key.Bits)
		}
	}
	for key, value := range got {
		if value == second[key] && key.Bits < missing {
			t.Errorf("a prefix of %d bits has its new way although a narrower one has none", key.Bits-96)
		}
	}
	third := table("10.0.0.0/8", "172.16.0.0/12")
	for range 2 { // also when nothing is to be written
		if err := x.become(third, narrow); err != nil {
			t.Fatal(err)
		}
		holds("with room again", third)
	}
	key, last := routeKey(netip.MustParsePrefix("198.51.100.0/24")), lbWgRoute{Ifindex: 2}
	for range 2 {
		if err := x.add(key, last); err != nil {
			t.Fatal(err)
		}
	}
	third[key] = last
	holds("with one more", third)
	if err := x.add(routeKey(netip.MustParsePrefix("198.51.101.0/24")), last); err == nil {
		t.Fatal("there is room for a fourth one")
	}
	if err := x.become(first, narrow); err != nil {
		t.Fatal(err)
	}
	holds("at last", first)
}

// A frontend or server whose new entry cannot be written has none: SYNs fall through, or do with the server's first source address.
func TestWhatCannotBeWrittenIsTakenAway(t *testing.T) {
	require.Root(t)
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 9})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := putChanged(m, nil, map[uint32]uint32{1: 10, 2: 20}); err != nil {
		t.Fatal(err)
	}
	tooLarge := map[uint32]uint64{1: 11, 3: 30} // as good a reason as that there is no memory
	if err := putChanged(m, map[uint32]uint64{1: 10, 2: 20}, tooLarge); err == nil {
		t.Fatal("a value of another size was written")
	}
	if got, err := readMap[uint32, uint32](m); err != nil || !maps.Equal(got, map[uint32]uint32{2: 20}) {
		t.Errorf("left: %v (%v)", got, err)
	}
}
