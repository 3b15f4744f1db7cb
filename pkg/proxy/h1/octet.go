package h1

import "encoding/binary"

// Classes of bytes (RFC 9110 section 5.6.2, RFC 3986).
const (
	isToken  = 1 << iota // tchar
	isTarget             // may stand in a request target
	isHost               // may stand in a registered name, '%' apart
	isDigit
	isHex
)

const (
	letters    = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits     = "0123456789"
	tokenMarks = "!#$%&'*+-.^_`|~"
	hostMarks  = "-._~!$&'()*+,;="
)

// octets is a table that no one writes after it is made.
var octets = classify()

func classify() (t [256]uint8) {
	mark := func(set string, class uint8) {
		for i := range len(set) {
			t[set[i]] |= class
		}
	}
	mark(letters+digits+tokenMarks, isToken)
	mark(letters+digits+hostMarks, isHost)
	mark(digits, isDigit|isHex)
	mark("abcdefABCDEF", isHex)
	// A target is read leniently within visible ASCII, as HAProxy does: browsers send `|` and `"` bare. A
	// fragment is never sent, and servers disagree about what to do with one.
	for c := '!'; c <= '~'; c++ {
		if c != '#' {
			t[c] |= isTarget
		}
	}
	return t
}

func is(c byte, class uint8) bool { return octets[c]&class != 0 }

// all says whether each byte of b is of the class.
func all(b []byte, class uint8) bool {
	for _, c := range b {
		if octets[c]&class == 0 {
			return false
		}
	}
	return true
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// isControl says whether c may not stand in a field value or reason phrase.
func isControl(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }

// indexControl is the index of the first control byte of b, or -1. It looks at eight bytes at a time.
func indexControl(b []byte) int {
	const (
		ones = 0x0101010101010101
		high = 0x8080808080808080
	)
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		del := x ^ ones*0x7f
		// A byte below 0x20, or one that becomes 0 against DEL: both by the borrow of a subtraction. A borrow
		// may mark a harmless byte too (and a tab does), so a hit is looked at byte by byte.
		if ((x-ones*0x20)&^x|(del-ones)&^del)&high == 0 {
			continue
		}
		for j := i; j < i+8; j++ {
			if isControl(b[j]) {
				return j
			}
		}
	}
	for ; i < len(b); i++ {
		if isControl(b[i]) {
			return i
		}
	}
	return -1
}

// controlReason is what a control byte within a line is refused for.
func controlReason(c byte) Reason {
	if c == '\r' {
		return BareCR
	}
	return ControlByte
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// equalFold compares without ASCII case.
func equalFold[T []byte | string](b []byte, s T) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range len(b) {
		if b[i] != s[i] && lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

// trim cuts blanks from both ends of b.
func trim(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}
