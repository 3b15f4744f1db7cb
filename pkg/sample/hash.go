package sample

import (
	"hash/crc32"
	"math/bits"
	"net/netip"
)

// HashFunctions are the hash functions of `hash-type` by their names; converters have the same (HAProxy configuration
// manual, hash-type). "none" takes the decimal number that a key begins with, so that an expression can do the hashing.
var HashFunctions = map[string]func(key []byte) uint32{
	"sdbm":  hashSDBM,
	"djb2":  hashDJB2,
	"wt6":   hashWT6,
	"crc32": crc32.ChecksumIEEE,
	"none":  func(b []byte) uint32 { return uint32(leadingInt(b)) },
}

// Avalanche spreads a hash over all its bits, so that keys that are alike go different ways.
func Avalanche(h uint32) uint32 { return avalanche(h) }

// AppendKey appends what a hash is made of: a text as it is, an address as its bytes, a number as eight bytes, the
// highest first. ok is false where the expression has no value on s. It does not allocate, apart from what regular
// expressions need.
func (x *Expr) AppendKey(dst []byte, s Subject) (key []byte, ok bool) {
	e := x.evaluator(s, nil)
	if ok = e.found; ok {
		dst = appendRaw(dst, e.value)
	}
	e.release()
	return dst, ok
}

// Addr gives the expression's value on s as an address; ok is false where it has none that is one.
func (x *Expr) Addr(s Subject) (a netip.Addr, ok bool) {
	e := x.evaluator(s, nil)
	if e.found {
		var v Value
		if v, ok = e.cast(e.value, Addr); ok {
			a = v.Addr
		}
	}
	e.release()
	return a, ok
}

// NeedsHTTP says whether the expression looks at a request.
func (x *Expr) NeedsHTTP() bool { return x.fetch.http() }

// hashWT6 is the hash of HAProxy's name wt6: two words that each byte rotates by amounts that depend on all before it.
func hashWT6(b []byte) uint32 {
	left, right := uint32(0xa53c965a), uint32(0x5ca6953a)
	byLeft, byRight := 6, 18
	for _, c := range b {
		left = ^(left ^ uint32(c))
		right = ^(right + uint32(c))
		left, right = bits.RotateLeft32(right, byLeft), bits.RotateLeft32(left, byRight)
		mixed := (left>>16 ^ right) & 0xffff
		byLeft, byRight = int(mixed&31), int(mixed>>11)
	}
	return left ^ right
}
