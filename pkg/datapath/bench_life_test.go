package datapath

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// once runs the program on one packet, as a packet from outside meets it: with whatever is in the caches. It returns what
// the run took, about 50 ns of which are the two readings of the clock. The packet must be sent on.
func (k *kernel) once(b *testing.B, frame []byte) time.Duration {
	verdict, each, err := k.obj.WgIngress.Benchmark(frame, 1, nil)
	if err != nil {
		b.Fatal(err)
	}
	if verdict != verdictRedirect {
		b.Fatalf("verdict %d; reasons %v", int32(verdict), k.reasons(b))
	}
	return each
}

// reportMedian reports the middle one: a run that an interrupt falls into counts as one run, and not as its time.
func reportMedian(b *testing.B, runs []time.Duration, unit string) {
	slices.Sort(runs)
	b.ReportMetric(float64(runs[len(runs)/2].Nanoseconds()), unit)
	b.ReportMetric(0, "ns/op")
}

// pinned runs f in the room's namespace on CPU 0.
func (k *kernel) pinned(b *testing.B, f func() error) {
	k.must(b, "run", func() error {
		var set unix.CPUSet
		set.Set(0)
		if err := unix.SchedSetaffinity(0, &set); err != nil { // the thread is this call's own
			return err
		}
		return f()
	})
}

// timeSYN is what a client's SYN takes.
func (k *kernel) timeSYN(b *testing.B, client netip.AddrPort) time.Duration {
	return k.once(b, packet{src: client, dst: ap(front()), flags: syn, seq: 1000}.frame(b))
}

// timeHandshake is what a client's SYN takes, and what all three packets of the handshake do. The server's number is 5000.
func (k *kernel) timeHandshake(b *testing.B, client netip.AddrPort) (first, all time.Duration) {
	first = k.timeSYN(b, client)
	back, task := k.ends(b, client)
	all = first + k.once(b, packet{src: task, dst: back, flags: syn | ack, seq: 5000, ack: 1001}.frame(b))
	return first, all + k.once(b, packet{src: client, dst: ap(front()), flags: ack, seq: 1001, ack: 5001}.frame(b))
}

// ends are our address and the task's of a client's flow.
func (k *kernel) ends(b *testing.B, client netip.AddrPort) (back, task netip.AddrPort) {
	var f lbWgFlow
	front := ap(front())
	key := lbWgKey{Saddr: client.Addr().As16(), Daddr: front.Addr().As16(), Sport: netOrder(client.Port()), Dport: netOrder(front.Port())}
	if err := k.obj.WgFlows.Lookup(key, &f); err != nil {
		b.Fatal(err)
	}
	return addrPort(f.Saddr, f.Sport), addrPort(f.Daddr, f.Dport)
}

// What the program takes for all packets of a connection with one request: the three of the handshake, request,
// response and their ACKs, and the two FINs with theirs. The next connection comes from the next client.
func BenchmarkConnection(b *testing.B) {
	k := newKernel(b, Options{})
	k.sync(b, oneService(3))
	var opening, carrying, closing []time.Duration
	k.pinned(b, func() error {
		b.ResetTimer()
		for i := range b.N {
			client, front := ap(client(i)), ap(front())
			_, open := k.timeHandshake(b, client)
			back, task := k.ends(b, client)
			fromClient := func(flags uint8, seq, acked uint32, payload string) time.Duration {
				return k.once(b, packet{src: client, dst: front, flags: flags, seq: seq, ack: acked, payload: payload}.frame(b))
			}
			fromTask := func(flags uint8, seq, acked uint32, payload string) time.Duration {
				return k.once(b, packet{src: task, dst: back, flags: flags, seq: seq, ack: acked, payload: payload}.frame(b))
			}
			carry := fromClient(ack|psh, 1001, 5001, "request")
			carry += fromTask(ack, 5001, 1008, "")
			carry += fromTask(ack|psh, 5001, 1008, "response")
			carry += fromClient(ack, 1008, 5009, "")
			shut := fromTask(fin|ack, 5009, 1008, "")
			shut += fromClient(ack, 1008, 5010, "")
			shut += fromClient(fin|ack, 1008, 5010, "")
			shut += fromTask(ack, 5010, 1009, "")
			opening, carrying, closing = append(opening, open), append(carrying, carry), append(closing, shut)
			k.beat()
		}
		return nil
	})
	reportMedian(b, opening, "ns/handshake")
	reportMedian(b, carrying, "ns/exchange")
	reportMedian(b, closing, "ns/close")
}

// What the packets of established flows cost when many flows are alive, drawn uniformly over all of them and both
// directions. The tables take turns, packet by packet, so that whatever else the machine does falls upon all alike.
func BenchmarkLive(b *testing.B) {
	numbers := []int{1000, 100_000, 1_000_000}
	var kernels []*kernel
	for _, n := range numbers {
		k := newKernel(b, Options{FlowMax: uint32(n) + 1000})
		k.sync(b, oneService(1))
		k.fill(b, n)
		kernels = append(kernels, k)
	}
	service, task := ap(front()), ap(taskAddr(0)+":9000")
	from, back := fillAddrs(0)
	forward := packet{src: from, dst: service, flags: ack, seq: 1, ack: 1, payload: "payload"}.frame(b)
	reverse := packet{src: task, dst: back, flags: ack, seq: 1, ack: 1, payload: "payload"}.frame(b)
	random := rand.New(rand.NewPCG(1, 2))
	runs := make([][]time.Duration, len(numbers))
	b.ResetTimer()
	kernels[0].pinned(b, func() error { // the rooms are alike
		for range b.N {
			for i, k := range kernels {
				from, back := fillAddrs(random.IntN(numbers[i]))
				// The sums are wrong then; the program changes them and does not look at them.
				frame, addr, port := forward, 26, 34
				if random.IntN(2) == 1 {
					frame, from, addr, port = reverse, back, 30, 36
				}
				copy(frame[addr:], from.Addr().AsSlice())
				binary.BigEndian.PutUint16(frame[port:], from.Port())
				runs[i] = append(runs[i], k.once(b, frame))
			}
		}
		return nil
	})
	for i, n := range numbers {
		reportMedian(b, runs[i], fmt.Sprintf("ns/packet-of-%d", n))
	}
}

// What the table of flows itself takes for a connection: both entries inserted, if they are not there, one of them looked
// up, and both deleted. It is the least that a connection can cost. Of the table's element, key and value sizes are those of
// wg_flows.
func BenchmarkMapWork(b *testing.B) {
	require.Root(b)
	spec, err := loadLb()
	if err != nil {
		b.Fatal(err)
	}
	for _, prealloc := range []bool{false, true} {
		shape := spec.Maps[lbMapWgFlows].Copy()
		shape.MaxEntries = 2 * defaultFlowMax
		name := "as it is"
		if prealloc {
			shape.Flags, name = 0, "preallocated"
		}
		b.Run(name, func(b *testing.B) { benchMapWork(b, shape) })
	}
}

func benchMapWork(b *testing.B, shape *ebpf.MapSpec) {
	shape.Key, shape.Value = nil, nil
	m, err := ebpf.NewMap(shape)
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	keySize, valueSize := int32(shape.KeySize), int32(shape.ValueSize)
	var code asm.Instructions
	for off := int32(0); off < valueSize+2*keySize; off += 4 {
		code = append(code, asm.StoreImm(asm.RFP, int16(-4-off), 0, asm.Word))
	}
	value := -valueSize
	keys := []int32{value - keySize, value - 2*keySize}
	code = append(code, asm.FnGetPrandomU32.Call()) // another connection each time
	for i, key := range keys {
		code = append(code, asm.StoreMem(asm.RFP, int16(key), asm.R0, asm.Word), asm.StoreImm(asm.RFP, int16(key)+4, int64(i), asm.Word))
	}
	call := func(key int32, f asm.BuiltinFunc) asm.Instructions {
		return asm.Instructions{
			asm.LoadMapPtr(asm.R1, m.FD()), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, key),
			asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, value), asm.Mov.Imm(asm.R4, int32(ebpf.UpdateNoExist)), f.Call(),
		}
	}
	for _, key := range keys {
		code = append(code, call(key, asm.FnMapUpdateElem)...)
	}
	code = append(code, call(keys[0], asm.FnMapLookupElem)...)
	for _, key := range keys {
		code = append(code, call(key, asm.FnMapDeleteElem)...)
	}
	code = append(code, asm.Mov.Imm(asm.R0, 0), asm.Return())
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "Dual BSD/GPL", Instructions: code})
	if err != nil {
		b.Fatalf("%+v", err)
	}
	defer prog.Close()
	_, each, err := prog.Benchmark(make([]byte, 64), max(b.N, 100), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(each.Nanoseconds()), "ns/connection")
	b.ReportMetric(0, "ns/op")
}
