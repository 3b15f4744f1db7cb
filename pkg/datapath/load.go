package datapath

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/cilium/ebpf"
	bpflink "github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// object is the loaded program with its maps. Some maps are mapped into memory, so that reading and writing them
// costs no system call.
type object struct {
	lbObjects
	// express is the program for XDP; nil: it is not wanted, or cannot be had.
	express  *ebpf.Program
	settings *lbWgSettings
	loads    []lbWgLoad
	gauges   []lbWgGauge
	counters []lbWgCounter // counterMax of one CPU behind those of another
	targets  []lbWgTarget
	own      []lbWgOwnMac
	doomed   []lbWgDoomed
	lives    *lbWgLives
	look     *bpflink.Iter // nil: the kernel cannot, see eachDue
	noLook   error         // why look is nil
	ways     []lbWgWay
	ports    portBits
	mapped   [][]byte // but the memory of loads and gauges
	// shared says that others have pointers into loads and gauges, whose memory then stays for good.
	shared    bool
	countsMem [][]byte
	// inner is the shape of a schedule; each one is created with its own length.
	inner *ebpf.MapSpec
}

// specFor is the embedded object with the sizes of the options.
func specFor(o Options) (*ebpf.CollectionSpec, error) {
	spec, err := loadLb()
	if err != nil {
		return nil, fmt.Errorf("read the embedded object: %w", err)
	}
	spec.Maps[lbMapWgFlows].MaxEntries = 2 * o.FlowMax
	spec.Maps[lbMapWgRing].MaxEntries = o.HalfOpenRing
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, fmt.Errorf("count the CPUs: %w", err)
	}
	spec.Maps[lbMapWgCounters].MaxEntries = uint32(cpus) * counterMax
	switch {
	case o.eventsBytes > 0:
		spec.Maps[lbMapWgEvents].MaxEntries = o.eventsBytes
	case o.OnClose == nil: // nobody reads it
		spec.Maps[lbMapWgEvents].MaxEntries = uint32(unix.Getpagesize())
	}
	if o.build != nil {
		o.build(spec.Programs[lbProgWgIngress])
	}
	if err := spec.Variables[lbVarWgRingSize].Set(o.HalfOpenRing); err != nil {
		return nil, fmt.Errorf("set the size of the half-open ring: %w", err)
	}
	return spec, nil
}

// load loads the object with the sizes of the options.
func load(o Options) (*object, error) { return loadOn(o, nil) }

// loadOn does so on maps that are there; nil: on new ones.
func loadOn(o Options, there map[string]*ebpf.Map) (*object, error) {
	if err := rlimit.RemoveMemlock(); err != nil { // kernels before 5.11 charge maps to RLIMIT_MEMLOCK
		return nil, fmt.Errorf("raise RLIMIT_MEMLOCK: %w", err)
	}
	spec, err := specFor(o)
	if err != nil {
		return nil, err
	}
	obj := &object{inner: spec.Maps[lbMapWgSched].InnerMap, noLook: probeIterator()}
	if obj.noLook != nil {
		withoutLook(spec)
	}
	if err := spec.LoadAndAssign(&obj.lbObjects, &ebpf.CollectionOptions{MapReplacements: there}); err != nil {
		return nil, fmt.Errorf("load the program: %w", err)
	}
	if err := obj.mapMemory(); err != nil {
		return nil, errors.Join(err, obj.close())
	}
	obj.attachLook()
	return obj, nil
}

// loadAgain loads the programs a second time, on the same maps. The caller closes them. change may set constants first.
func (obj *object) loadAgain(o Options, change func(*ebpf.CollectionSpec) error) (*lbPrograms, error) {
	spec, err := specFor(o)
	if err != nil {
		return nil, err
	}
	if obj.noLook != nil {
		withoutLook(spec)
	}
	if err := change(spec); err != nil {
		return nil, err
	}
	programs := new(lbPrograms)
	if err := spec.LoadAndAssign(programs, &ebpf.CollectionOptions{MapReplacements: obj.maps()}); err != nil {
		return nil, fmt.Errorf("load the program again: %w", err)
	}
	return programs, nil
}

// maps are the object's maps by their names.
func (obj *object) maps() map[string]*ebpf.Map {
	byName := make(map[string]*ebpf.Map)
	value := reflect.ValueOf(obj.lbMaps)
	for i := range value.NumField() {
		if m, ok := value.Field(i).Interface().(*ebpf.Map); ok {
			byName[value.Type().Field(i).Tag.Get("ebpf")] = m
		}
	}
	return byName
}

func (obj *object) mapMemory() error {
	settings, mem, err := mapValues[lbWgSettings](obj.WgSettings)
	if err != nil {
		return err
	}
	obj.settings, obj.mapped = &settings[0], append(obj.mapped, mem)
	if obj.loads, mem, err = mapValues[lbWgLoad](obj.WgLoads); err != nil {
		return err
	}
	obj.countsMem = append(obj.countsMem, mem)
	if obj.gauges, mem, err = mapValues[lbWgGauge](obj.WgGauges); err != nil {
		return err
	}
	obj.countsMem = append(obj.countsMem, mem)
	if obj.counters, mem, err = mapValues[lbWgCounter](obj.WgCounters); err != nil {
		return err
	}
	obj.mapped = append(obj.mapped, mem)
	if obj.targets, mem, err = mapValues[lbWgTarget](obj.WgTargets); err != nil {
		return err
	}
	obj.mapped = append(obj.mapped, mem)
	if obj.own, mem, err = mapValues[lbWgOwnMac](obj.WgOwnMacs); err != nil {
		return err
	}
	obj.mapped = append(obj.mapped, mem)
	if obj.ways, mem, err = mapValues[lbWgWay](obj.WgWays); err != nil {
		return err
	}
	obj.mapped = append(obj.mapped, mem)
	if obj.ports, mem, err = mapValues[uint64](obj.WgPorts); err != nil {
		return err
	}
	obj.mapped = append(obj.mapped, mem)
	if obj.doomed, mem, err = mapValues[lbWgDoomed](obj.WgDoomed); err != nil {
		return err
	}
	obj.mapped = append(obj.mapped, mem)
	lives, mem, err := mapValues[lbWgLives](obj.WgLives)
	if err != nil {
		return err
	}
	obj.lives, obj.mapped = &lives[0], append(obj.mapped, mem)
	return nil
}

// mapValues maps the values of an array map (BPF_F_MMAPABLE, kernel 5.5) into memory, which the caller unmaps.
func mapValues[T any](m *ebpf.Map) ([]T, []byte, error) {
	n := int(m.MaxEntries())
	size := n * int(m.ValueSize())
	page := unix.Getpagesize()
	mem, err := unix.Mmap(m.FD(), 0, (size+page-1)/page*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("map %s into memory: %w", m, err)
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(mem))), n), mem, nil
}

// close frees program and maps. Nothing may use the mapped memory any more.
func (obj *object) close() error {
	var errs []error
	if !obj.shared {
		obj.mapped = append(obj.mapped, obj.countsMem...)
	}
	for _, mem := range obj.mapped {
		errs = append(errs, unix.Munmap(mem))
	}
	obj.mapped, obj.countsMem = nil, nil
	if obj.look != nil {
		errs = append(errs, obj.look.Close())
	}
	errs = append(errs, obj.express.Close()) // nil is closed already
	return errors.Join(append(errs, obj.Close())...)
}
