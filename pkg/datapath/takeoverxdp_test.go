package datapath

import (
	"fmt"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"

	"waggle/pkg/lab/require"
)

// onXDP is the id of the program for XDP on an interface of the room, 0 for none, and whether it is the kernel's generic one.
func (r *room) onXDP(t *testing.T, name string) (id ebpf.ProgramID, generic bool) {
	t.Helper()
	r.must(t, "look at "+name, func() error {
		l, err := netlink.LinkByName(name)
		if err == nil {
			made := makeLink(l)
			id, generic = ebpf.ProgramID(made.xdpProgram), made.xdpGeneric
		}
		return err
	})
	return id, generic
}

// tagOf tells programs apart by their instructions.
func tagOf(t *testing.T, id ebpf.ProgramID) string {
	t.Helper()
	prog, err := ebpf.NewProgramFromID(id)
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	info, err := prog.Info()
	if err != nil {
		t.Fatal(err)
	}
	return info.Tag
}

// readyForTakeOver is a topology on whose interfaces XDP works, and options with pins.
func readyForTakeOver(t *testing.T) (*topology, Options) {
	t.Helper()
	require.Root(t)
	if thisMachine().older(6, 6) {
		t.Skip("tcx came with Linux 6.6; below, a filter is taken over, and XDP is attached anew")
	}
	top := taskTopology(t, 3)
	top.forXDP(t, true)
	return top, Options{Mode: ModeXDP, PinDir: pinDir(t), NetNS: top.lb.path(), FlowMax: 4096, awake: awake}
}

// successor opens what an abandoned Datapath has left, and states the same as it.
func successor(t *testing.T, opts Options) *Datapath {
	t.Helper()
	dp, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := dp.Sync(oneService(3)); err != nil {
		t.Fatal(err)
	}
	return dp
}

// The programs for XDP are replaced in place as those on TC are, and carry the flows all along.
func TestTakeOversWithXDPLoseNothing(t *testing.T) {
	top, opts := readyForTakeOver(t)
	dp := successor(t, opts)
	var held []*talk
	for range 6 {
		held = append(held, top.talk(t))
	}
	rounds := func() {
		t.Helper()
		for _, k := range held {
			k.round(t)
		}
	}
	before, _ := top.lb.onXDP(t, "eth1")
	if before == 0 {
		t.Fatal("no XDP on eth1")
	}
	for range 10 {
		rounds()
		dp.abandon(t)
		if id, _ := top.lb.onXDP(t, "eth1"); id != before {
			t.Fatalf("without a process program %d is there, before %d", id, before)
		}
		rounds()
		dp = successor(t, opts)
		rounds()
		id, _ := top.lb.onXDP(t, "eth1")
		if id == 0 || id == before {
			t.Fatalf("after the take-over program %d is there, before %d", id, before)
		}
		before = id
	}
	if s := dp.Counters(); s.Services[7].Sessions != 6 || s.Services[7].Current != 6 {
		t.Errorf("%+v after 6 sessions", s.Services[7])
	}
	if err := dp.Close(); err != nil {
		t.Error(err)
	}
	if id, _ := top.lb.onXDP(t, "eth1"); id != 0 {
		t.Errorf("a clean end leaves program %d", id)
	}
	if left, err := os.ReadDir(opts.PinDir); err != nil || len(left) > 0 {
		t.Errorf("a clean end leaves %v, %v", left, err)
	}
}

// What follows may be told another --datapath: XDP goes, comes, and changes its kind, and flows go on.
func TestTakeOverByAnotherMode(t *testing.T) {
	top, opts := readyForTakeOver(t)
	dp := successor(t, opts)
	held := top.talk(t)
	for _, mode := range []Mode{ModeTC, ModeXDP, ModeXDPGeneric, ModeXDP, ModeXDPGeneric, ModeTC} {
		dp.abandon(t)
		held.round(t)
		opts.Mode = mode
		dp = successor(t, opts)
		held.round(t)
		id, generic := top.lb.onXDP(t, "eth1")
		if (id != 0) != (mode != ModeTC) || generic != (mode == ModeXDPGeneric) || dp.Status().Mode != mode {
			t.Errorf("%s: program %d, generic %v; status %+v", mode, id, generic, dp.Status())
		}
	}
	if err := dp.Close(); err != nil {
		t.Error(err)
	}
}

// Another build of waggle with the same maps and other instructions: its programs take the place of the old ones, in the same links.
func TestTakeOverByAnotherBuild(t *testing.T) {
	top, opts := readyForTakeOver(t)
	later := opts
	later.build = func(p *ebpf.ProgramSpec) {
		first := p.Instructions[0].Metadata
		p.Instructions[0].Metadata = asm.Metadata{}
		begin := asm.Mov.Imm(asm.R0, 42)
		begin.Metadata = first
		p.Instructions = append(asm.Instructions{begin}, p.Instructions...)
	}
	dp := successor(t, opts)
	held := top.talk(t)
	layout := dp.pins.dir
	for n, with := range []Options{later, opts, later} {
		id, _ := top.lb.onXDP(t, "eth1")
		express, plain := tagOf(t, id), tagOf(t, top.lb.onTCX(t)[0])
		links := linkIDs(t, dp)
		dp.abandon(t)
		held.round(t)
		dp = successor(t, with)
		held.round(t)
		top.talk(t).round(t)
		id, _ = top.lb.onXDP(t, "eth1")
		if tagOf(t, id) == express || tagOf(t, top.lb.onTCX(t)[0]) == plain {
			t.Errorf("take-over %d: the programs are those of before", n)
		}
		if now := linkIDs(t, dp); now != links {
			t.Errorf("take-over %d: links %s, before %s", n, now, links)
		}
		if dp.pins.dir != layout {
			t.Errorf("take-over %d: pins at %s, before at %s", n, dp.pins.dir, layout)
		}
	}
	if s := dp.Counters(); s.Services[7].Sessions != 4 {
		t.Errorf("%+v after 4 sessions", s.Services[7])
	}
	if err := dp.Close(); err != nil {
		t.Error(err)
	}
}

// linkIDs names the links on eth1, which tell whether the program was replaced or the link.
func linkIDs(t *testing.T, dp *Datapath) string {
	t.Helper()
	dp.mu.Lock()
	defer dp.mu.Unlock()
	for _, a := range dp.attached {
		if a.link.name != "eth1" {
			continue
		}
		tc, err := a.tcx.Info()
		if err != nil {
			t.Fatal(err)
		}
		xdp, err := a.express.Info()
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("tcx %d, xdp %d", tc.ID, xdp.ID)
	}
	t.Fatal("nothing on eth1")
	return ""
}
