package adapter

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/proxy/sock"
)

// Conn is a connected socket in Go's network poller. It implements net.Conn.
type Conn struct {
	file     *os.File
	src, dst netip.AddrPort // from here seen: the peer, and us
	ahead    []byte         // has been read, and is still to be given out
}

// NewConn takes a non-blocking socket over: Close closes it.
func NewConn(fd int, peer, local netip.AddrPort) *Conn {
	return &Conn{file: os.NewFile(uintptr(fd), "socket"), src: peer, dst: local}
}

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(b, c.ahead)
		if c.ahead = c.ahead[n:]; len(c.ahead) == 0 {
			c.ahead = nil
		}
		return n, nil
	}
	return c.file.Read(b)
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) { return c.file.Write(b) }

// Close implements net.Conn.
func (c *Conn) Close() error { return c.file.Close() }

// Mute prepares Close so that the peer learns nothing of it: see [sock.Mute].
func (c *Conn) Mute(hops int) {
	if raw, err := c.file.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { sock.Mute(int(fd), hops) }) // it is closed already otherwise
	}
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.dst) }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.src) }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.file.SetDeadline(t) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.file.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.file.SetWriteDeadline(t) }

// CloseWrite sends FIN. An error means that the connection is gone anyway.
func (c *Conn) CloseWrite() {
	c.control(func(fd int) { _ = unix.Shutdown(fd, unix.SHUT_WR) })
}

// Reset closes with RST, so that the peer cannot take what it has for the whole.
func (c *Conn) Reset() {
	c.control(func(fd int) {
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	})
	_ = c.Close()
}

func (c *Conn) control(f func(fd int)) {
	if raw, err := c.file.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { f(int(fd)) })
	}
}

// bufferSize is that of the buffers between sockets: the payload of a whole TLS record.
const bufferSize = 16 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// readPooled waits until there is something to read, and only then takes a buffer to read it into, so that idle
// connections have none. The caller gives the buffer back; it is nil when there is an error.
func readPooled(raw syscall.RawConn) (buf *[bufferSize]byte, n int, err error) {
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		buf = buffers.Get().(*[bufferSize]byte)
		n, failed = unix.Read(int(fd), buf[:])
		for failed == unix.EINTR {
			n, failed = unix.Read(int(fd), buf[:])
		}
		if failed == unix.EAGAIN {
			buffers.Put(buf)
			return false
		}
		return true
	})
	switch {
	case err != nil:
		return nil, 0, err
	case failed == nil && n == 0:
		failed = io.EOF
	}
	if failed != nil {
		buffers.Put(buf)
		return nil, 0, failed
	}
	return buf, n, nil
}
