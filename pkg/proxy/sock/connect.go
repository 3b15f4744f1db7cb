package sock

import (
	"net/netip"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Unpaced returns the congestion control for connections to servers: "" for the machine's default, unless that is
// bbr, which paces what it sends by timers. It is made for long paths, towards clients; on the short one to a server
// it costs processor time for nothing.
func Unpaced() string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer Close(fd)
	name, err := unix.GetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	if err != nil || !strings.HasPrefix(name, "bbr") {
		return ""
	}
	if unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic") != nil { // not there, or not allowed
		return ""
	}
	return "cubic"
}

// Connect starts a connection from a source to addr, TCP or to a unix socket, the latter from nowhere; TCP with TCP_NODELAY and the given congestion control, "" for the
// default. The connection is being set up when it returns; the descriptor becomes writable when that has ended, and
// ConnectError says how. The caller closes it. Where none of the source's ports, or of [SourceTries] of them, is free
// towards addr the error is EADDRNOTAVAIL.
func Connect(addr netip.AddrPort, congestion string, from Source) (fd int, errno unix.Errno) {
	for port := range from.Ports() {
		if fd, errno = connect(addr, congestion, from, port); !Taken(errno) {
			break
		}
	}
	return fd, errno
}

func connect(addr netip.AddrPort, congestion string, from Source, port uint16) (fd int, errno unix.Errno) {
	var r rawAddr
	r.set(addr)
	n, _, e := unix.RawSyscall(unix.SYS_SOCKET, uintptr(r.any.Addr.Family), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if e != 0 {
		return -1, e
	}
	fd = int(n)
	if r.any.Addr.Family != unix.AF_UNIX {
		if e = prepareTCP(fd, addr.Addr(), congestion, from, port); e != 0 {
			Close(fd)
			return -1, e
		}
	}
	_, _, e = unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&r.any)), uintptr(r.len))
	if e != 0 && e != unix.EINPROGRESS && e != unix.EINTR {
		Close(fd)
		return -1, e
	}
	return fd, 0
}

// prepareTCP sets a TCP socket up before it connects.
func prepareTCP(fd int, to netip.Addr, congestion string, from Source, port uint16) unix.Errno {
	enable(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY)
	if congestion != "" {
		_ = unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, congestion)
	}
	return from.Bind(fd, to, port)
}

// ConnectError returns how a connection that was being set up ended: 0 for well.
func ConnectError(fd int) unix.Errno {
	var v, size int32 = 0, 4
	_, _, e := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_ERROR,
		uintptr(unsafe.Pointer(&v)), uintptr(unsafe.Pointer(&size)), 0)
	if e != 0 {
		return e
	}
	return unix.Errno(v)
}

// KeepAlive turns TCP keep-alive on.
func KeepAlive(fd int) { enable(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE) }

// Tune sets up a connection to a server: noLinger has it end with a reset; userTimeout is that of TCP, 0 = the system's.
func Tune(fd int, noLinger bool, userTimeout time.Duration) {
	if noLinger {
		NoLinger(fd)
	}
	if userTimeout > 0 {
		UserTimeout(fd, userTimeout)
	}
}

// NoLinger has a socket end with a reset when it is closed.
func NoLinger(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) // of a socket: never fails
}

// UserTimeout bounds how long data may stay without an acknowledgement (tcp(7), TCP_USER_TIMEOUT). On other sockets than TCP's it
// does nothing.
func UserTimeout(fd int, d time.Duration) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d/time.Millisecond))
}

// enable turns a socket option on.
func enable(fd, level, name int) {
	on := int32(1)
	unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(unsafe.Pointer(&on)), 4, 0)
}
