package datapath

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab/ethtool"
	"waggle/pkg/lab/require"
)

// rig sends one packet of an established connection again and again, as fast as one CPU can, and has the balancer pass it on:
//
//	generator ── veth ── eth1 balancer tap0 ── nobody
//
// The generator is XDP by BPF_PROG_RUN with live frames (kernel 5.18): frames come as from a NIC, before there is an skb. What
// leaves by tap0 finds its ring full and is dropped there, which costs little on any path. Generator, balancer and drop share a CPU.
type rig struct {
	*room
	generator *room
	eth1, tap netlink.Link
	tapFile   *os.File
	send      *ebpf.Program
	template  *ebpf.Map
}

const rigFrame = 64

var rigTaskMAC, rigClientMAC = net.HardwareAddr{2, 0, 0, 0, 0, 0x11}, net.HardwareAddr{2, 0, 0, 0, 0, 0x10}

func newRig(b *testing.B) *rig {
	b.Helper()
	require.Root(b)
	r := &rig{room: newRoom(b), generator: newRoom(b)}
	r.must(b, "interfaces", func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "eth1"
		tap := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tap0"}, Mode: netlink.TUNTAP_MODE_TAP, NonPersist: true, Queues: 1, Flags: netlink.TUNTAP_NO_PI}
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "gen0", PeerNamespace: netlink.NsFd(int(r.generator.ns))}); err != nil {
			return err
		}
		if err := netlink.LinkAdd(tap); err != nil {
			return err
		}
		r.tapFile = tap.Fds[0]
		if err := addNet("eth1", frontAddr+"/24"); err != nil {
			return err
		}
		if err := addNet("tap0", backAddr+"/24"); err != nil {
			return err
		}
		for name, neighbour := range map[string]netlink.Neigh{
			"eth1": {IP: net.ParseIP(clientAddr), HardwareAddr: rigClientMAC},
			"tap0": {IP: net.ParseIP(taskAddr(0)), HardwareAddr: rigTaskMAC},
		} {
			l, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			if err := netlink.LinkSetUp(l); err != nil {
				return err
			}
			neighbour.LinkIndex, neighbour.State = l.Attrs().Index, unix.NUD_PERMANENT
			if err := netlink.NeighAdd(&neighbour); err != nil {
				return err
			}
		}
		return ethtool.GRO("eth1", true) // else it takes no frames from XDP
	})
	b.Cleanup(func() { r.tapFile.Close() })
	r.eth1, r.tap = r.link(b, "eth1"), r.link(b, "tap0")
	r.makeGenerator(b)
	return r
}

func (r *rig) link(b *testing.B, name string) (l netlink.Link) {
	r.must(b, "look at "+name, func() (err error) { l, err = netlink.LinkByName(name); return err })
	return l
}

// makeGenerator loads a program that writes the template into its frame, since the balancer has changed the last one, and
// redirects it.
func (r *rig) makeGenerator(b *testing.B) {
	var out netlink.Link
	r.generator.must(b, "the generator's interface", func() (err error) {
		if out, err = netlink.LinkByName("gen0"); err != nil {
			return err
		}
		return netlink.LinkSetUp(out)
	})
	var err error
	if r.template, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: rigFrame, MaxEntries: 1}); err != nil {
		b.Fatal(err)
	}
	code := asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word),
		asm.LoadMem(asm.R3, asm.R1, 4, asm.Word),
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, rigFrame),
		asm.JGT.Reg(asm.R4, asm.R3, "out"),
		asm.LoadMapValue(asm.R5, r.template.FD(), 0),
	}
	for at := int16(0); at < rigFrame; at += 8 {
		code = append(code, asm.LoadMem(asm.R0, asm.R5, at, asm.DWord), asm.StoreMem(asm.R2, at, asm.R0, asm.DWord))
	}
	code = append(code, asm.Mov.Imm(asm.R1, int32(out.Attrs().Index)), asm.Mov.Imm(asm.R2, 0), asm.FnRedirect.Call(), asm.Return(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"), asm.Return())
	r.send, err = ebpf.NewProgram(&ebpf.ProgramSpec{Name: "generator", Type: ebpf.XDP, License: "GPL", Instructions: code})
	if err != nil {
		b.Fatalf("%+v", err)
	}
	b.Cleanup(func() { r.send.Close(); r.template.Close() })
}

// fire sends a frame of the client's n times.
func (r *rig) fire(b *testing.B, p packet, n int) {
	frame := p.frame(b)
	copy(frame, r.eth1.Attrs().HardwareAddr)
	if len(frame) > rigFrame {
		b.Fatalf("a frame of %d bytes", len(frame))
	}
	var template [rigFrame]byte
	copy(template[:], frame)
	if err := r.template.Put(uint32(0), template); err != nil {
		b.Fatal(err)
	}
	r.generator.must(b, "generate", func() error {
		_, err := r.send.Run(&ebpf.RunOptions{Data: template[:], Repeat: uint32(n), Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES})
		return err
	})
}

// atTap is how many frames the kernel has brought to the end of tap0. (Of those that XDP sends and that find no room it counts
// one of sixteen.)
func (r *rig) atTap(b *testing.B) uint64 {
	s := r.link(b, "tap0").Attrs().Statistics
	return s.TxPackets + s.TxDropped
}

// packetsIn is how many packets of clients both programs have passed on.
func (dp *Datapath) packetsIn(*testing.B) (sum uint64) {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	for _, index := range dp.planner.counters.used {
		sum += dp.obj.counter(index).PacketsIn
	}
	return sum
}

// established is a connection through dp, and the packet that the client sends in it.
func (r *rig) established(b *testing.B, dp *Datapath) packet {
	p := packet{src: ap(client(0)), dst: ap(front()), flags: syn, seq: 1}
	r.fire(b, p, 1)
	var back netip.AddrPort
	for deadline := time.Now().Add(5 * time.Second); !back.IsValid(); {
		if time.Now().After(deadline) {
			b.Fatalf("no flow: %v", dp.Counters().Reasons)
		}
		if err := dp.Flows(func(f Flow) bool { back = f.Back; return false }); err != nil {
			b.Fatal(err)
		}
	}
	answer := packet{src: ap(taskAddr(0) + ":9000"), dst: back, flags: syn | ack, seq: 1, ack: 2}.frame(b)
	copy(answer, r.tap.Attrs().HardwareAddr)
	if _, err := r.tapFile.Write(answer); err != nil {
		b.Fatal(err)
	}
	p.flags, p.seq, p.ack = ack, 2, 2
	for deadline := time.Now().Add(5 * time.Second); dp.Counters().Total.Current == 0; r.fire(b, p, 1) {
		if time.Now().After(deadline) {
			b.Fatalf("not established: %v", dp.Counters().Reasons)
		}
	}
	return p
}

func (r *rig) measure(b *testing.B, p packet, passed func(*testing.B) uint64) {
	r.fire(b, p, 10000)
	before := passed(b)
	b.ResetTimer()
	start := time.Now()
	r.fire(b, p, b.N)
	took := time.Since(start)
	b.StopTimer()
	through := passed(b) - before
	if through < uint64(b.N)/10 {
		b.Errorf("%d of %d packets came through", through, b.N)
	}
	b.ReportMetric(float64(through)/took.Seconds()/1e6, "Mpackets/s")
	b.ReportMetric(0, "ns/op")
}

// What passes of an established connection, by plain forwarding, by NAT of nftables, and by the two programs.
func BenchmarkRate(b *testing.B) {
	data := packet{src: ap(client(0)), dst: ap(front()), flags: ack, seq: 2, ack: 2}
	forwarding := func(b *testing.B, r *rig) {
		r.must(b, "forward", func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) })
	}
	b.Run("plain", func(b *testing.B) {
		r := newRig(b)
		forwarding(b, r)
		p := data
		p.dst = ap(taskAddr(0) + ":9000")
		r.measure(b, p, r.atTap)
	})
	b.Run("nftables", func(b *testing.B) {
		nft := require.Tool(b, "nft")
		r := newRig(b)
		forwarding(b, r)
		r.must(b, "nft", func() error {
			cmd := exec.Command(nft, "-f", "-")
			cmd.Stdin = strings.NewReader(fmt.Sprintf(`table ip nat {
	chain pre { type nat hook prerouting priority -100; ip daddr %s tcp dport %d dnat to %s:%d; }
	chain post { type nat hook postrouting priority 100; oifname tap0 masquerade; }
}`, frontAddr, frontPort, taskAddr(0), taskPort))
			out, err := cmd.CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%w: %s", err, out)
			}
			return err
		})
		r.measure(b, data, r.atTap)
	})
	for name, mode := range map[string]Mode{"waggle-tc": ModeTC, "waggle-xdp": ModeXDP} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b)
			dp, err := Open(b.Context(), Options{Mode: mode, NetNS: r.path()})
			if err != nil {
				b.Fatal(err)
			}
			defer dp.Close()
			if err := dp.Sync(oneService(1)); err != nil {
				b.Fatal(err)
			}
			r.measure(b, r.established(b, dp), dp.packetsIn)
		})
	}
}
