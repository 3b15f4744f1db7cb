package datapath

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// TCP flags as in the header.
const (
	fin = tcpFin
	syn = 0x02
	rst = tcpRst
	psh = 0x08
	ack = 0x10
)

// packet describes a frame; the zero value of a field means what is usual.
type packet struct {
	src, dst netip.AddrPort
	flags    uint8
	seq, ack uint32
	payload  string
	ttl      uint8 // default 64
	mss      uint16
	pad      int    // NOP options before the MSS
	stamp    uint32 // value of the timestamp option; 0: there is none
	options  []byte // IP options, a multiple of 4 bytes
	fragment bool
	claim    int     // added to the IP header's length
	toMAC    [6]byte // from ourMAC; default: as it came
}

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// frame builds the packet with right checksums, as they are on the wire.
func (p packet) frame(t testing.TB) []byte {
	t.Helper()
	if p.ttl == 0 {
		p.ttl = 64
	}
	eth := layers.Ethernet{
		SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: make([]byte, 6) /* that of lo */, EthernetType: layers.EthernetTypeIPv4,
	}
	if p.toMAC != [6]byte{} {
		eth.SrcMAC, eth.DstMAC = ourMAC[:], p.toMAC[:]
	}
	ip, claimed := p.ip(&eth)
	tcp := layers.TCP{
		SrcPort: layers.TCPPort(p.src.Port()), DstPort: layers.TCPPort(p.dst.Port()), Seq: p.seq, Ack: p.ack, Window: 501,
		FIN: p.flags&fin != 0, SYN: p.flags&syn != 0, RST: p.flags&rst != 0, PSH: p.flags&psh != 0, ACK: p.flags&ack != 0,
	}
	for range p.pad {
		tcp.Options = append(tcp.Options, layers.TCPOption{OptionType: layers.TCPOptionKindNop})
	}
	if p.mss != 0 {
		tcp.Options = append(tcp.Options, layers.TCPOption{
			OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{byte(p.mss >> 8), byte(p.mss)},
		})
	}
	if p.stamp != 0 {
		tcp.Options = append(tcp.Options, layers.TCPOption{
			OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: binary.BigEndian.AppendUint64(nil, uint64(p.stamp)<<32),
		})
	}
	if err := tcp.SetNetworkLayerForChecksum(ip.(gopacket.NetworkLayer)); err != nil {
		t.Fatal(err)
	}
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, &eth, ip, &tcp, gopacket.Payload(p.payload)); err != nil {
		t.Fatal(err)
	}
	frame := bytes.Clone(buf.Bytes())
	frame[claimed] += byte(p.claim)
	return frame
}

// ip is the network header, and the offset of the lower byte of its length.
func (p packet) ip(eth *layers.Ethernet) (header gopacket.SerializableLayer, claimed int) {
	if p.src.Addr().Is6() {
		eth.EthernetType = layers.EthernetTypeIPv6
		return &layers.IPv6{
			Version: 6, HopLimit: p.ttl, NextHeader: layers.IPProtocolTCP, FlowLabel: 0x12345,
			SrcIP: p.src.Addr().AsSlice(), DstIP: p.dst.Addr().AsSlice(),
		}, 19
	}
	ip := &layers.IPv4{
		Version: 4, Id: 4711, TTL: p.ttl, Protocol: layers.IPProtocolTCP,
		SrcIP: p.src.Addr().AsSlice(), DstIP: p.dst.Addr().AsSlice(), Flags: layers.IPv4DontFragment,
	}
	if p.fragment {
		ip.Flags = layers.IPv4MoreFragments
	}
	for _, b := range p.options {
		ip.Options = append(ip.Options, layers.IPv4Option{OptionType: b})
	}
	return ip, 17
}

// decode is the reverse of frame for the fields that the tests look at.
func decode(t testing.TB, frame []byte) packet {
	t.Helper()
	parsed := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	tcp, _ := parsed.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if tcp == nil || parsed.NetworkLayer() == nil {
		t.Fatalf("not a TCP packet: %x", frame)
	}
	flow := parsed.NetworkLayer().NetworkFlow()
	src, _ := netip.AddrFromSlice(flow.Src().Raw())
	dst, _ := netip.AddrFromSlice(flow.Dst().Raw())
	p := packet{
		src: netip.AddrPortFrom(src.Unmap(), uint16(tcp.SrcPort)), dst: netip.AddrPortFrom(dst.Unmap(), uint16(tcp.DstPort)),
		seq: tcp.Seq, ack: tcp.Ack,
	}
	switch ip := parsed.NetworkLayer().(type) {
	case *layers.IPv4:
		p.ttl = ip.TTL
	case *layers.IPv6:
		p.ttl = ip.HopLimit
	}
	return p
}
