package sock

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Map returns n bytes of memory, all zero, outside of Go's heap. The caller unmaps them. Where the kernel has none the
// process cannot go on, as with memory of Go.
func Map(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		panic(fmt.Sprintf("out of memory: map %d bytes: %v", n, err))
	}
	// A buffer of which a page is used must not take two megabytes.
	_ = unix.Madvise(b, unix.MADV_NOHUGEPAGE)
	return b
}

// Forget gives the memory behind the pages of b back to the kernel. It stays mapped, and reads as zero.
func Forget(b []byte) { _ = unix.Madvise(b, unix.MADV_DONTNEED) }

// Unmap frees what Map returned.
func Unmap(b []byte) { _ = unix.Munmap(b) }
