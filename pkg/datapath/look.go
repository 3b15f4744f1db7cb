package datapath

import (
	"errors"
	"fmt"
	"io"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	bpflink "github.com/cilium/ebpf/link"
)

// shown is an entry as wg_look writes it.
type shown struct {
	key  [unsafe.Sizeof(lbWgKey{})]byte
	flow [unsafe.Sizeof(lbWgFlow{})]byte
}

// shownBatch is how many entries one system call shows at most. The kernel looks at WG_LOOK_STEP times as many at most
// before it returns.
const shownBatch = 64

// emptyProgram returns 0.
func emptyProgram() asm.Instructions { return asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()} }

// probeIterator tells why the kernel loads no program that iterates over a map, nil if it does: it does not describe itself in BTF, or was
// hardened.
func probeIterator() error {
	probe, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "wg_probe", Type: ebpf.Tracing, AttachType: ebpf.AttachTraceIter, AttachTo: "bpf_map_elem", License: "GPL", Instructions: emptyProgram(),
	})
	if err != nil {
		return fmt.Errorf("load an iterator over a map: %w", err)
	}
	return probe.Close()
}

// withoutLook takes away wg_look's code, which the kernel would refuse together with all else. Flows are read by eachEntry then.
func withoutLook(spec *ebpf.CollectionSpec) {
	spec.Programs[lbProgWgLook] = &ebpf.ProgramSpec{Name: lbProgWgLook, Type: ebpf.SocketFilter, License: "GPL", Instructions: emptyProgram()}
}

// attachLook readies wg_look. Where that fails eachDue shows all entries, and noLook says why.
func (obj *object) attachLook() {
	if obj.noLook != nil {
		return
	}
	look, err := bpflink.AttachIter(bpflink.IterOptions{Program: obj.WgLook, Map: obj.WgFlows})
	if obj.noLook = err; err == nil {
		obj.look = look
	}
}

// eachDue calls yield for the entries that may be over, and for some others, until it returns false. What eachEntry says of a
// table that changes holds here too. One caller at a time.
func (obj *object) eachDue(lives lbWgLives, yield func(lbWgKey, lbWgFlow) bool) (err error) {
	if obj.look == nil {
		return eachEntry(obj.WgFlows, yield)
	}
	*obj.lives = lives
	r, err := obj.look.Open()
	if err != nil {
		return fmt.Errorf("look at flows: %w", err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	batch := make([]shown, shownBatch)
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(batch))), shownBatch*int(unsafe.Sizeof(shown{})))
	for {
		n, err := r.Read(bytes)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look at flows: %w", err)
		}
		if n%int(unsafe.Sizeof(shown{})) != 0 {
			return fmt.Errorf("look at flows: %d bytes are no whole number of entries", n)
		}
		for i := range n / int(unsafe.Sizeof(shown{})) {
			key, flow := lbWgKey{}, lbWgFlow{}
			copy(unsafe.Slice((*byte)(unsafe.Pointer(&key)), unsafe.Sizeof(key)), batch[i].key[:])
			copy(unsafe.Slice((*byte)(unsafe.Pointer(&flow)), unsafe.Sizeof(flow)), batch[i].flow[:])
			if !yield(key, flow) {
				return nil
			}
		}
	}
}
