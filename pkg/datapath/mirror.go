package datapath

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"
)

// mirror is a map that nobody else writes to, with what it holds, so that making it hold something else costs what is different.
// When a change has failed half-way, the map is read before the next one. Not safe for concurrent use.
type mirror[K, V comparable] struct {
	m *ebpf.Map
	// have is what m holds; nil: that is not known.
	have map[K]V
}

// become makes the map hold want. What is too much goes first, then entries are written in the order of before, which may be nil. The
// first one that cannot be written ends it: what comes behind it stays as it was.
func (x *mirror[K, V]) become(want map[K]V, before func(a, b K) int) (err error) {
	have := x.have
	if have == nil {
		if have, err = readMap[K, V](x.m); err != nil {
			return err
		}
	}
	x.have = nil
	if err := deleteAbsent(x.m, have, want); err != nil {
		return err
	}
	changed := make([]K, 0, len(want))
	for key, value := range want {
		if old, ok := have[key]; !ok || old != value {
			changed = append(changed, key)
		}
	}
	if before != nil {
		slices.SortFunc(changed, before)
	}
	for _, key := range changed {
		if err := x.m.Put(key, want[key]); err != nil {
			return fmt.Errorf("write %s: %w", x.m, err)
		}
	}
	x.have = want
	return nil
}

// add writes one entry, if the map does not hold its key.
func (x *mirror[K, V]) add(key K, value V) error {
	if _, ok := x.have[key]; ok {
		return nil
	}
	if err := x.m.Put(key, value); err != nil {
		x.have = nil
		return fmt.Errorf("write %s: %w", x.m, err)
	}
	if x.have != nil {
		x.have[key] = value
	}
	return nil
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

// putChanged writes all that it can. What cannot be written is taken away, since it is not as it was any more; that takes no memory.
func putChanged[K, V comparable](m *ebpf.Map, have, want map[K]V) error {
	var errs []error
	for key, value := range want {
		if old, ok := have[key]; ok && old == value {
			continue
		}
		if err := m.Put(key, value); err != nil {
			errs = append(errs, fmt.Errorf("write %s: %w", m, errors.Join(err, ignoreMissing(m.Delete(key)))))
		}
	}
	return errors.Join(errs...)
}

// deleteAbsent deletes all that it can.
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

func ignoreMissing(err error) error {
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}
