package datapath

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
)

// schedule is what a service chooses its servers from.
type schedule struct {
	algorithm Algorithm
	draws     uint16 // of Random
	slots     []slot
}

// slot is a place in a schedule.
type slot struct {
	target, counter uint16
	weight          uint16 // of the server, where the algorithm asks for it; else 0
}

func (s *schedule) equal(other *schedule) bool {
	return other != nil && s.algorithm == other.algorithm && s.draws == other.draws && slices.Equal(s.slots, other.slots)
}

// weighed tells whether weights differ.
func (s *schedule) weighed() bool {
	return slices.ContainsFunc(s.slots, func(v slot) bool { return v.weight != s.slots[0].weight })
}

// elements are what wg_sched has of it: union wg_sched_elem.
func (s *schedule) elements() [][4]uint16 {
	n := len(s.slots)
	elements := make([][4]uint16, 1+(n+1)/2, 1+(n+1)/2+(n+3)/4)
	elements[0] = [4]uint16{uint16(n), uint16(s.algorithm), s.draws}
	for i, v := range s.slots {
		two := &elements[1+i/2]
		two[i%2*2], two[i%2*2+1] = v.target, v.counter
	}
	if !s.weighed() {
		return elements
	}
	elements[0][3] = 1
	weights := make([][4]uint16, (n+3)/4)
	for i, v := range s.slots {
		weights[i/4][i%4] = v.weight
	}
	return append(elements, weights...)
}

// schedule plans that of a service, whose servers are planned.
func (p *planner) schedule(s Service, planned map[uint32]lbWgServer) (*schedule, error) {
	out := &schedule{algorithm: s.Algorithm}
	if s.Algorithm == Random {
		out.draws = uint16(s.Draws)
	}
	byID := make(map[uint32]slot, len(s.Servers))
	for _, v := range s.Servers {
		planned := slot{target: planned[v.ID].Target}
		if s.Algorithm == Random || s.Algorithm == LeastConn {
			planned.weight = uint16(max(1, v.Weight))
		}
		byID[v.ID] = planned
	}
	for _, id := range s.Schedule {
		v := byID[id]
		if v.counter == 0 {
			counter, err := p.counters.get(pair{s.ID, id})
			if err != nil {
				return nil, err
			}
			v.counter = uint16(counter)
			byID[id] = v
		}
		out.slots = append(out.slots, v)
	}
	return out, nil
}

// putSchedule replaces what the kernel has of a service's schedule, at once.
func (t *tables) putSchedule(id uint32, s *schedule) error {
	elements := s.elements()
	spec := t.obj.inner.Copy()
	spec.MaxEntries = uint32(len(elements))
	inner, err := ebpf.NewMap(spec)
	if err != nil {
		return fmt.Errorf("create map of %d slots: %w", len(s.slots), err)
	}
	defer inner.Close() // wg_sched keeps it
	keys := make([]uint32, len(elements))
	for i := range keys {
		keys[i] = uint32(i)
	}
	if _, err := inner.BatchUpdate(keys, elements, nil); err != nil {
		return fmt.Errorf("fill map of %d slots: %w", len(s.slots), err)
	}
	return t.obj.WgSched.Put(id, inner)
}
