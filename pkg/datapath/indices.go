package datapath

import (
	"fmt"
	"time"
)

// grace is how long after its last use an index may still be met by a program that read the maps just before.
// Programs run for microseconds.
const grace = time.Second

// pair is a service at a server: what one entry of wg_counters counts.
type pair struct {
	service, server uint32
}

// gaugeKey names an entry of wg_gauges.
type gaugeKey struct {
	server bool // else a service
	id     uint32
}

// indices hands out the entries of an array map. An entry goes back only when nothing in the kernel refers to it.
type indices[K comparable] struct {
	name string
	used map[K]uint32
	free []uint32
	next uint32
	max  uint32
	// fresh, if set, prepares an entry that is handed out.
	fresh func(index uint32)
}

// newIndices leaves index 0 out.
func newIndices[K comparable](name string, max uint32) *indices[K] {
	return &indices[K]{name: name, used: make(map[K]uint32), next: 1, max: max}
}

// get returns the index of key, a new one if it has none.
func (x *indices[K]) get(key K) (uint32, error) {
	if i, ok := x.used[key]; ok {
		return i, nil
	}
	i := x.next
	switch n := len(x.free); {
	case n > 0:
		i, x.free = x.free[n-1], x.free[:n-1]
	case x.next >= x.max:
		return 0, fmt.Errorf("%s is full: %d entries", x.name, x.max)
	default:
		x.next++
	}
	x.used[key] = i
	if x.fresh != nil {
		x.fresh(i)
	}
	return i, nil
}

// put gives the index of key back. Its map entry must be zero again.
func (x *indices[K]) put(key K) {
	if i, ok := x.used[key]; ok {
		delete(x.used, key)
		x.free = append(x.free, i)
	}
}
