package check

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"waggle/pkg/proxy/sock"
	"waggle/pkg/unixaddr"
)

// dial is how the task connects.
func (c *Checker) dial(t *task) Dial {
	if c.opts.Dial != nil {
		return c.opts.Dial
	}
	return dialFrom(sock.Source(t.Server.Source))
}

// dialFrom connects from a source, without the final ACK of the handshake: TCP_QUICKACK off delays it, so it goes out
// with the first data, or never when the connection is reset before. A check that only connects is
// then SYN, SYN-ACK, RST, and the server's application does not see it (as HAProxy does).
func dialFrom(from sock.Source) Dial {
	return func(ctx context.Context, addr netip.AddrPort) (conn net.Conn, err error) {
		if name, ok := unixaddr.Name(addr.Addr()); ok {
			return dialUnix(ctx, name)
		}
		for port := range from.Ports() {
			d := net.Dialer{KeepAlive: -1, ControlContext: func(_ context.Context, _, _ string, raw syscall.RawConn) error {
				return prepare(raw, from, addr.Addr(), port)
			}}
			conn, err = d.DialContext(ctx, "tcp", addr.String())
			var errno unix.Errno
			if !errors.As(err, &errno) || !sock.Taken(errno) {
				break
			}
		}
		return conn, err
	}
}

// dialUnix connects to a unix socket.
func dialUnix(ctx context.Context, name string) (net.Conn, error) {
	path := unixaddr.SunPath(name)
	if path[0] == 0 { // package net has an @ for the zero that an abstract name begins with
		path[0] = '@'
		name = string(path)
	}
	var d net.Dialer
	return d.DialContext(ctx, "unix", name)
}

// prepare readies a socket that is not connected yet. Delaying the ACK is best effort: where the option is refused, the check
// costs one more packet.
func prepare(raw syscall.RawConn, from sock.Source, to netip.Addr, port uint16) error {
	var errno unix.Errno
	err := raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 0)
		errno = from.Bind(int(fd), to, port)
	})
	if err == nil && errno != 0 {
		err = os.NewSyscallError("bind", errno)
	}
	return err
}

// acknowledge sends the ACK that dialFrom has kept back, where the server speaks first: it would not see the connection
// before the kernel's timer, 200 ms later.
func acknowledge(conn net.Conn) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) // at worst the timer sends it
	})
}
