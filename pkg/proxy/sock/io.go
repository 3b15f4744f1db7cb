package sock

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Read reads from a non-blocking socket into b, which must not be empty. It retries EINTR. n is 0 with errno 0 at the
// end of the stream. recv(2) is a little cheaper than read(2), which passes through the file system's layer.
func Read(fd int, b []byte) (n int, errno unix.Errno) {
	for {
		r, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, 0, 0)
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return 0, e
		}
		return int(r), 0
	}
}

// Write sends b, which must not be empty, without blocking and without SIGPIPE. It retries EINTR.
func Write(fd int, b []byte) (n int, errno unix.Errno) {
	for {
		r, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return 0, e
		}
		return int(r), 0
	}
}

// ShutdownWrite sends FIN. Errors mean that the connection is gone anyway and are dropped.
func ShutdownWrite(fd int) { unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0) }

// Close closes a descriptor. Linux closes it whatever it answers.
func Close(fd int) { _ = unix.Close(fd) }

// Reset closes a TCP socket with RST in place of FIN, so that the peer cannot take what it has got for
// the whole.
func Reset(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	_ = unix.Close(fd)
}
