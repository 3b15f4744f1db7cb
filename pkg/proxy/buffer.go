package proxy

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

// buffers is a loop's store of storage, last in first out so that it stays in the processor's caches.
type buffers struct {
	size int
	free [][]byte
}

// keepBuffers is how much unused storage a loop holds on to; the rest goes to the collector.
const keepBuffers = 256

// borrow gives b storage if it has none.
func (s *buffers) borrow(b *buffer) {
	if b.data != nil {
		return
	}
	if n := len(s.free); n > 0 {
		b.data = s.free[n-1]
		s.free[n-1] = nil
		s.free = s.free[:n-1]
		return
	}
	b.data = make([]byte, s.size)
}

// giveBack takes the storage of b, and what it holds, away.
func (s *buffers) giveBack(b *buffer) {
	if b.data != nil && len(s.free) < keepBuffers {
		s.free = append(s.free, b.data)
	}
	*b = buffer{}
}
