package proxy

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// announce puts a PROXY protocol header in front of all that is sent over a new connection to a server
// with send-proxy or send-proxy-v2. The header speaks for one client, so such a connection is never used
// for another one.
func (s *session) announce() {
	version := s.target.Server.SendProxy
	if version == 0 {
		return
	}
	l := s.link
	s.w.buffers.borrow(&l.out)
	out := appendProxyHeader(l.out.data[:l.out.w], version, s.src, s.Dst())
	l.out.w = len(out)
	l.send()
}

// appendProxyHeader appends the header of the PROXY protocol's version 1 or 2 for a TCP connection from
// src to dst (proxy-protocol.txt, sections 2.1 and 2.2). It takes at most 107 bytes.
func appendProxyHeader(b []byte, version int, src, dst netip.AddrPort) []byte {
	from, to := src.Addr().Unmap(), dst.Addr().Unmap()
	if from.Is4() != to.Is4() { // as in a connection of two families, which the protocol cannot name otherwise
		from, to = netip.AddrFrom16(from.As16()), netip.AddrFrom16(to.As16())
	}
	if version == 2 {
		return appendProxyV2(b, from, to, src.Port(), dst.Port())
	}
	family := "TCP6 "
	if from.Is4() {
		family = "TCP4 "
	}
	b = append(append(b, "PROXY "...), family...)
	b = append(from.AppendTo(b), ' ')
	b = append(to.AppendTo(b), ' ')
	b = append(strconv.AppendUint(b, uint64(src.Port()), 10), ' ')
	return append(strconv.AppendUint(b, uint64(dst.Port()), 10), "\r\n"...)
}

const (
	proxyV2Signature = "\r\n\r\n\x00\r\nQUIT\n"
	proxyV2Proxy     = 0x21 // version 2, command PROXY
	proxyV2TCP4      = 0x11
	proxyV2TCP6      = 0x21
)

func appendProxyV2(b []byte, from, to netip.Addr, fromPort, toPort uint16) []byte {
	family := byte(proxyV2TCP6)
	if from.Is4() {
		family = proxyV2TCP4
	}
	b = append(append(b, proxyV2Signature...), proxyV2Proxy, family)
	b = binary.BigEndian.AppendUint16(b, uint16(2*from.BitLen()/8+4))
	b = append(append(b, from.AsSlice()...), to.AsSlice()...)
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, fromPort), toPort)
}
