package datapath

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// object is the loaded program with its maps. Some maps are mapped into memory, so that reading and writing them
// costs no system call.
type object struct {
	lbObjects
	settings *lbWgSettings
	gauges   []lbWgGauge
	doomed   []lbWgDoomed
	ways     []lbWgWay
	ports    portBits
	mapped   [][]byte
	// inner is the shape of a schedule; each one is created with its own length.
	inner *ebpf.MapSpec
}

// load loads the object with the sizes of the options.
func load(o Options) (*object, error) {
	if err := rlimit.RemoveMemlock(); err != nil { // kernels before 5.11 charge maps to RLIMIT_MEMLOCK
		return nil, fmt.Errorf("raise RLIMIT_MEMLOCK: %w", err)
	}
	spec, err := loadLb()
	if err != nil {
		return nil, fmt.Errorf("read the embedded object: %w", err)
	}
	spec.Maps[lbMapWgFlows].MaxEntries = 2 * o.FlowMax
	spec.Maps[lbMapWgRing].MaxEntries = o.HalfOpenRing
	if o.OnClose == nil { // nobody reads it
		spec.Maps[lbMapWgEvents].MaxEntries = uint32(unix.Getpagesize())
	}
	if err := spec.Variables[lbVarWgRingSize].Set(o.HalfOpenRing); err != nil {
		return nil, fmt.Errorf("set the size of the half-open ring: %w", err)
	}
	obj := &object{inner: spec.Maps[lbMapWgSched].InnerMap}
	if err := spec.LoadAndAssign(&obj.lbObjects, nil); err != nil {
		return nil, fmt.Errorf("load the program: %w", err)
	}
	if err := obj.mapMemory(); err != nil {
		return nil, errors.Join(err, obj.Close())
	}
	return obj, nil
}

func (obj *object) mapMemory() error {
	settings, err := mapValues[lbWgSettings](obj, obj.WgSettings)
	if err != nil {
		return err
	}
	obj.settings = &settings[0]
	if obj.gauges, err = mapValues[lbWgGauge](obj, obj.WgGauges); err != nil {
		return err
	}
	if obj.ways, err = mapValues[lbWgWay](obj, obj.WgWays); err != nil {
		return err
	}
	if obj.ports, err = mapValues[uint64](obj, obj.WgPorts); err != nil {
		return err
	}
	obj.doomed, err = mapValues[lbWgDoomed](obj, obj.WgDoomed)
	return err
}

// mapValues maps the values of an array map (BPF_F_MMAPABLE, kernel 5.5) into memory. The memory belongs to obj.
func mapValues[T any](obj *object, m *ebpf.Map) ([]T, error) {
	n := int(m.MaxEntries())
	size := n * int(m.ValueSize())
	page := unix.Getpagesize()
	mem, err := unix.Mmap(m.FD(), 0, (size+page-1)/page*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s into memory: %w", m, err)
	}
	obj.mapped = append(obj.mapped, mem)
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(mem))), n), nil
}

// close frees program and maps. Nothing may use the mapped memory any more.
func (obj *object) close() error {
	var errs []error
	for _, mem := range obj.mapped {
		errs = append(errs, unix.Munmap(mem))
	}
	obj.mapped = nil
	return errors.Join(append(errs, obj.Close())...)
}
