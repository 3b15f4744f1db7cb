package h2

import (
	"math"
	"strconv"
	"strings"
)

// Classes of bytes.
const (
	isToken = 1 << iota // tchar (RFC 9110, section 5.6.2)
	isName              // tchar but for capitals
	isValue             // may stand in a field's value
	isHost              // may stand in an authority without user and password (RFC 3986, section 3.2)
)

// octets is a table that no one writes after it is made.
var octets = classify()

func classify() (t [256]uint8) {
	for c := range t {
		letter := 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c < 0x80 && strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c))
		if letter {
			t[c] |= isName | isToken
		}
		if 'A' <= c && c <= 'Z' {
			t[c] |= isToken
		}
		if c >= ' ' && c != 0x7f || c == '\t' {
			t[c] |= isValue
		}
		if c > ' ' && c != 0x7f && (c >= 0x80 || !strings.ContainsRune("/?#@,\\", rune(c))) {
			t[c] |= isHost
		}
	}
	return t
}

func all(b []byte, class uint8) bool {
	for _, c := range b {
		if octets[c]&class == 0 {
			return false
		}
	}
	return true
}

// validName: a token in lower case (RFC 9113, section 8.2.1).
func validName(b []byte) bool { return len(b) > 0 && all(b, isName) }

// validValue: no control byte, and no blank at either end.
func validValue(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	return !isBlank(b[0]) && !isBlank(b[len(b)-1]) && all(b, isValue)
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func validHost(b []byte) bool { return len(b) > 0 && all(b, isHost) }

// visible: nothing that ends a request line.
func visible(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return len(b) > 0
}

func parseLength(b []byte) (n int64, ok bool) {
	if len(b) == 0 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' || n > (math.MaxInt64-int64(c-'0'))/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func appendDigits(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }
