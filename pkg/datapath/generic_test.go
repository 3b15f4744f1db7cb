package datapath

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	bpflink "github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"waggle/pkg/lab/require"
)

// seenByTC has a program on TC ingress of an interface of the room count packets: those whose frame begins with the MACs, and those
// that begin with an IPv4 header, as a packet does whose mac_len is 0.
func (r *room) seenByTC(t *testing.T, name string) (counts func() (framed, bare uint64)) {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "seen", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "seen", Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 76, asm.Word), // data
		asm.LoadMem(asm.R3, asm.R1, 80, asm.Word), // data_end
		asm.StoreImm(asm.R10, -4, 0, asm.Word),    // key
		asm.Mov.Reg(asm.R4, asm.R2), asm.Add.Imm(asm.R4, 14), asm.JGT.Reg(asm.R4, asm.R3, "out"),
		asm.LoadMem(asm.R5, asm.R2, 12, asm.Half), asm.JEq.Imm(asm.R5, 0x0008, "count"), // ETH_P_IP where an EtherType is
		asm.LoadMem(asm.R5, asm.R2, 0, asm.Byte), asm.JNE.Imm(asm.R5, 0x45, "out"),
		asm.StoreImm(asm.R10, -4, 1, asm.Word),
		asm.LoadMapPtr(asm.R1, m.FD()).WithSymbol("count"), asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(), asm.JEq.Imm(asm.R0, 0, "out"),
		asm.Mov.Imm(asm.R1, 1), asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R0, -1).WithSymbol("out"), asm.Return(), // TCX_NEXT
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	r.must(t, "attach to "+name, func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		x, err := bpflink.AttachTCX(bpflink.TCXOptions{Program: prog, Interface: l.Attrs().Index, Attach: ebpf.AttachTCXIngress, Anchor: bpflink.Head()})
		if err == nil {
			t.Cleanup(func() { x.Close() })
		}
		return err
	})
	return func() (framed, bare uint64) {
		for key, value := range []*uint64{&framed, &bare} {
			if err := m.Lookup(uint32(key), value); err != nil {
				t.Fatal(err)
			}
		}
		return framed, bare
	}
}

// A kernel from 6.9 on copies what generic XDP looks at if the program takes frames of several buffers, and TC behind it finds no
// MACs in front of the copy. So ours takes none there. Where a kernel does not do so this shows nothing.
func TestGenericXDPWithFragsHidesMACsFromTC(t *testing.T) {
	require.Root(t)
	if thisMachine().older(6, 9) {
		t.Skip("came with Linux 6.9")
	}
	for name, c := range map[string]struct {
		flags  uint32
		hidden bool
	}{"whole frames": {}, "frags": {flags: xdpHasFrags, hidden: true}} {
		t.Run(name, func(t *testing.T) {
			top := taskTopology(t, 0)
			greetAndEcho(top.lb.listen(t, top.front), 0)
			top.lb.passAll(t, "eth1", bpflink.XDPGenericMode, c.flags)
			counts := top.lb.seenByTC(t, "eth1")
			top.talk(t).round(t)
			framed, bare := counts()
			switch {
			case !c.hidden && (framed < 4 || bare > 0):
				t.Errorf("TC saw %d frames, and %d packets without MACs", framed, bare)
			case c.hidden && bare == 0:
				t.Logf("this kernel hides nothing: %d frames; the program for generic XDP may take frags here", framed)
			}
		})
	}
}

// Generic XDP carries what TC carries: with whole checksums in front of TC, without them it leaves all to it.
func TestEndToEndByGenericXDP(t *testing.T) {
	require.Root(t)
	for name, finish := range map[string]bool{"whole checksums": true, "partial checksums": false} {
		t.Run(name, func(t *testing.T) {
			top := taskTopology(t, 3)
			top.forXDP(t, finish)
			dp := openIn(t, top.lb, Options{Mode: ModeXDPGeneric, RunTime: true})
			if err := dp.Sync(oneService(3)); err != nil {
				t.Fatal(err)
			}
			if s := dp.Status(); s.Mode != ModeXDPGeneric || len(s.Interfaces) != 2 || !strings.HasPrefix(s.Interfaces[0].Attach, "xdp-generic+") {
				t.Fatalf("status %+v", s)
			}
			roundRobin(t, top, 30)
			before := dp.Counters()
			talk := top.talk(t)
			for range 20 {
				talk.round(t)
			}
			echo(t, top)
			oneLeg(t, top)
			now := dp.Counters()
			if n := now.Reasons["xdp_checksum"] - before.Reasons["xdp_checksum"]; (n > 10) == finish {
				t.Errorf("%d packets were left to TC for their checksum", n)
			}
			if n := now.Reasons["xdp_way"] - before.Reasons["xdp_way"]; n > 5 {
				t.Errorf("%d packets were left to TC for their way", n)
			}
			if now.Services[7].Sessions != 33 || now.Services[7].BytesIn < 10<<20 {
				t.Errorf("counts %+v", now.Services[7])
			}
		})
	}
}
