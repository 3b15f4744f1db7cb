package sample

import (
	"net/netip"
	"strconv"
)

// Type is what kind of value an expression yields.
type Type uint8

// The types of values.
const (
	Bool Type = iota
	Int
	Addr
	String
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
	return t == o || t != Addr && o != Addr || o == String || t == String && o == Addr
}

// cast gives v as type t; false means that the value does not have that form (a header that is no
// number). The evaluator lends the memory of a text made on the way.
func (e *evaluator) cast(v Value, t Type) (Value, bool) {
	if v.Type == t {
		return v, true
	}
	switch t {
	case String:
		return e.print(v)
	case Addr:
		if v.Type != String {
			return Value{}, false
		}
		a, ok := parseAddr(v.Text)
		return address(a), ok
	case Int:
		if v.Type == String {
			n, ok := parseInt(v.Text)
			return integer(n), ok
		}
		return integer(v.Int), v.Type == Bool
	default:
		if v.Type == String {
			n, ok := parseInt(v.Text)
			return boolean(n != 0), ok
		}
		return boolean(v.Int != 0), v.Type == Int
	}
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

// parseInt reads a decimal number without allocating. Numbers beyond 18 digits are refused.
func parseInt(b []byte) (int64, bool) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}
