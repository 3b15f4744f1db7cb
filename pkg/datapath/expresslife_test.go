package datapath

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	bpflink "github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"waggle/pkg/lab/ethtool"
	"waggle/pkg/lab/require"
)

// forXDP has the other ends of the balancer's interfaces finish checksums, and take frames from XDP.
func (top *topology) forXDP(t testing.TB, finish bool) {
	t.Helper()
	top.fabric.must(t, "ready for XDP", func() error {
		for _, port := range []string{"p.1front", "p.1back"} {
			err := ethtool.GRO(port, true)
			if finish {
				err = ethtool.ReadyForXDP(port)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// runs is how often each of the two programs has run.
func (dp *Datapath) runs(t *testing.T) (tc, xdp uint64) {
	t.Helper()
	a, err := dp.obj.WgIngress.Stats()
	if err != nil {
		t.Fatal(err)
	}
	b, err := dp.obj.express.Stats()
	if err != nil {
		t.Fatal(err)
	}
	return a.RunCount, b.RunCount
}

// Native XDP carries what TC carries, between interfaces and back by the same one.
func TestEndToEndByXDP(t *testing.T) {
	require.Root(t)
	if thisMachine().older(6, 3) {
		t.Skip("the kernel says only from 6.3 on what a veth takes from XDP")
	}
	top := taskTopology(t, 3)
	top.forXDP(t, true)
	dp := openIn(t, top.lb, Options{Mode: ModeXDP, RunTime: true})
	if err := dp.Sync(oneService(3)); err != nil {
		t.Fatal(err)
	}
	if s := dp.Status(); s.Mode != ModeXDP || len(s.Interfaces) != 2 || s.Interfaces[0].Attach != "xdp+tcx" || s.Interfaces[1].Attach != "xdp+tcx" {
		t.Fatalf("status %+v", s)
	}
	roundRobin(t, top, 30) // and the MACs are known
	tc0, xdp0 := dp.runs(t)
	echo(t, top)
	tc1, xdp1 := dp.runs(t)
	t.Logf("10 MB there and back: XDP ran %d times, TC %d times; reasons %v", xdp1-xdp0, tc1-tc0, dp.Counters().Reasons)
	if tc, xdp := tc1-tc0, xdp1-xdp0; tc > xdp/20 {
		t.Errorf("TC saw %d of %d packets", tc, xdp)
	}
	oneLeg(t, top)
	// A full ring at the other end of a veth drops what XDP sends, and TCP sends it again; a FIN that was lost is taken for a byte.
	c := dp.Counters().Services[7]
	in, out := int(c.BytesIn)-10<<20, int(c.BytesOut)-(10<<20+32*len("task0\n"))
	if c.Sessions != 32 || in < 0 || in > 1 || out < 0 || out > 1 {
		t.Errorf("counts %+v", c)
	}
}

// Where senders leave checksums to hardware that is not there, all arrives all the same: by TC.
func TestEndToEndWithPartialChecksums(t *testing.T) {
	require.Root(t)
	if thisMachine().older(6, 3) {
		t.Skip("the kernel says only from 6.3 on what a veth takes from XDP")
	}
	top := taskTopology(t, 3)
	top.forXDP(t, false)
	dp := openIn(t, top.lb, Options{Mode: ModeXDP})
	if err := dp.Sync(oneService(3)); err != nil {
		t.Fatal(err)
	}
	roundRobin(t, top, 6)
	echo(t, top)
	s := dp.Counters()
	if s.Services[7].BytesIn != 10<<20 {
		t.Errorf("counts %+v", s.Services[7])
	}
	if s.Reasons["xdp_checksum"] == 0 {
		t.Errorf("no packet was left to TC for its checksum: %v", s.Reasons)
	}
}

// passAll has XDP pass all packets of an interface of the room, by a program that is not ours. flags are the program's.
func (r *room) passAll(t *testing.T, name string, mode bpflink.XDPAttachFlags, flags uint32) {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "foreign", Type: ebpf.XDP, License: "GPL", Flags: flags,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	r.must(t, "attach foreign XDP", func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		x, err := bpflink.AttachXDP(bpflink.XDPOptions{Program: prog, Interface: l.Attrs().Index, Flags: mode})
		if err == nil {
			t.Cleanup(func() { x.Close() })
		}
		return err
	})
}

// A program of somebody else stays where it is; it is named, and TC does the work behind it.
func TestForeignXDPIsLeftInPeace(t *testing.T) {
	require.Root(t)
	top := taskTopology(t, 1)
	top.forXDP(t, true)
	top.lb.passAll(t, "eth1", bpflink.XDPDriverMode, 0)
	dp := openIn(t, top.lb, Options{Mode: ModeXDP})
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	top.talk(t).round(t)
	for _, i := range dp.Status().Interfaces {
		foreign := strings.Contains(i.WithoutXDP, "of somebody else is there")
		if foreign != (i.Name == "eth1") || strings.HasPrefix(i.Attach, attachXDP) == foreign {
			t.Errorf("%+v", i)
		}
	}
	if degraded := strings.Join(dp.Status().Degraded, "\n"); !strings.Contains(degraded, "eth1 has no XDP: XDP program") {
		t.Errorf("degraded: %q", degraded)
	}
}

// Which interfaces get XDP, by what is known of them.
func TestWhereXDPBelongs(t *testing.T) {
	nic, pair := link{device: true}, link{kind: "veth"}
	taken := link{device: true, xdpProgram: 5}
	for _, c := range []struct {
		l    link
		mode Mode
		why  string
	}{
		{nic, ModeAuto, ""}, {nic, ModeXDP, ""}, {nic, ModeTC, "--datapath=tc"},
		{pair, ModeAuto, "the other end of a veth"}, {pair, ModeXDP, ""},
		{link{kind: "vlan"}, ModeAuto, "no device with a driver"}, {link{kind: "vlan"}, ModeXDP, ""},
		{taken, ModeAuto, "XDP program 5"}, {taken, ModeXDP, "XDP program 5"},
	} {
		why := c.l.withoutXDP(Options{Mode: c.mode})
		if (why == "") != (c.why == "") || !strings.Contains(why, c.why) {
			t.Errorf("%+v with %s: %q, want %q", c.l, c.mode, why, c.why)
		}
	}
}
