package datapath

import (
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// benchPacket reports what the program takes for one packet, the redirect itself not included.
func benchPacket(b *testing.B, k *kernel, p packet) { benchFrame(b, k, k.obj.WgIngress, p.frame(b)) }

func benchFrame(b *testing.B, k *kernel, prog *ebpf.Program, frame []byte) {
	const repeat = 200 // each run takes one from the TTL of 255
	var total time.Duration
	b.ResetTimer() // loading the program takes longer than many a packet
	k.must(b, "run", func() error {
		for done := 0; done < b.N; done += repeat {
			_, each, err := prog.Benchmark(frame, repeat, nil)
			if err != nil {
				return err
			}
			total += each * repeat
		}
		return nil
	})
	runs := (b.N + repeat - 1) / repeat * repeat
	b.ReportMetric(float64(total.Nanoseconds())/float64(runs), "ns/packet")
	b.ReportMetric(0, "ns/op")
}

// The program changes the packet that PROG_RUN repeats, so from the second run on a packet of a flow would be a
// different one. These flows translate a tuple to itself: all the work is done, and the packet stays what it is.
// With known MACs are cached, else the kernel's neighbour code is asked, whose own time is not in the figure.
func benchMirrored(b *testing.B, dir uint8, src, dst string, known bool) {
	k, p := mirrored(b, dir, src, dst, known, 0)
	benchPacket(b, k, p)
}

// benchExpress does the same for the program for XDP.
func benchExpress(b *testing.B, dir uint8, src, dst string) {
	k, p := mirrored(b, dir, src, dst, true, macXDP|macXDPBack)
	frame := p.frame(b)
	copy(frame, mirrorMAC[:]) // the one that it is sent to is the one that it comes to
	if err := k.obj.WgIfaces.Put(uint32(loIndex), lbWgIface{Mtu: clientMTU, Mac: mirrorMAC}); err != nil {
		b.Fatal(err)
	}
	k.must(b, "run", func() error {
		verdict, out, err := k.obj.express.Test(frame)
		if verdict != xdpBack || len(out) != len(frame) {
			b.Fatalf("verdict %d; reasons %v", verdict, k.reasons(b))
		}
		return err
	})
	benchFrame(b, k, k.obj.express, frame)
}

var mirrorMAC = [6]byte{2, 0, 0, 0, 0, 9}

func mirrored(b *testing.B, dir uint8, src, dst string, known bool, accepts uint16) (*kernel, packet) {
	k := newKernel(b, Options{})
	if accepts != 0 {
		k.useXDP(b, accepts)
	}
	p := packet{src: ap(src), dst: ap(dst), flags: ack, seq: 1, ack: 1, payload: "payload", ttl: 255}
	if known {
		k.known = []neighbour{{hop: hop{loIndex, p.dst.Addr()}, state: unix.NUD_REACHABLE, mac: mirrorMAC}}
	}
	k.sync(b, oneService(1))
	k.obj.ports.add(p.dst.Port(), p.dst.Port())
	key := lbWgKey{Saddr: p.src.Addr().As16(), Daddr: p.dst.Addr().As16(), Sport: netOrder(p.src.Port()), Dport: netOrder(p.dst.Port())}
	value := lbWgFlow{Saddr: key.Saddr, Daddr: key.Daddr, Sport: key.Sport, Dport: key.Dport, Ifindex: loIndex,
		Dir: dir, State: lbWgStateWG_ESTABLISHED, Counter: 1, Generation: 1, TcpFlags: tcpSyn}
	if known {
		value.Way = k.planner.ways.id(k.known[0].hop)
	}
	if err := k.obj.WgFlows.Update(key, value, ebpf.UpdateAny); err != nil {
		b.Fatal(err)
	}
	return k, p
}

func BenchmarkXDPForward(b *testing.B) { benchExpress(b, dirForward, client(1), front()) }

func BenchmarkXDPReverse(b *testing.B) { benchExpress(b, dirReverse, client(1), front()) }

func BenchmarkXDPForward6(b *testing.B) {
	benchExpress(b, dirForward, "[2001:db8::9]:1025", "["+frontAddr6+"]:8080")
}

// What XDP adds to a packet that is not ours, and so goes on to TC.
func BenchmarkXDPNotOurs(b *testing.B) {
	k := newKernel(b, Options{})
	k.useXDP(b, macXDP|macXDPBack)
	k.sync(b, oneService(1))
	benchFrame(b, k, k.obj.express, packet{src: ap(client(0)), dst: ap("192.0.2.77:443"), flags: ack}.frame(b))
}

func BenchmarkForward(b *testing.B) { benchMirrored(b, dirForward, client(1), front(), true) }

func BenchmarkReverse(b *testing.B) { benchMirrored(b, dirReverse, client(1), front(), true) }

func BenchmarkForwardUnknownMAC(b *testing.B) {
	benchMirrored(b, dirForward, client(1), front(), false)
}

func BenchmarkForward6(b *testing.B) {
	benchMirrored(b, dirForward, "[2001:db8::9]:1025", "["+frontAddr6+"]:8080", true)
}

func BenchmarkNotOurs(b *testing.B) {
	k := newKernel(b, Options{})
	k.sync(b, oneService(1))
	benchPacket(b, k, packet{src: ap(client(0)), dst: ap("192.0.2.77:443"), flags: ack})
}

// To a service, but of no flow: what a restarted balancer sees of old connections, and a flood of ACKs.
func BenchmarkStray(b *testing.B) {
	k := newKernel(b, Options{})
	k.sync(b, oneService(1))
	benchPacket(b, k, packet{src: ap(client(0)), dst: ap(front()), flags: ack})
}

// A SYN that is claimed; from some thousands on each one recycles a half-open flow as well. The time of single runs is
// measured, so it has the cost of cold caches in it, as SYNs do.
func BenchmarkSYN(b *testing.B) {
	k := newKernel(b, Options{})
	k.sync(b, oneService(3))
	var total time.Duration
	b.ResetTimer() // loading the program takes longer than many a packet
	k.must(b, "run", func() error {
		for i := range b.N {
			frame := packet{src: ap(client(i)), dst: ap(front()), flags: syn, seq: 1}.frame(b)
			verdict, each, err := k.obj.WgIngress.Benchmark(frame, 1, nil)
			if err != nil {
				return err
			}
			if verdict != verdictRedirect {
				b.Fatalf("verdict %d; reasons %v", int32(verdict), k.reasons(b))
			}
			k.beat()
			total += each
		}
		return nil
	})
	b.ReportMetric(float64(total.Nanoseconds())/float64(b.N), "ns/packet")
	b.ReportMetric(0, "ns/op")
}
