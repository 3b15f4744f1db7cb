package crypt3

import (
	"hash"
	"runtime"
)

// yieldEvery is after how many rounds others are let in, which is some 50 us: a loop that comes back from the kernel would else
// wait up to 10 ms for this goroutine to be preempted.
const yieldEvery = 64

// repeat is what makes guessing slow, the same for all schemes: round for round it hashes the sum so far among password and salt.
func repeat(h hash.Hash, sum, password, salt []byte, rounds int) []byte {
	for i := range rounds {
		if i%yieldEvery == 0 {
			runtime.Gosched()
		}
		first, last := sum, password
		if i&1 == 1 {
			first, last = password, sum
		}
		h.Reset()
		h.Write(first)
		if i%3 != 0 {
			h.Write(salt)
		}
		if i%7 != 0 {
			h.Write(password)
		}
		h.Write(last)
		sum = h.Sum(sum[:0])
	}
	return sum
}

// sum hashes the parts behind each other.
func sum(h hash.Hash, parts ...[]byte) []byte {
	h.Reset()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}
