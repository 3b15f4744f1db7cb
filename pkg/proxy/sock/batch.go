package sock

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BatchSize is how many writes a Batch takes.
const BatchSize = 128

// Batch writes to many sockets by one system call, io_submit(2), in the order in which the writes were added. On
// non-blocking sockets that call does all the work before it returns. What matters is not the calls that are saved:
// after each system call the kernel may let those run who were just woken, who find one message, and are woken again for
// the next. It is not safe for concurrent use.
type Batch struct {
	context uintptr // aio_context_t
	n       int
	list    [BatchSize]*iocb
	iocbs   [BatchSize]iocb
	events  [BatchSize]ioEvent
	data    [BatchSize][]byte // keeps the bytes alive
	results [BatchSize]Result
}

// Result is the outcome of a write: n bytes, or an error.
type Result struct {
	N     int
	Errno unix.Errno
}

// iocb is struct iocb of the kernel (linux/aio_abi.h). What has no name is 0 for a write to a socket.
type iocb struct {
	data   uint64
	_      [2]uint32 // aio_key and aio_rw_flags
	opcode uint16
	_      int16 // aio_reqprio
	fd     uint32
	buf    uint64
	size   uint64
	_      int64  // aio_offset
	_      uint64 // aio_reserved2
	_      uint32 // aio_flags
	_      uint32 // aio_resfd
}

// ioEvent is struct io_event of the kernel.
type ioEvent struct {
	data   uint64
	_      uint64 // obj
	result int64
	_      int64 // res2
}

// The kernel's sizes of both: what differs does not compile.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(iocb{})-64]
	_ = [1]struct{}{}[unsafe.Sizeof(ioEvent{})-32]
)

const iocbWrite = 1 // IOCB_CMD_PWRITE

// NewBatch returns a Batch, which the caller closes. It is an error where the kernel has no io_submit, or the machine
// no more room for it (fs.aio-max-nr).
func NewBatch() (*Batch, error) {
	b := &Batch{}
	if _, _, e := unix.RawSyscall(unix.SYS_IO_SETUP, BatchSize, uintptr(unsafe.Pointer(&b.context)), 0); e != 0 {
		return nil, fmt.Errorf("set up writes to many sockets at once: %w", os.NewSyscallError("io_setup", e))
	}
	for i := range b.list {
		b.list[i] = &b.iocbs[i]
	}
	return b, nil
}

// Close frees what the kernel has of the batch.
func (b *Batch) Close() { unix.RawSyscall(unix.SYS_IO_DESTROY, b.context, 0, 0) }

// Add adds a write of data, which must not be empty, to a non-blocking socket. There must be room for it.
func (b *Batch) Add(fd int, data []byte) {
	b.data[b.n] = data
	b.iocbs[b.n] = iocb{
		data: uint64(b.n), opcode: iocbWrite, fd: uint32(fd),
		buf: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(data)))), size: uint64(len(data)),
	}
	b.n++
}

// Submit does all writes, and empties the batch. The results, one for each in their order, are valid until the next call.
// A socket that the peer has closed answers EPIPE, and SIGPIPE, which Go programs ignore.
func (b *Batch) Submit() []Result {
	n := b.n
	b.n = 0
	for done := 0; done < n; {
		if n-done == 1 { // not worth it
			b.plain(done)
			break
		}
		r, _, e := unix.RawSyscall(unix.SYS_IO_SUBMIT, b.context, uintptr(n-done), uintptr(unsafe.Pointer(&b.list[done])))
		switch {
		case e == unix.EINTR:
			continue
		case e != 0: // the first was not taken: out of memory, or no socket
			b.plain(done)
			done++
			continue
		}
		b.collect(int(r))
		done += int(r)
	}
	clear(b.data[:n])
	return b.results[:n]
}

// plain does a write by itself.
func (b *Batch) plain(i int) {
	b.results[i].N, b.results[i].Errno = Write(int(b.iocbs[i].fd), b.data[i])
}

// collect takes the results of n writes.
func (b *Batch) collect(n int) {
	for n > 0 {
		r, _, e := unix.RawSyscall6(unix.SYS_IO_GETEVENTS, b.context, uintptr(n), uintptr(n), uintptr(unsafe.Pointer(&b.events)), 0, 0)
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			panic(fmt.Sprintf("collect the results of writes: %v", e)) // the arguments are ours: it cannot be
		}
		for _, ev := range b.events[:r] {
			result := Result{N: int(ev.result)}
			if ev.result < 0 {
				result = Result{Errno: unix.Errno(-ev.result)}
			}
			b.results[ev.data] = result
		}
		n -= int(r)
	}
}
