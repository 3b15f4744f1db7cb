package accesslog

import (
	"net/netip"
	"strconv"
)

// What is escaped besides control bytes and bytes beyond ASCII, as in HAProxy's manual, chapter 8.6: the
// escape itself, and what ends the place that the text stands in.
const (
	inQuotes = `"#`
	inBraces = `"#{|}`
	inText   = "" // our own words: only what would break the line
)

// appendEscaped appends text with #XX in place of each byte that is not printable ASCII or is in special.
func appendEscaped[T []byte | string](dst []byte, text T, special string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(text) {
		c := text[i]
		if c < ' ' || c >= 0x7f || contains(special, c) {
			dst = append(dst, '#', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

func contains(set string, c byte) bool {
	for i := range len(set) {
		if set[i] == c {
			return true
		}
	}
	return false
}

// appendCaptures appends " {a|b}", or nothing when no header is declared.
func appendCaptures(dst []byte, values [][]byte) []byte {
	if values == nil {
		return dst
	}
	dst = append(dst, " {"...)
	for i, v := range values {
		if i > 0 {
			dst = append(dst, '|')
		}
		dst = appendEscaped(dst, v, inBraces)
	}
	return append(dst, '}')
}

// appendCookie appends a captured cookie. It stands bare between spaces, so spaces are escaped too.
func appendCookie(dst, c []byte) []byte {
	if c == nil {
		return append(dst, '-')
	}
	return appendEscaped(dst, c, " "+inQuotes)
}

// appendInts joins numbers by slashes.
func appendInts(dst []byte, ns ...int) []byte {
	for i, n := range ns {
		if i > 0 {
			dst = append(dst, '/')
		}
		dst = strconv.AppendInt(dst, int64(n), 10)
	}
	return dst
}

// appendAddr writes address:port. IPv6 addresses have no brackets, as in HAProxy's lines.
func appendAddr(dst []byte, a netip.AddrPort) []byte {
	if name, port, ok := localSocket(a); ok {
		return strconv.AppendUint(append(append(dst, name...), ':'), uint64(port), 10)
	}
	if a.IsValid() {
		dst = a.Addr().Unmap().WithZone("").AppendTo(dst)
	} else {
		dst = append(dst, '-')
	}
	dst = append(dst, ':')
	return strconv.AppendUint(dst, uint64(a.Port()), 10)
}
