package sock

import (
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"waggle/pkg/unixaddr"
)

// ListenOptions are what a bind line may ask of a listening socket.
type ListenOptions struct {
	Backlog   int    // 0 = the kernel's limit (net.core.somaxconn)
	V6Only    bool   // an IPv6 wildcard takes no IPv4 connections
	Interface string // SO_BINDTODEVICE, "" = any
	// UserTimeout is that of the connections, 0 = the system's.
	UserTimeout time.Duration
	Mode        uint32 // permission bits of a unix socket's file; 0 = the umask decides
	Owner       Owner  // of a unix socket's file
}

// Listen returns a listening TCP socket, or a unix socket, and the address it got. It sets SO_REUSEPORT, so that the process that
// takes this one's place can listen before this one has ended, and TCP_NODELAY, which accepted sockets inherit on Linux. The
// caller closes it. Errors are *os.SyscallError.
func Listen(addr netip.AddrPort, o ListenOptions) (fd int, bound netip.AddrPort, err error) {
	if name, ok := unixaddr.Name(addr.Addr()); ok {
		return listenUnix(addr, name, o)
	}
	family := unix.AF_INET6
	if addr.Addr().Unmap().Is4() {
		family = unix.AF_INET
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, bound, os.NewSyscallError("socket", err)
	}
	if err := prepare(fd, family, addr, o); err != nil {
		Close(fd)
		return -1, bound, err
	}
	return fd, LocalAddr(fd), nil
}

func prepare(fd, family int, addr netip.AddrPort, o ListenOptions) error {
	ints := []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
		{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	}
	if family == unix.AF_INET6 {
		v6only := 0
		if o.V6Only {
			v6only = 1
		}
		ints = append(ints, struct{ level, name, value int }{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, v6only})
	}
	for _, opt := range ints {
		if err := unix.SetsockoptInt(fd, opt.level, opt.name, opt.value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	if o.Interface != "" {
		if err := unix.BindToDevice(fd, o.Interface); err != nil {
			return os.NewSyscallError("setsockopt SO_BINDTODEVICE", err)
		}
	}
	if o.UserTimeout > 0 {
		UserTimeout(fd, o.UserTimeout)
	}
	var r rawAddr
	r.set(addr)
	if _, _, e := unix.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&r.any)), uintptr(r.len)); e != 0 {
		return os.NewSyscallError("bind", e)
	}
	backlog := o.Backlog
	if backlog <= 0 {
		backlog = maxBacklog
	}
	return os.NewSyscallError("listen", unix.Listen(fd, backlog))
}

// Duplicate returns another descriptor of a socket. The caller closes it; the socket ends with its last descriptor.
func Duplicate(fd int) (int, error) {
	d, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	return d, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
}

// Replace has a descriptor be one of another socket; what it was one of before is let go.
func Replace(with, fd int) error {
	return os.NewSyscallError("dup3", unix.Dup3(with, fd, unix.O_CLOEXEC))
}

// Silence has a listening socket refuse connections; what waits in its queue is reset. It keeps its address, and [Listen]
// options: [Resume] has it listen again.
func Silence(fd int) error { return os.NewSyscallError("shutdown", unix.Shutdown(fd, unix.SHUT_RD)) }

// Resume has a socket listen again.
func Resume(fd, backlog int) error {
	if backlog <= 0 {
		backlog = maxBacklog
	}
	return os.NewSyscallError("listen", unix.Listen(fd, backlog))
}

// maxBacklog is more than any somaxconn, to which the kernel cuts it.
const maxBacklog = 1 << 16

// Accept takes one connection off a listening socket's queue, non-blocking and close-on-exec. errno is
// EAGAIN when the queue is empty.
func Accept(lfd int) (fd int, peer netip.AddrPort, errno unix.Errno) {
	var r rawAddr
	for {
		r.len = unix.SizeofSockaddrAny
		n, _, e := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(lfd), uintptr(unsafe.Pointer(&r.any)),
			uintptr(unsafe.Pointer(&r.len)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch e {
		case 0:
			return int(n), r.addrPort(), 0
		case unix.EINTR, unix.ECONNABORTED: // the client has given up while it waited
			continue
		}
		return -1, netip.AddrPort{}, e
	}
}
