package datapath

import (
	"bytes"
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
)

// A row is one packet through the program: where it comes upon, what it is, what becomes of it and what is counted. Ends
// are named: client connects to front, which sends from back to task; router and other are elsewhere.
type row struct {
	name    string
	only    int // 4 or 6; 0: both families
	start   stage
	retries uint32             // of the services, before the connection begins
	known   map[string][6]byte // MACs of ends, before the connection begins
	desired func(*Desired)
	prepare func(*testing.T, *scene)
	in      pkt
	frame   func([]byte) []byte // what makes the packet a strange one
	verdict int                 // default verdictRedirect
	out     pkt                 // for verdictRedirect; others leave the packet as it is
	toMAC   [6]byte             // default: the kernel's neighbour code is asked
	counts  counts              // by how much counters change; others stay
	tc      string              // why XDP leaves the packet to TC; "" if it takes it, or if express says so
}

// express tells whether XDP takes the packet by itself where the MACs of both ends are known: all that is of a flow behind its
// handshake, and no error message. (A packet that goes to the stack comes by both.)
func (r row) express() bool {
	if r.verdict != 0 && r.verdict != verdictRedirect || r.tc != "" || r.in.icmp != nil || r.in.flags&syn != 0 {
		return false
	}
	if r.in.from == "client" {
		return r.start == established || r.start == clientFin || r.start == taskFin
	}
	return r.start >= answered
}

type counts map[string]int

// stage is how far the connection is when the packet comes.
type stage int

const (
	nothing stage = iota
	halfOpen
	answered // the server's SYN-ACK has passed
	established
	clientFin
	taskFin
	closed
)

// pkt is a packet with ends by name. Sequence numbers count from the next one of their end.
type pkt struct {
	from, to string
	flags    uint8
	seq, ack int32
	payload  string
	ttl      uint8 // default 64, and 63 of what leaves
	mss      uint16
	pad      int
	icmp     *icmpError
}

// icmpError is an error that tells about another packet, of which it quotes a part.
type icmpError struct {
	kind, code uint8
	rest       uint32 // such as the MTU
	about      pkt
	quoted     int // bytes behind the quoted IP header
}

// scene is a connection of its own in a kernel that all rows share.
type scene struct {
	k                  *kernel
	six                bool
	ends               map[string]netip.AddrPort
	clientSeq, taskSeq uint32
}

const (
	serviceID4, serviceID6 = 7, 8
	taskID4, taskID6       = 101, 102
)

// bothFamilies is a service for each family on the same port.
func bothFamilies() Desired {
	d := oneService(1)
	six := sixService(1).Services[0]
	six.ID, six.Schedule = serviceID6, []uint32{taskID6}
	six.Servers[0].ID = taskID6
	six.Binds[0].V6Only = true
	d.Services = append(d.Services, six)
	return d
}

func newScene(k *kernel, six bool, n int) *scene {
	s := &scene{k: k, six: six, clientSeq: 0xfffffff0, taskSeq: 0x7fffffff}
	if six {
		s.ends = map[string]netip.AddrPort{
			"client": netip.AddrPortFrom(netip.MustParseAddr("2001:db8:1::10"), uint16(2000+n)), "front": ap("[2001:db8:1::1]:8080"),
			"back": ap("[2001:db8:2::1]:30000"), "task": ap("[2001:db8:2::11]:9000"), "router": ap("[2001:db8:9::1]:1"), "other": ap("[2001:db8:9::2]:8080"),
		}
		return s
	}
	s.ends = map[string]netip.AddrPort{
		"client": netip.AddrPortFrom(netip.MustParseAddr(clientAddr), uint16(2000+n)), "front": ap(front()),
		"back": ap(backAddr + ":30000"), "task": ap(taskAddr(0) + ":9000"), "router": ap("203.0.113.1:1"), "other": ap("203.0.113.2:8080"),
	}
	return s
}

// packet resolves names and numbers.
func (s *scene) packet(p pkt) packet {
	seq, ack := s.clientSeq, s.taskSeq
	if p.from == "task" || p.from == "front" {
		seq, ack = ack, seq
	}
	return packet{src: s.ends[p.from], dst: s.ends[p.to], flags: p.flags, seq: seq + uint32(p.seq), ack: ack + uint32(p.ack),
		payload: p.payload, ttl: p.ttl, mss: p.mss, pad: p.pad}
}

func (s *scene) frame(t testing.TB, p pkt, toMAC [6]byte) []byte {
	t.Helper()
	if p.icmp == nil {
		out := s.packet(p)
		out.toMAC = toMAC
		return out.frame(t)
	}
	about := s.packet(p.icmp.about).frame(t)[14:]
	header := 20
	if s.six {
		header = 40
	}
	return icmpFrame(t, s.ends[p.from].Addr(), s.ends[p.to].Addr(), p, about[:min(len(about), header+p.icmp.quoted)], toMAC)
}

func icmpFrame(t testing.TB, src, dst netip.Addr, p pkt, quoted []byte, toMAC [6]byte) []byte {
	t.Helper()
	eth := layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}
	if toMAC != [6]byte{} {
		eth.SrcMAC, eth.DstMAC = ourMAC[:], toMAC[:]
	}
	if p.ttl == 0 {
		p.ttl = 64
	}
	rest := binary.BigEndian.AppendUint32(nil, p.icmp.rest)
	var stack []gopacket.SerializableLayer
	if src.Is4() {
		stack = []gopacket.SerializableLayer{&eth,
			&layers.IPv4{Version: 4, Id: 99, TTL: p.ttl, TOS: 0xc0, Protocol: layers.IPProtocolICMPv4, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()},
			&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(p.icmp.kind, p.icmp.code), Id: binary.BigEndian.Uint16(rest), Seq: binary.BigEndian.Uint16(rest[2:])},
			gopacket.Payload(quoted)}
	} else {
		eth.EthernetType = layers.EthernetTypeIPv6
		ip := &layers.IPv6{Version: 6, HopLimit: p.ttl, NextHeader: layers.IPProtocolICMPv6, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
		icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(p.icmp.kind, p.icmp.code)}
		if err := icmp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		stack = []gopacket.SerializableLayer{&eth, ip, icmp, gopacket.Payload(append(rest, quoted...))}
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, stack...); err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(buf.Bytes())
}

// play brings the connection to a stage.
func (s *scene) play(t testing.TB, to stage) {
	t.Helper()
	steps := []pkt{
		halfOpen:    {from: "client", to: "front", flags: syn, seq: -1, ack: 0},
		answered:    {from: "task", to: "back", flags: syn | ack, seq: -1},
		established: {from: "client", to: "front", flags: ack},
		clientFin:   {from: "client", to: "front", flags: fin | ack},
		taskFin:     {from: "task", to: "back", flags: fin | ack},
		closed:      {from: "task", to: "back", flags: fin | ack, ack: 1},
	}
	if to == nothing {
		return
	}
	for at := halfOpen; at <= to; at++ {
		if to == taskFin && at == clientFin || to == closed && at == taskFin {
			continue
		}
		verdict, out := s.k.sendFrame(t, s.frame(t, steps[at], ask))
		if verdict != verdictRedirect {
			t.Fatalf("stage %d: verdict %d, reasons %v", at, verdict, s.k.reasons(t))
		}
		if at == halfOpen {
			s.ends["back"] = decode(t, out).src
		}
	}
}

// counters are all that a row can change.
func (s *scene) counters(t *testing.T) counts {
	t.Helper()
	out := make(counts)
	for name, n := range s.k.reasons(t) {
		out[name] = int(n)
	}
	snap := s.k.snapshot(t)
	id := uint32(serviceID4)
	if s.six {
		id = serviceID6
	}
	c := snap.Services[id]
	if c != snap.Servers[map[bool]uint32{false: taskID4, true: taskID6}[s.six]] {
		t.Errorf("service %+v, its only server %+v", c, snap.Servers)
	}
	maps.Copy(out, counts{"connections": int(c.Connections), "sessions": int(c.Sessions), "established": int(c.Current),
		"half-open": int(c.HalfOpen), "entries": int(c.Entries), "bytes in": int(c.BytesIn), "bytes out": int(c.BytesOut)})
	return out
}

// xdpMACs are those that all ends have where packets come by XDP first, so that it can send.
var xdpMACs = map[string][6]byte{"client": clientMAC, "task": taskMAC}

func (r row) run(t *testing.T, k *kernel, six bool, n int) {
	s := newScene(k, six, n)
	if k.obj.express != nil && r.known == nil {
		r.known, r.toMAC = xdpMACs, xdpMACs[r.out.to]
	}
	s.know(r.known)
	d := bothFamilies()
	for i := range d.Services {
		d.Services[i].Retries = r.retries
	}
	k.sync(t, d)
	k.beat()
	s.play(t, r.start)
	if r.desired != nil {
		d = bothFamilies()
		for i := range d.Services {
			d.Services[i].Servers = slices.Clone(d.Services[i].Servers)
		}
		r.desired(&d)
	}
	k.sync(t, d)
	if r.prepare != nil {
		r.prepare(t, s)
	}
	before := s.counters(t)
	frame := s.frame(t, r.in, ask)
	if r.frame != nil {
		frame = r.frame(frame)
	}
	verdict, out := k.sendFrame(t, frame)
	if k.obj.express != nil && k.byXDP != r.express() {
		t.Errorf("taken by XDP: %v, want %v", k.byXDP, r.express())
	}
	want := frame
	if r.verdict == 0 {
		r.verdict = verdictRedirect
	}
	if r.verdict == verdictRedirect {
		if r.start == nothing && verdict == verdictRedirect {
			s.ends["back"] = decode(t, out).src
		}
		if r.out.ttl == 0 {
			r.out.ttl = 63
		}
		want = s.frame(t, r.out, r.toMAC)
		if r.frame != nil {
			want = r.frame(want)
		}
	}
	if verdict != r.verdict {
		t.Errorf("verdict %d, want %d", verdict, r.verdict)
	}
	if verdict != verdictDrop && !bytes.Equal(out, want) {
		t.Errorf("in    %x\nleaves %x\nwant   %x", frame, out, want)
	}
	after := s.counters(t)
	for name := range after {
		if got := after[name] - before[name]; got != r.counts[name] {
			t.Errorf("%s changes by %d, want %d", name, got, r.counts[name])
		}
	}
	for name := range r.counts {
		if _, ok := after[name]; !ok {
			t.Errorf("there is no counter %q", name)
		}
	}
}

// runRows plays each row for TC alone, and for TC behind XDP: where it comes out by the interface that it came in by, and
// where the interface takes frames only by redirection.
func runRows(t *testing.T, rows []row) {
	t.Run("TC", func(t *testing.T) { playRows(t, rows, newKernel(t, Options{})) })
	t.Run("TC behind a NIC that sums", func(t *testing.T) {
		if thisMachine().older(6, 18) {
			t.Skip("the kernel cannot be asked for such packets")
		}
		k := newKernel(t, Options{})
		k.summed = true
		playRows(t, rows, k)
	})
	for name, accepts := range map[string]uint16{"XDP back": macXDP | macXDPBack, "XDP redirect": macXDP} {
		t.Run(name, func(t *testing.T) {
			k := newKernel(t, Options{})
			k.useXDP(t, accepts)
			playRows(t, rows, k)
		})
	}
}

func playRows(t *testing.T, rows []row, k *kernel) {
	n := 0
	for _, six := range []bool{false, true} {
		for _, r := range rows {
			if r.only == 4 && six || r.only == 6 && !six {
				continue
			}
			n++
			name := "IPv4 " + r.name
			if six {
				name = "IPv6 " + r.name
			}
			t.Run(name, func(t *testing.T) { r.run(t, k, six, n) })
		}
	}
}

// know makes the MACs of ends known, and no other.
func (s *scene) know(ends map[string][6]byte) {
	s.k.routes, s.k.known = nil, nil
	for end, mac := range ends {
		addr := s.ends[end].Addr()
		s.k.known = append(s.k.known, neighbour{hop: hop{loIndex, addr}, state: unix.NUD_REACHABLE, mac: mac})
		s.k.routes = append(s.k.routes, tableRoute{prefix: netip.PrefixFrom(addr, addr.BitLen()), hop: hop{ifindex: loIndex}})
	}
}
