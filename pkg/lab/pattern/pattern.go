// Package pattern makes the bytes that transfer tests send: any length, the same every time, and different at
// every position, so that lost, doubled or reordered parts show.
package pattern

import (
	"encoding/binary"
	"io"
)

// Reader returns the first n bytes of the pattern.
func Reader(n int64) io.Reader { return &reader{left: n} }

// reader produces 8-byte words, each a hash of its index.
type reader struct {
	index uint64
	left  int64
	rest  []byte // of the last word
	word  [8]byte
}

func (r *reader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	for len(p)-n >= 8 {
		binary.LittleEndian.PutUint64(p[n:], r.next())
		n += 8
	}
	if n < len(p) {
		binary.LittleEndian.PutUint64(r.word[:], r.next())
		c := copy(p[n:], r.word[:])
		r.rest = r.word[c:]
		n += c
	}
	r.left -= int64(n)
	return n, nil
}

// next is the finaliser of splitmix64 over a Weyl sequence.
func (r *reader) next() uint64 {
	r.index++
	z := r.index * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
