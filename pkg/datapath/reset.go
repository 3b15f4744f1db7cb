package datapath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// resetter tells both ends of a flow that it is over: RSTs with the sequence numbers that the ends expect, out of the
// balancer's namespace, from the addresses that they know. A receiver acts at once only on the very number that it expects;
// for another one in its window it asks back first (RFC 5961, section 3.2).
type resetter struct {
	v4, v6 int // raw sockets; v6 is -1 where the kernel has no IPv6
	// sent counts RSTs, failed whatever could not be sent.
	sent, failed atomic.Uint64
}

// openResetter must run inside the namespace. It takes CAP_NET_RAW.
func openResetter() (*resetter, error) {
	const kind = unix.SOCK_RAW | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	v4, err := unix.Socket(unix.AF_INET, kind, unix.IPPROTO_RAW)
	if err != nil {
		return nil, fmt.Errorf("open raw socket: %w", err)
	}
	v6, err := unix.Socket(unix.AF_INET6, kind, unix.IPPROTO_RAW)
	if err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
		return nil, errors.Join(fmt.Errorf("open raw IPv6 socket: %w", err), unix.Close(v4))
	}
	return &resetter{v4: v4, v6: v6}, nil
}

func (r *resetter) close() error {
	err := unix.Close(r.v4)
	if r.v6 >= 0 {
		err = errors.Join(err, unix.Close(r.v6))
	}
	return err
}

// ended is one side of a flow that was deleted, seen from the balancer.
type ended struct {
	from, to netip.AddrPort // of the RST: ours, and the end's
	ifindex  uint32         // where its packets left
	// expects is the last number that the end asked for, and sent the one behind all that was sent to it: between them
	// is what was on its way when the flow was deleted. spoke is the number of its own next byte.
	expects, sent, spoke uint32
}

// reset sends a RST for the last number that was acknowledged, and one for what was on its way if there was anything:
// whichever of the two the end has come to, it ends there. If it has stopped in between, for a loss, its next packet finds no flow,
// reaches the namespace's stack, and is answered with the right number.
func (r *resetter) reset(e ended) {
	r.send(e, e.sent)
	if e.expects != e.sent && e.expects != 0 {
		r.send(e, e.expects)
	}
}

func (r *resetter) send(e ended, seq uint32) {
	if r.emit(e, rstPacket(e.from, e.to, seq, e.spoke)) {
		r.sent.Add(1)
	}
}

// emit sends a packet to an end, and tells whether it did.
func (r *resetter) emit(e ended, packet []byte) bool {
	// The interface is that of the flow, so that it takes the way of all packets before it.
	err := r.sendBy(e.ifindex, e, packet)
	if err != nil && !errors.Is(err, unix.EAGAIN) { // the interface is gone, or has no route any more
		err = r.sendBy(0, e, packet)
	}
	if err != nil {
		r.failed.Add(1)
	}
	return err == nil
}

// sendBy sends a packet by an interface; 0: by whichever the routing table says.
func (r *resetter) sendBy(ifindex uint32, e ended, packet []byte) error {
	if e.to.Addr().Is4() {
		info := unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(ifindex), Spec_dst: e.from.Addr().As4()})
		return unix.Sendmsg(r.v4, packet, info, &unix.SockaddrInet4{Addr: e.to.Addr().As4()}, unix.MSG_DONTWAIT)
	}
	info := unix.PktInfo6(&unix.Inet6Pktinfo{Ifindex: ifindex, Addr: e.from.Addr().As16()})
	return unix.Sendmsg(r.v6, packet, info, &unix.SockaddrInet6{Addr: e.to.Addr().As16(), ZoneId: ifindex}, unix.MSG_DONTWAIT)
}

const (
	ip4Header = 20
	ip6Header = 40
	tcpHeader = 20
)

// rstPacket builds a RST. ACK is set, so that an end that still waits for a SYN-ACK believes it too (RFC 9293,
// section 3.10.7.3).
func rstPacket(from, to netip.AddrPort, seq, ack uint32) []byte {
	return tcpPacket(from, to, tcpRst|tcpAck, seq, ack)
}

// tcpPacket builds an IP packet without payload.
func tcpPacket(from, to netip.AddrPort, flags uint8, seq, ack uint32) []byte {
	src, dst := from.Addr().AsSlice(), to.Addr().AsSlice()
	var p, tcp []byte
	if to.Addr().Is4() {
		p = make([]byte, ip4Header+tcpHeader)
		ip4(p, src, dst)
		tcp = p[ip4Header:]
	} else {
		p = make([]byte, ip6Header+tcpHeader)
		ip6(p, src, dst)
		tcp = p[ip6Header:]
	}
	binary.BigEndian.PutUint16(tcp[0:], from.Port())
	binary.BigEndian.PutUint16(tcp[2:], to.Port())
	binary.BigEndian.PutUint32(tcp[4:], seq)
	binary.BigEndian.PutUint32(tcp[8:], ack)
	tcp[12] = tcpHeader / 4 << 4
	tcp[13] = flags
	binary.BigEndian.PutUint16(tcp[16:], tcpChecksum(src, dst, tcp))
	return p
}

// ip4 fills in a header, but for identification and checksum, which a raw socket fills in.
func ip4(p, src, dst []byte) {
	p[0] = 4<<4 | ip4Header/4
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	p[6] = 0x40 // do not fragment
	p[8] = 64
	p[9] = unix.IPPROTO_TCP
	copy(p[12:], src)
	copy(p[16:], dst)
}

func ip6(p, src, dst []byte) {
	p[0] = 6 << 4
	binary.BigEndian.PutUint16(p[4:], tcpHeader)
	p[6] = unix.IPPROTO_TCP
	p[7] = 64
	copy(p[8:], src)
	copy(p[24:], dst)
}

// tcpChecksum is that of RFC 9293, section 3.1, over the pseudo header and a header whose own checksum is zero.
func tcpChecksum(src, dst, tcp []byte) uint16 {
	return ^fold(sum(sum(sum(uint32(unix.IPPROTO_TCP)+uint32(len(tcp)), src), dst), tcp))
}

// sum adds the 16-bit words of an even number of bytes, 64 kB at most.
func sum(to uint32, bytes []byte) uint32 {
	for i := 0; i+1 < len(bytes); i += 2 {
		to += uint32(bytes[i])<<8 | uint32(bytes[i+1])
	}
	return to
}

// fold makes 16 bits of a sum by one's complement.
func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}
