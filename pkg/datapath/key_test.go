package datapath

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"waggle/pkg/lab/require"
)

// What one table for both families costs an IPv4 packet: the lookup of a key of 36 bytes instead of 12, and that is
// what bpf/addr.h decided by.
func BenchmarkLookup(b *testing.B) {
	for _, size := range []uint32{12, 36} {
		b.Run(fmt.Sprintf("key of %d bytes", size), func(b *testing.B) { benchLookup(b, size) })
	}
}

func benchLookup(b *testing.B, keySize uint32) {
	require.Root(b)
	const lookups, entries = 8, 4096
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: keySize, ValueSize: 136, MaxEntries: 2 * entries, Flags: 1 /* BPF_F_NO_PREALLOC */})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	key := make([]byte, keySize)
	for i := range entries {
		key[0], key[1] = byte(i), byte(i>>8)
		if err := m.Put(key, make([]byte, 136)); err != nil {
			b.Fatal(err)
		}
	}
	var code asm.Instructions
	for off := int16(0); off < int16(keySize); off += 4 {
		code = append(code, asm.StoreImm(asm.RFP, off-int16(keySize), 0, asm.Word))
	}
	for i := range lookups { // of different entries
		code = append(code, asm.StoreImm(asm.RFP, -int16(keySize), int64(i), asm.Word),
			asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -int32(keySize)), asm.LoadMapPtr(asm.R1, m.FD()), asm.FnMapLookupElem.Call())
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "Dual BSD/GPL", Instructions: append(code, asm.Mov.Imm(asm.R0, 0), asm.Return())})
	if err != nil {
		b.Fatal(err)
	}
	defer prog.Close()
	_, each, err := prog.Benchmark(make([]byte, 64), max(b.N, 100), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(each.Nanoseconds())/lookups, "ns/lookup")
	b.ReportMetric(0, "ns/op")
}
