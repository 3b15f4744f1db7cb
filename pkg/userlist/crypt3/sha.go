package crypt3

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
)

func sha256crypt(password, salt []byte, rounds int) string {
	return encode(stretch(sha256.New(), password, salt, rounds), order256, 43)
}

func sha512crypt(password, salt []byte, rounds int) string {
	return encode(stretch(sha512.New(), password, salt, rounds), order512, 86)
}

// stretch is what both have in common (Drepper, "Unix crypt using SHA-256 and SHA-512", section 5; the letters are his).
func stretch(h hash.Hash, password, salt []byte, rounds int) []byte {
	b := sum(h, password, salt, password)
	first := [][]byte{password, salt, fill(b, len(password))}
	for n := len(password); n > 0; n >>= 1 {
		if n&1 == 1 {
			first = append(first, b)
		} else {
			first = append(first, password)
		}
	}
	a := sum(h, first...)
	p := fill(sum(h, bytes.Repeat(password, len(password))), len(password)) // DP
	s := fill(sum(h, bytes.Repeat(salt, 16+int(a[0]))), len(salt))          // DS
	return repeat(h, a, p, s, rounds)
}

// order256 and order512 are the orders in which the bytes of a sum are written.
var (
	order256 = append(thirds(10, 2), -1, 31, 30)
	order512 = append(thirds(21, 1), -1, -1, 63)
)

// thirds takes a byte of each third of a sum, n bytes long, at a time; from one group to the next the three turn by so many places.
func thirds(n, turn int) []int8 {
	var order []int8
	for k := range n {
		group := [3]int8{int8(k), int8(k + n), int8(k + 2*n)}
		for j := range 3 {
			order = append(order, group[(j+turn*k)%3])
		}
	}
	return order
}
