package datapath

import (
	"fmt"
	"time"
)

// grace is how long after its last use an index may still be met by a program that read the maps just before.
// Programs run for microseconds.
const grace = time.Second

// counterMax is how many entries wg_counters has for each CPU: WG_COUNTERS_MAX.
const counterMax = 4096

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
	// note and drop, if set, keep a book of what is handed out: before it is used, and when it is not any more.
	note func(key K, index uint32) error
	drop func(key K) error
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
	n := len(x.free)
	if n > 0 {
		i = x.free[n-1]
	} else if x.next >= x.max {
		return 0, fmt.Errorf("%s is full: %d entries", x.name, x.max)
	}
	if x.note != nil {
		if err := x.note(key, i); err != nil {
			return 0, fmt.Errorf("note entry %d of %s: %w", i, x.name, err)
		}
	}
	if n > 0 {
		x.free = x.free[:n-1]
	} else {
		x.next++
	}
	x.used[key] = i
	if x.fresh != nil {
		x.fresh(i)
	}
	return i, nil
}

// put gives the index of key back. Its map entry must be zero again.
func (x *indices[K]) put(key K) error {
	i, ok := x.used[key]
	if !ok {
		return nil
	}
	if x.drop != nil {
		if err := x.drop(key); err != nil {
			return fmt.Errorf("forget entry %d of %s: %w", i, x.name, err)
		}
	}
	delete(x.used, key)
	x.free = append(x.free, i)
	return nil
}

// restore goes on with what was handed out by a process before this one.
func (x *indices[K]) restore(used map[K]uint32) {
	taken := make(map[uint32]bool, len(used))
	for key, i := range used {
		if i > 0 && i < x.max && !taken[i] {
			x.used[key], taken[i] = i, true
			x.next = max(x.next, i+1)
		}
	}
	for i := uint32(1); i < x.next; i++ {
		if !taken[i] {
			x.free = append(x.free, i)
		}
	}
}
