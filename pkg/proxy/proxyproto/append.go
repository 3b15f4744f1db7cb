package proxyproto

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// Append appends the header of version 1 or 2 for a TCP connection from src to dst (proxy-protocol.txt, sections
// 2.1 and 2.2).
func Append(b []byte, version int, src, dst netip.AddrPort) []byte {
	from, to := src.Addr().Unmap(), dst.Addr().Unmap()
	if !from.IsValid() || !to.IsValid() {
		return appendUnknown(b, version)
	}
	if from.Is4() != to.Is4() { // as in a connection of two families, which the protocol cannot name otherwise
		from, to = netip.AddrFrom16(from.As16()), netip.AddrFrom16(to.As16())
	}
	if version == 2 {
		return appendV2(b, from, to, src.Port(), dst.Port())
	}
	family := "TCP6 "
	if from.Is4() {
		family = "TCP4 "
	}
	b = append(append(b, v1Signature...), family...)
	b = append(from.WithZone("").AppendTo(b), ' ')
	b = append(to.WithZone("").AppendTo(b), ' ')
	b = append(strconv.AppendUint(b, uint64(src.Port()), 10), ' ')
	return append(strconv.AppendUint(b, uint64(dst.Port()), 10), "\r\n"...)
}

// appendUnknown is for what has no addresses, such as a client that came by a unix socket: the server takes the connection for
// the balancer's own.
func appendUnknown(b []byte, version int) []byte {
	if version == 2 {
		return append(append(b, v2Signature...), v2Local, 0, 0, 0)
	}
	return append(b, v1Signature+"UNKNOWN\r\n"...)
}

const (
	v1Signature = "PROXY "
	v2Signature = "\r\n\r\n\x00\r\nQUIT\n"
	v2Proxy     = 0x21 // version 2, command PROXY
	v2Local     = 0x20 // version 2, command LOCAL
	v2TCP4      = 0x11
	v2TCP6      = 0x21
)

func appendV2(b []byte, from, to netip.Addr, fromPort, toPort uint16) []byte {
	family := byte(v2TCP6)
	if from.Is4() {
		family = v2TCP4
	}
	b = append(append(b, v2Signature...), v2Proxy, family)
	b = binary.BigEndian.AppendUint16(b, uint16(2*from.BitLen()/8+4))
	b = append(append(b, from.AsSlice()...), to.AsSlice()...)
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, fromPort), toPort)
}
