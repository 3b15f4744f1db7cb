package adapter

import (
	"errors"
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

// pooledReader reads from a socket into buffers that it takes only when there is something to read, so that idle connections
// have none.
type pooledReader struct {
	raw    syscall.RawConn
	take   func(fd uintptr) bool // made once, since it would be made on the heap
	buf    *[bufferSize]byte
	n      int
	failed error
}

func newPooledReader(c *Conn) (*pooledReader, error) {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return nil, err
	}
	r := &pooledReader{raw: raw}
	r.take = r.try
	return r, nil
}

// read waits until there is something. The caller gives the buffer back; it is nil when there is an error.
func (r *pooledReader) read() (buf *[bufferSize]byte, n int, err error) {
	if err = r.raw.Read(r.take); err != nil {
		return nil, 0, err
	}
	if r.failed == nil && r.n == 0 {
		r.failed = io.EOF
	}
	if r.failed != nil {
		buffers.Put(r.buf)
		return nil, 0, r.failed
	}
	return r.buf, r.n, nil
}

func (r *pooledReader) try(fd uintptr) (done bool) {
	r.buf = buffers.Get().(*[bufferSize]byte)
	for again := true; again; again = errors.Is(r.failed, unix.EINTR) {
		r.n, r.failed = unix.Read(int(fd), r.buf[:])
	}
	if errors.Is(r.failed, unix.EAGAIN) {
		buffers.Put(r.buf)
		return false
	}
	return true
}
