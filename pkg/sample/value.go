package sample

import (
	"math"
	"net/netip"
	"strconv"
)

// Type is what kind of value an expression yields.
type Type uint8

// The types of values. Any stands for a type that is known only at evaluation, such as a variable's;
// no value has it.
const (
	Bool Type = iota
	Int
	Addr
	String
	// Binary is bytes that are no text: patterns for it need a match method. The values themselves are of type String; what makes
	// bytes of a value of another type casts to Binary, which gives those that HAProxy has in memory.
	Binary
	Any
)

// Value is what a fetch or a converter yields. Text is valid only during the evaluation.
type Value struct {
	Type Type
	Int  int64 // of Int, and 0 or 1 of Bool
	Addr netip.Addr
	Text []byte
}

func boolean(b bool) Value {
	if b {
		return Value{Type: Bool, Int: 1}
	}
	return Value{Type: Bool}
}

func integer(n int64) Value      { return Value{Type: Int, Int: n} }
func text(b []byte) Value        { return Value{Type: String, Text: b} }
func address(a netip.Addr) Value { return Value{Type: Addr, Addr: a.Unmap()} }

// castsTo says whether some values of type t have a form of type o.
func (t Type) castsTo(o Type) bool {
	switch {
	case t == o || t == Any || o == Any || o == String || o == Binary:
		return true
	case t == Binary:
		return false
	}
	return (t != Bool || o != Addr) && (t != Addr || o != Bool)
}

// cast gives v as type t; false means that the value does not have that form (a name that is no
// address). The evaluator lends the memory of a text made on the way. A text that is asked for its number
// gives the digits it begins with, 0 if there are none, as in HAProxy.
func (e *evaluator) cast(v Value, t Type) (Value, bool) {
	if v.Type == t || t == Any {
		return v, true
	}
	switch t {
	case String:
		return e.print(v)
	case Binary:
		if v.Type == String {
			return v, true
		}
		start := len(e.scratch)
		e.scratch = appendRaw(e.scratch, v)
		return text(e.scratch[start:]), true
	case Addr:
		return castToAddr(v)
	case Int:
		switch v.Type {
		case String:
			return integer(leadingInt(v.Text)), len(v.Text) > 0
		case Addr:
			n, ok := addrInt(v.Addr)
			return integer(n), ok
		}
		return integer(v.Int), true
	default:
		if v.Type == String {
			return boolean(leadingInt(v.Text) != 0), len(v.Text) > 0
		}
		return boolean(v.Int != 0), v.Type == Int
	}
}

func castToAddr(v Value) (Value, bool) {
	switch v.Type {
	case String:
		a, ok := parseAddr(v.Text)
		return address(a), ok
	case Int:
		n := uint32(v.Int)
		return address(netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})), true
	}
	return Value{}, false
}

// addrInt is the number of an IPv4 address.
func addrInt(a netip.Addr) (int64, bool) {
	if !a.Is4() {
		return 0, false
	}
	q := a.As4()
	return int64(q[0])<<24 | int64(q[1])<<16 | int64(q[2])<<8 | int64(q[3]), true
}

func (e *evaluator) print(v Value) (Value, bool) {
	start := len(e.scratch)
	if v.Type == Addr {
		e.scratch = v.Addr.AppendTo(e.scratch)
	} else {
		e.scratch = strconv.AppendInt(e.scratch, v.Int, 10)
	}
	return text(e.scratch[start:]), true
}

// leadingInt reads the decimal number that b begins with, without allocating; a number beyond 64 bits
// becomes the nearest that fits.
func leadingInt(b []byte) int64 {
	negative := len(b) > 0 && b[0] == '-'
	if negative || len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			break
		}
		d := int64(c - '0')
		if n > (math.MaxInt64-d)/10 {
			if negative {
				return math.MinInt64
			}
			return math.MaxInt64
		}
		n = n*10 + d
	}
	if negative {
		return -n
	}
	return n
}
