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

// withoutLook takes wg_look's code away where the kernel does not load such programs, and says why: it does not describe itself in BTF, or
// was hardened. Without wg_look flows are read by eachEntry.
func withoutLook(spec *ebpf.CollectionSpec) error {
	nothing := asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
	probe, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "wg_probe", Type: ebpf.Tracing, AttachType: ebpf.AttachTraceIter, AttachTo: "bpf_map_elem", License: "GPL", Instructions: nothing,
	})
	if err == nil {
		return probe.Close()
	}
	spec.Programs[lbProgWgLook] = &ebpf.ProgramSpec{Name: lbProgWgLook, Type: ebpf.SocketFilter, License: "GPL", Instructions: nothing}
	return fmt.Errorf("load an iterator over a map: %w", err)
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
