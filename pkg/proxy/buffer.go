package proxy

import (
	"os"

	"waggle/pkg/proxy/sock"
)

// buffer is a window [r,w) of bytes in fixed storage, which it borrows from its loop while there is
// something to hold. The zero value is empty and holds no storage.
type buffer struct {
	data []byte
	r, w int
}

func (b *buffer) len() int      { return b.w - b.r }
func (b *buffer) bytes() []byte { return b.data[b.r:b.w] }
func (b *buffer) room() int     { return len(b.data) - b.w }

// free is the storage behind what is held.
func (b *buffer) free() []byte { return b.data[b.w:] }

// consume drops the first n bytes.
func (b *buffer) consume(n int) {
	b.r += n
	if b.r == b.w {
		b.r, b.w = 0, 0
	}
}

// compact moves what is held to the start of the storage.
func (b *buffer) compact() {
	if b.r > 0 {
		b.w = copy(b.data, b.data[b.r:b.w])
		b.r = 0
	}
}

// buffers is a loop's store of storage, last in first out so that it stays in the processor's caches. The storage is
// the kernel's, not of Go's heap: memory that a crowd has needed goes back within seconds, and the collector need not
// reckon with twice of it. It is unmapped when the loop has ended.
type buffers struct {
	size  int
	free  spare[[]byte]
	cold  [][]byte // the kernel has their memory
	slabs [][]byte
}

// slabSize is how much is asked for at once.
const slabSize = 1 << 20

// borrow gives b storage if it has none.
func (s *buffers) borrow(b *buffer) {
	if b.data != nil {
		return
	}
	var ok bool
	if b.data, ok = s.free.take(); !ok {
		b.data = s.warm()
	}
}

// warm gives storage that has no memory yet.
func (s *buffers) warm() []byte {
	if len(s.cold) == 0 {
		stride := s.stride()
		slab := sock.Map(max(slabSize, stride))
		s.slabs = append(s.slabs, slab)
		for ; len(slab) >= stride; slab = slab[stride:] {
			s.cold = append(s.cold, slab[:s.size:stride])
		}
	}
	n := len(s.cold) - 1
	b := s.cold[n]
	s.cold = s.cold[:n]
	return b
}

// stride is the distance of two buffers: no page is of two, since sweeps forget whole ones.
func (s *buffers) stride() int {
	page := os.Getpagesize()
	return (s.size + page - 1) / page * page
}

// giveBack takes the storage of b, and what it holds, away.
func (s *buffers) giveBack(b *buffer) {
	if b.data != nil {
		s.free.put(b.data)
	}
	*b = buffer{}
}

// sweep gives storage that nobody has missed since the last time back to the kernel.
func (s *buffers) sweep() {
	s.free.sweep(func(b []byte) {
		sock.Forget(b[:cap(b)])
		s.cold = append(s.cold, b)
	})
}

// close frees all storage. Nobody may have any.
func (s *buffers) close() {
	for _, slab := range s.slabs {
		sock.Unmap(slab)
	}
	*s = buffers{size: s.size}
}
