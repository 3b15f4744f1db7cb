package adapter

import (
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"waggle/pkg/sample"
)

// Info is what the event loop cannot learn from its end of a pair.
type Info struct {
	Src, Dst netip.AddrPort // of the client's connection, or of ours to a server: Src is our own address then
	TLS      *sample.TLS    // nil in clear text
	H2       bool           // the client speaks HTTP/2
}

// Pair is the connection between an adapter and an event loop. The loop has a descriptor, the adapter a Conn.
type Pair struct {
	Info
	closing func() // what the adapter does when the loop's end is closed; must not block
	closed  atomic.Bool
	aborted atomic.Bool
	reset   atomic.Bool
}

// Direct is the Pair of a connection that the loop has itself, without an adapter: it only tells about it.
func Direct(info Info) *Pair { return &Pair{Info: info, closing: func() {}} }

// pairBuffer bounds what the kernel holds of each direction of a pair, with its own overhead. It doubles what it is
// told (socket(7)).
const pairBuffer = 128 << 10

// newPair makes a pair. The adapter owns both ends until the descriptor has been handed over.
func newPair(info Info) (p *Pair, end *Conn, fd int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, -1, fmt.Errorf("connect an adapter: %w", os.NewSyscallError("socketpair", err))
	}
	for _, fd := range fds { // else the kernel holds 200 kB for each client that does not read
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, pairBuffer/2)
	}
	return &Pair{Info: info, closing: func() {}}, NewConn(fds[0], netip.AddrPort{}, netip.AddrPort{}), fds[1], nil
}

// Closed is called by the loop just before it closes its end. abort says that the peer must be able to see that
// something is missing.
func (p *Pair) Closed(abort bool) {
	if abort {
		p.aborted.Store(true)
	}
	p.closed.Store(true)
	p.closing()
}

// WasReset says, at the end of what was read, that the peer did not end the stream but was lost.
func (p *Pair) WasReset() bool { return p.reset.Load() }

// Door hands descriptors to an event loop.
type Door interface {
	// Attach gives the loop its end of a pair, which it owns then. false: the loop has stopped, and nothing was taken.
	Attach(fd int, p *Pair) bool
	// Failed says that the connection has come to nothing: without the PROXY header that it must begin with, or in the
	// handshake. It is called once at most, before Serve returns, by its goroutine.
	Failed(sample.ConnError)
}
