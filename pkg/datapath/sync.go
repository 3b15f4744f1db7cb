package datapath

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/cilium/ebpf"
)

// apply makes the maps hold the plan. What is referred to is written before what refers to it and deleted after it, so a SYN
// never meets an id without its entry, whenever it comes.
func (t *tables) apply(p plan) error {
	var errs []error
	oldServers, err := readMap[uint32, lbWgServer](t.obj.WgServers)
	errs = append(errs, err)
	oldServices, err := readMap[lbWgServiceKey, lbWgService](t.obj.WgServices)
	errs = append(errs, err)

	for _, port := range p.ports {
		t.obj.ports.add(port, port)
	}
	for index, limit := range p.limits {
		atomic.StoreUint64(&t.obj.gauges[index].Limit, limit)
		t.obj.load(index).limit(limit > 0)
	}
	errs = append(errs,
		t.applyWays(p),
		putChanged(t.obj.WgServers, oldServers, p.servers),
		t.putSchedules(p.schedules),
		putChanged(t.obj.WgServices, oldServices, p.services),
		deleteAbsent(t.obj.WgServices, oldServices, p.services),
		t.dropSchedules(p.schedules),
		deleteAbsent(t.obj.WgServers, oldServers, p.servers),
	)
	t.targets.release(t.schedules)
	return errors.Join(errs...)
}

// tables writes the maps that hold the desired state.
type tables struct {
	obj     *object
	targets *targets // the planner's
	// schedules is what wg_sched holds: an inner map is never changed, only replaced.
	schedules map[uint32][]lbWgSlot
	routes    map[lbWgRouteKey]lbWgRoute
	neighs    map[lbWgNeighKey]uint32
}

func (t *tables) putSchedules(want map[uint32][]lbWgSlot) error {
	var errs []error
	for id, slots := range want {
		if have, ok := t.schedules[id]; ok && slices.Equal(have, slots) {
			continue
		}
		if err := t.putSchedule(id, slots); err != nil {
			errs = append(errs, fmt.Errorf("schedule of service %d: %w", id, err), t.dropSchedule(id))
			continue // the one before may name servers that are gone; without any, SYNs fall through
		}
		t.schedules[id] = slots
	}
	return errors.Join(errs...)
}

func (t *tables) putSchedule(id uint32, slots []lbWgSlot) error {
	spec := t.obj.inner.Copy()
	spec.MaxEntries = uint32(len(slots))
	inner, err := ebpf.NewMap(spec)
	if err != nil {
		return fmt.Errorf("create map of %d slots: %w", len(slots), err)
	}
	defer inner.Close() // wg_sched keeps it
	keys := make([]uint32, len(slots))
	for i := range keys {
		keys[i] = uint32(i)
	}
	if _, err := inner.BatchUpdate(keys, slots, nil); err != nil {
		return fmt.Errorf("fill map of %d slots: %w", len(slots), err)
	}
	return t.obj.WgSched.Put(id, inner)
}

func (t *tables) dropSchedules(want map[uint32][]lbWgSlot) error {
	var errs []error
	for id := range t.schedules {
		if _, ok := want[id]; !ok {
			errs = append(errs, t.dropSchedule(id))
		}
	}
	return errors.Join(errs...)
}

func (t *tables) dropSchedule(id uint32) error {
	if err := ignoreMissing(t.obj.WgSched.Delete(id)); err != nil {
		t.schedules[id] = nil // whatever it was
		return fmt.Errorf("delete the schedule of service %d: %w", id, err)
	}
	delete(t.schedules, id)
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}

// readMap returns all that a small hash map holds. Only this process writes it, so the iteration is complete.
func readMap[K, V comparable](m *ebpf.Map) (map[K]V, error) {
	out := make(map[K]V)
	var key K
	var value V
	it := m.Iterate()
	for it.Next(&key, &value) {
		out[key] = value
	}
	if err := it.Err(); err != nil {
		return out, fmt.Errorf("read %s: %w", m, err)
	}
	return out, nil
}

func putChanged[K, V comparable](m *ebpf.Map, have, want map[K]V) error {
	var errs []error
	for key, value := range want {
		if old, ok := have[key]; ok && old == value {
			continue
		}
		if err := m.Put(key, value); err != nil {
			errs = append(errs, fmt.Errorf("write %s: %w", m, err))
		}
	}
	return errors.Join(errs...)
}

func deleteAbsent[K, V comparable](m *ebpf.Map, have, want map[K]V) error {
	var errs []error
	for key := range maps.Keys(have) {
		if _, ok := want[key]; ok {
			continue
		}
		if err := ignoreMissing(m.Delete(key)); err != nil {
			errs = append(errs, fmt.Errorf("delete from %s: %w", m, err))
		}
	}
	return errors.Join(errs...)
}
