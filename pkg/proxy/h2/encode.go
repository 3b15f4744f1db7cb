package h2

import (
	"slices"
	"strconv"

	"waggle/pkg/proxy/h1"
)

// AppendTableSize says that the peer need keep no dynamic table for us (RFC 7541, section 4.2). It comes first in the first
// block of a connection.
func AppendTableSize(dst []byte) []byte { return append(dst, 0x20) }

// AppendResponse appends a response's head as a block of fields: all but those that belong to a connection of HTTP/1, which
// must not appear (RFC 9113, section 8.2.2).
func AppendResponse(dst []byte, r *h1.Response) []byte {
	dst = AppendStatus(dst, r.Status)
	for i := range r.NumFields() {
		if name, value := r.Field(i); !ofConnection(name) {
			dst = AppendField(dst, name, value)
		}
	}
	return dst
}

// AppendStatus appends the field of a response's status, of three digits.
func AppendStatus(dst []byte, status int) []byte {
	const first = 8 // in the static table
	for i, s := range [...]int{200, 204, 206, 304, 400, 404, 500} {
		if s == status {
			return append(dst, 0x80|byte(first+i))
		}
	}
	return strconv.AppendInt(append(dst, first, 3), int64(status), 10)
}

// AppendField appends a field that is not to be remembered (RFC 7541, section 6.2.2).
func AppendField(dst, name, value []byte) []byte {
	const prefix = 15 // of an index of 4 bits: what is more takes a further byte
	from := len(dst)
	dst = appendInt(append(dst, 0), 7, len(name))
	at := len(dst)
	dst = append(dst, name...)
	for i, c := range dst[at:] {
		if 'A' <= c && c <= 'Z' {
			dst[at+i] = c | 0x20
		}
	}
	switch index := staticName(dst[at:]); {
	case index >= prefix:
		dst = append(dst[:from], prefix, index-prefix)
	case index > 0:
		dst = append(dst[:from], index)
	}
	dst = appendInt(dst, 7, len(value))
	return append(dst, value...)
}

// appendInt appends a number with a prefix of so many bits, of which the rest is 0 (RFC 7541, section 5.1).
func appendInt(dst []byte, bits uint, n int) []byte {
	most := 1<<bits - 1
	if n < most {
		return append(dst, byte(n))
	}
	dst = append(dst, byte(most))
	for n -= most; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}

// connectionFields are those that HTTP/2 has no use for (RFC 9113, section 8.2.2).
var connectionFields = []string{"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "http2-settings", "te"}

// ofConnection says whether a field belongs to a connection of HTTP/1, whatever the case of its name.
func ofConnection(name []byte) bool {
	return slices.ContainsFunc(connectionFields, func(f string) bool { return equalFold(name, f) })
}

// equalFold compares without ASCII case; f is in lower case.
func equalFold(name []byte, f string) bool {
	if len(name) != len(f) {
		return false
	}
	for i, c := range name {
		if c != f[i] && ('A' > c || c > 'Z' || c|0x20 != f[i]) {
			return false
		}
	}
	return true
}
