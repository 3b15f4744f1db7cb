package datapath

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Whatever bytes come in beside a connection of each family, the packet passes untouched, or is dropped for a reason, or leaves with
// checksums that are right where they were right before; numbers agree with the table, and nothing is left when all has ended.
func FuzzPackets(f *testing.F) {
	tc, xdp := newEndurance(f), newEndurance(f)
	xdp.k.useXDP(f, macXDP|macXDPBack)
	for _, s := range xdp.scenes {
		s.know(xdpMACs)
		xdp.routes, xdp.known = append(xdp.routes, xdp.k.routes...), append(xdp.known, xdp.k.known...)
	}
	xdp.k.routes, xdp.k.known = xdp.routes, xdp.known
	xdp.k.sync(f, bothFamilies())
	r := rand.New(rand.NewPCG(1, 2))
	for _, frame := range tc.samples(f) {
		f.Add(frame, true, false)
		f.Add(frame, false, true)
		for range sized(6, 2) {
			f.Add(distort(r, frame), r.IntN(4) > 0, r.IntN(2) == 0)
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte, summed, express bool) {
		if len(frame) < 15 || len(frame) > 2000 || len(frame) < 14+ipHeader(frame) { // the kernel takes none that is shorter
			return
		}
		frame = bytes.Clone(frame)
		if copy(frame, make([]byte, 6)); summed { // to lo
			writeSums(frame)
		}
		e := tc
		if express {
			e = xdp
		}
		e.endure(t, frame)
	})
}

// endurance is a kernel with a connection of each family, for one packet after the other.
type endurance struct {
	k      *kernel
	scenes [2]*scene
	c      *collector
	routes []tableRoute
	known  []neighbour
}

func newEndurance(f *testing.F) *endurance {
	k := newKernel(f, Options{FlowMax: 64, HalfOpenRing: 16}) // a small table is soon read
	k.sync(f, bothFamilies())
	return &endurance{k: k, scenes: [2]*scene{newScene(k, false, 0), newScene(k, true, 0)}, c: k.collector(Timeouts{})}
}

// begin establishes the connections, always from the same ports.
func (e *endurance) begin(t testing.TB) {
	e.k.beat()
	for i := range e.k.obj.targets {
		e.k.obj.targets[i].Ports = 0
	}
	for _, s := range e.scenes {
		s.play(t, established)
	}
}

// samples are frames of the connections, and about them.
func (e *endurance) samples(t testing.TB) (frames [][]byte) {
	e.begin(t)
	for _, s := range e.scenes {
		for _, flags := range []uint8{syn, syn | ack, ack, fin | ack, rst, rst | ack} {
			frames = append(frames, s.frame(t, pkt{from: "client", to: "front", flags: flags, payload: "there", mss: 1460}, ask),
				s.frame(t, pkt{from: "task", to: "back", flags: flags, payload: "and back"}, ask))
		}
		frames = append(frames, s.frame(t, pkt{from: "other", to: "front", flags: syn, mss: 1460, pad: 3}, ask))
		for _, kind := range []uint8{1, 2, 3, 4, 11, 12} {
			frames = append(frames,
				s.frame(t, pkt{from: "router", to: "front", icmp: &icmpError{kind, 4, 1280, pkt{from: "front", to: "client", flags: ack, payload: "too long"}, 60}}, ask),
				s.frame(t, pkt{from: "router", to: "back", icmp: &icmpError{kind, 1, 1280, pkt{from: "back", to: "task", flags: syn}, 8}}, ask))
		}
		if s.six {
			data := s.frame(t, pkt{from: "client", to: "front", flags: ack}, ask)
			frames = append(frames, header(unix.IPPROTO_FRAGMENT, 0, 0, 0, 1, 0, 0, 0, 7)(data), options(2)(data))
		}
	}
	e.end(t)
	return frames
}

// endure sends a frame.
func (e *endurance) endure(t testing.TB, frame []byte) {
	e.begin(t)
	right, before := sumsAreRight(frame), e.counted(t)
	verdict, out := e.k.sendFrame(t, frame)
	reasons := e.counted(t) - before
	switch verdict {
	case verdictNext:
		if !bytes.Equal(out, frame) || reasons > 1 {
			t.Errorf("%x\npasses as\n%x\nfor %d reasons", frame, out, reasons)
		}
	case verdictDrop:
		if reasons != 1 {
			t.Errorf("%x is dropped for %d reasons", frame, reasons)
		}
	case verdictRedirect:
		if len(out) != len(frame) || reasons != 0 || right && !sumsAreRight(out) {
			t.Errorf("%x\nleaves as\n%x\nfor %d reasons; its sums were right: %v", frame, out, reasons, right)
		}
	default:
		t.Errorf("%x: verdict %d", frame, verdict)
	}
	e.agree(t)
	e.end(t)
}

// counted is how many packets were counted under reasons, but for those that say that XDP leaves one to TC.
func (e *endurance) counted(t testing.TB) (n uint64) {
	for name, packets := range e.k.reasons(t) {
		if name != "xdp_way" && name != "xdp_checksum" {
			n += packets
		}
	}
	return n
}

// agree compares the numbers of all flows with the table.
func (e *endurance) agree(t testing.TB) {
	var want numbers
	for _, f := range e.k.flows(t) {
		want.Entries++
		if f.State == FlowEstablished {
			want.Established++
		}
		if f.State != FlowClosed {
			want.Open++
			want.Taken++
		}
	}
	if got := e.k.gauge(0); got != want {
		t.Errorf("the numbers are %+v, of the table %+v", got, want)
	}
}

// end has the collector delete all, and demands that nothing is left.
func (e *endurance) end(t testing.TB) {
	for _, passes := range []int{0, orphanPasses - 1} {
		e.c.passes = passes
		n, err := e.c.pass(monotonicNow() + uint64(24*time.Hour))
		if err != nil || passes > 0 && n > 0 {
			t.Errorf("%d orphans, %v", n, err)
		}
	}
	if n := e.k.entries(t); n != 0 {
		t.Errorf("%d entries are left", n)
	}
	for i := range uint32(6) {
		if g := e.k.gauge(i); g != (numbers{}) {
			t.Errorf("gauge %d: %+v", i, g)
		}
	}
}

// distort changes some bytes of a frame behind its addresses, or its length.
func distort(r *rand.Rand, frame []byte) []byte {
	frame = bytes.Clone(frame)
	for range 1 + r.IntN(3) {
		at := 12 + r.IntN(len(frame)-12)
		switch r.IntN(4) {
		case 0:
			frame[at] ^= 1 << r.IntN(8)
		case 1:
			frame[at] = byte(r.Uint32())
		case 2:
			frame[at] = []byte{0, 1, 0x7f, 0x80, 0xff}[r.IntN(5)]
		default:
			frame = frame[:max(15, at)]
		}
	}
	return frame
}

// ipHeader is how long the IP header of a frame is at least that says to have one.
func ipHeader(frame []byte) int {
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_IP:
		return 20
	case unix.ETH_P_IPV6:
		return 40
	}
	return 0
}

// checksum is one of a frame: what it is over, and where in that it stands.
type checksum struct {
	over   []byte
	at     int
	pseudo []byte // header, which counts as well
}

// sums are a frame's checksums; none where it is not as long as it says.
func sums(frame []byte) (all []checksum) {
	var ip, payload, addrs []byte
	var protocol byte
	switch at := frame[14:]; {
	case frame[12] == 8 && frame[13] == 0 && len(at) >= 20 && at[0] == 0x45:
		n := int(binary.BigEndian.Uint16(at[2:]))
		if n < 20 || n > len(at) {
			return nil
		}
		ip, payload, addrs, protocol = at[:20], at[20:n], at[12:20], at[9]
		all = append(all, checksum{over: ip, at: 10})
	case frame[12] == 0x86 && frame[13] == 0xdd && len(at) >= 40 && at[0]>>4 == 6:
		n := 40 + int(binary.BigEndian.Uint16(at[4:]))
		if n > len(at) {
			return nil
		}
		payload, addrs, protocol = at[40:n], at[8:40], at[6]
	}
	pseudo := slices.Concat(addrs, binary.BigEndian.AppendUint32(nil, uint32(len(payload))), []byte{0, 0, 0, protocol})
	switch {
	case protocol == unix.IPPROTO_TCP && len(payload) >= 20:
		all = append(all, checksum{payload, 16, pseudo})
	case protocol == unix.IPPROTO_ICMP && len(payload) >= 8:
		all = append(all, checksum{payload, 2, nil})
	case protocol == unix.IPPROTO_ICMPV6 && len(payload) >= 8:
		all = append(all, checksum{payload, 2, pseudo})
	default:
		return nil
	}
	return all
}

func (c checksum) sum() uint16 {
	sum := uint32(0)
	for _, part := range [][]byte{c.pseudo, c.over} {
		for i, b := range part {
			sum += uint32(b) << (8 * (1 - i%2))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

func writeSums(frame []byte) {
	for _, c := range sums(frame) {
		binary.BigEndian.PutUint16(c.over[c.at:], 0)
		binary.BigEndian.PutUint16(c.over[c.at:], ^c.sum())
	}
}

// sumsAreRight is false also where there are none.
func sumsAreRight(frame []byte) bool {
	all := sums(frame)
	return len(all) > 0 && !slices.ContainsFunc(all, func(c checksum) bool { return c.sum() != 0xffff })
}
