package datapath

import (
	"slices"
	"sync/atomic"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// standstill has a program stop on one CPU, where it asks for or changes an element of a map, until another CPU has done something: so
// what takes two CPUs and an unlucky instant is brought about at will.
type standstill struct{ *standstillState }

// standstillState is shared with the program.
type standstillState struct {
	CPU     uint64 // that stops
	Left    uint64 // operations on maps until it does, counted from 1; 0: it does not
	Stopped uint64
	GoOn    uint64
	InVain  uint64 // it has gone on by itself
}

// newStandstill loads the kernel's programs anew so that they can be stopped.
func newStandstill(t *testing.T, k *kernel, o Options) standstill {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "standstill", Type: ebpf.Array, KeySize: 4, ValueSize: 40, MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close() // the programs and the memory keep it
	state, mem, err := mapValues[standstillState](m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(mem) })
	programs, err := k.obj.loadAgain(o.withDefaults(), func(spec *ebpf.CollectionSpec) error {
		for _, name := range []string{lbProgWgIngress, lbProgWgCollect} {
			letStop(spec.Programs[name], m)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { programs.Close() })
	k.obj.WgIngress.Close()
	k.obj.WgCollect.Close()
	k.obj.WgIngress, k.obj.WgCollect = programs.WgIngress, programs.WgCollect
	return standstill{&state[0]}
}

// letStop has the calls of the map's helpers go through functions that ask first whether it is time to stop.
func letStop(p *ebpf.ProgramSpec, state *ebpf.Map) {
	names := map[asm.BuiltinFunc]string{asm.FnMapLookupElem: "wg_still_look", asm.FnMapUpdateElem: "wg_still_put", asm.FnMapDeleteElem: "wg_still_drop"}
	var used []asm.BuiltinFunc
	for i := range p.Instructions {
		old := &p.Instructions[i]
		helper := asm.BuiltinFunc(old.Constant)
		if !old.IsBuiltinCall() || names[helper] == "" {
			continue
		}
		call := asm.Call.Label(names[helper])
		call.Metadata = old.Metadata
		*old = call.WithReference(names[helper])
		if !slices.Contains(used, helper) {
			used = append(used, helper)
		}
	}
	line := p.Instructions[0].Source()
	number := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	add := func(name string, linkage btf.FuncLinkage, code asm.Instructions) {
		code[0] = btf.WithFuncMetadata(code[0].WithSymbol(name), &btf.Func{Name: name, Type: &btf.FuncProto{Return: number}, Linkage: linkage}).WithSource(line)
		p.Instructions = append(p.Instructions, code...)
	}
	for _, helper := range used {
		// The verifier follows a static function with what its caller has in the registers.
		var keep, back asm.Instructions
		args := 2
		if helper == asm.FnMapUpdateElem {
			args = 4
		}
		for i := range asm.Register(args) {
			keep, back = append(keep, asm.Mov.Reg(asm.R6+i, asm.R1+i)), append(back, asm.Mov.Reg(asm.R1+i, asm.R6+i))
		}
		add(names[helper], btf.StaticFunc, slices.Concat(keep, asm.Instructions{asm.Call.Label("wg_still")}, back, asm.Instructions{helper.Call(), asm.Return()}))
	}
	// A global one it follows once.
	wait := asm.Instructions{
		asm.LoadMapValue(asm.R6, state.FD(), 0),
		asm.FnGetSmpProcessorId.Call(),
		asm.LoadMem(asm.R1, asm.R6, 0, asm.DWord), asm.JNE.Reg(asm.R0, asm.R1, "wg_still_over"),
		asm.LoadMem(asm.R1, asm.R6, 8, asm.DWord), asm.JEq.Imm(asm.R1, 0, "wg_still_over"),
		asm.Sub.Imm(asm.R1, 1), asm.StoreMem(asm.R6, 8, asm.R1, asm.DWord), asm.JNE.Imm(asm.R1, 0, "wg_still_over"),
		asm.Mov.Imm(asm.R1, 1), asm.StoreMem(asm.R6, 16, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R9, 0),
		asm.LoadMem(asm.R1, asm.R6, 24, asm.DWord).WithSymbol("wg_still_wait"), asm.JNE.Imm(asm.R1, 0, "wg_still_over"),
	}
	for range 48 { // about 7 ms with all rounds
		wait = append(wait, asm.FnKtimeGetNs.Call())
	}
	add("wg_still", btf.GlobalFunc, append(wait,
		asm.Add.Imm(asm.R9, 1), asm.JLT.Imm(asm.R9, 4000, "wg_still_wait"),
		asm.Mov.Imm(asm.R1, 1), asm.StoreMem(asm.R6, 32, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("wg_still_over"), asm.Return()))
}

// arm has a CPU stop at its n'th operation from now on.
func (s standstill) arm(cpu, n int) {
	atomic.StoreUint64(&s.CPU, uint64(cpu))
	for _, at := range []*uint64{&s.Stopped, &s.GoOn, &s.InVain} {
		atomic.StoreUint64(at, 0)
	}
	atomic.StoreUint64(&s.Left, uint64(n))
}

func (s standstill) stopped() bool { return atomic.LoadUint64(&s.Stopped) != 0 }

// goOn ends the standstill, and tells whether it has lasted until now.
func (s standstill) goOn() bool {
	atomic.StoreUint64(&s.GoOn, 1)
	return atomic.LoadUint64(&s.InVain) == 0
}
