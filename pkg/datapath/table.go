package datapath

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// batchSize is how many entries one system call reads.
const batchSize = 2048

// eachEntry calls yield for the entries of wg_flows until it returns false. The table changes meanwhile: entries that
// come or go while it is read may be missed, and one may be seen twice.
func eachEntry(m *ebpf.Map, yield func(lbWgKey, lbWgFlow) bool) error {
	var cursor ebpf.MapBatchCursor
	size := batchSize
	keys := make([]lbWgKey, size)
	flows := make([]lbWgFlow, size)
	for {
		n, err := m.BatchLookup(&cursor, keys, flows, nil)
		if errors.Is(err, unix.ENOSPC) { // one bucket of the hash holds more than a batch
			size *= 2
			keys, flows = make([]lbWgKey, size), make([]lbWgFlow, size)
			continue
		}
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("read flows: %w", err)
		}
		for i := range n {
			if !yield(keys[i], flows[i]) {
				return nil
			}
		}
		if err != nil {
			return nil
		}
	}
}

// twinKey is the key of a flow's other entry.
func twinKey(f lbWgFlow) lbWgKey {
	return lbWgKey{Saddr: f.Daddr, Daddr: f.Saddr, Sport: f.Dport, Dport: f.Sport}
}

// twin returns the other entry of f's flow; ok is false when there is none.
func twin(m *ebpf.Map, f lbWgFlow) (other lbWgFlow, ok bool) {
	err := m.Lookup(twinKey(f), &other)
	return other, err == nil && other.Generation == f.Generation
}
