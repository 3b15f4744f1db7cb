package sample

import (
	"bytes"
	"net/netip"
)

// parseAddr reads an IPv4 or IPv6 address without allocating, which netip.ParseAddr does for the
// error of each text that is none: here the text comes from a peer.
//
// An IPv4 address may have a port behind it, which is not looked at: some proxies write it into X-Forwarded-For, and
// HAProxy 2.6 was seen to take it.
func parseAddr(b []byte) (netip.Addr, bool) {
	if i := bytes.IndexByte(b, ':'); i > 0 && bytes.IndexByte(b[:i], '.') > 0 && isPort(b[i+1:]) {
		b = b[:i]
	}
	if a, ok := parseIPv4(b); ok {
		return netip.AddrFrom4(a), true
	}
	return parseIPv6(b)
}

func isPort(b []byte) bool {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' || n > 65535 {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return len(b) > 0 && n <= 65535
}

func parseIPv4(b []byte) (quad [4]byte, ok bool) {
	part, digits, n := 0, 0, 0
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			n = n*10 + int(c-'0')
			if digits++; digits > 3 || n > 255 {
				return quad, false
			}
		case c == '.' && digits > 0 && part < 3:
			quad[part] = byte(n)
			part, digits, n = part+1, 0, 0
		default:
			return quad, false
		}
	}
	quad[part] = byte(n)
	return quad, part == 3 && digits > 0
}

// parseIPv6 reads the forms of RFC 4291 section 2.2; a zone is refused.
func parseIPv6(b []byte) (netip.Addr, bool) {
	var a [16]byte
	at, gap := 0, -1 // bytes filled; where the `::` was
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		gap = 0
		b = b[2:]
	}
	for len(b) > 0 {
		if at == len(a) {
			return netip.Addr{}, false
		}
		if quad, ok := parseIPv4(b); ok && at <= len(a)-len(quad) {
			at += copy(a[at:], quad[:])
			break
		}
		n, digits := hexGroup(b)
		if digits == 0 {
			return netip.Addr{}, false
		}
		a[at], a[at+1] = byte(n>>8), byte(n)
		at += 2
		if b = b[digits:]; len(b) == 0 {
			break
		}
		if b[0] != ':' || len(b) == 1 {
			return netip.Addr{}, false
		}
		if b = b[1:]; b[0] == ':' {
			if gap >= 0 {
				return netip.Addr{}, false
			}
			gap = at
			b = b[1:]
		}
	}
	if gap < 0 || at == len(a) {
		return netip.AddrFrom16(a), gap < 0 && at == len(a)
	}
	tail := copy(a[len(a)-(at-gap):], a[gap:at])
	clear(a[gap : len(a)-tail])
	return netip.AddrFrom16(a), true
}

// hexGroup reads up to four hexadecimal digits.
func hexGroup(b []byte) (n uint16, digits int) {
	for digits < len(b) && digits < 4 {
		c := lowerByte(b[digits])
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | uint16(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | uint16(c-'a'+10)
		default:
			return n, digits
		}
		digits++
	}
	return n, digits
}
