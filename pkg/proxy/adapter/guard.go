package adapter

import (
	"crypto/tls"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

const (
	// idleFrames is how many frames that carry nothing a client may send in a second on average, and idleBurst how many
	// at once. Browsers and gRPC send a few in a second; HAProxy counts such frames as glitches.
	idleFrames = 1000
	idleBurst  = 5000

	frameHead = 9 // bytes in front of each frame (RFC 9113, section 4.1)
)

// guard is a client's HTTP/2 connection that is read no faster than at idleFrames frames in a second that carry
// nothing: pings, settings, resets, priorities, continuations, frames of unknown types, empty DATA. http2.Server bounds
// what such frames may take of memory, and the guard what they may take of the processor. Updates of windows do not
// count: there are as many as a client has to receive. One goroutine reads, any may close.
type guard struct {
	net.Conn
	head   [frameHead]byte
	got    int // bytes of head that have come
	left   int // bytes that are still to come of what is no head: of the preface, then of a frame
	credit float64
	at     time.Time // when credit was reckoned

	once   sync.Once
	closed chan struct{}
}

func newGuard(conn net.Conn, preface int) *guard {
	return &guard{Conn: conn, left: preface, credit: idleBurst, at: time.Now(), closed: make(chan struct{})}
}

// guarded is a client's connection with a guard, which http2.Server can still ask about TLS.
func guarded(conn net.Conn) net.Conn {
	g := newGuard(conn, len(http2.ClientPreface))
	if c, ok := conn.(*tls.Conn); ok {
		return &secureGuard{g, c}
	}
	return g
}

type secureGuard struct {
	*guard
	tls *tls.Conn
}

// ConnectionState is what http2.Server looks for.
func (g *secureGuard) ConnectionState() tls.ConnectionState { return g.tls.ConnectionState() }

// Read implements net.Conn.
func (g *guard) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if idle := g.count(b[:n]); idle > 0 {
		g.pay(idle)
	}
	return n, err
}

// Close implements net.Conn.
func (g *guard) Close() error {
	g.once.Do(func() { close(g.closed) })
	return g.Conn.Close()
}

// count follows the frames, and tells how many began that carry nothing.
func (g *guard) count(b []byte) (idle int) {
	for len(b) > 0 {
		if g.left > 0 {
			n := min(g.left, len(b))
			g.left -= n
			b = b[n:]
			continue
		}
		n := copy(g.head[g.got:], b)
		g.got += n
		b = b[n:]
		if g.got < frameHead {
			return idle
		}
		g.got = 0
		g.left = int(g.head[0])<<16 | int(g.head[1])<<8 | int(g.head[2])
		if !carries(http2.FrameType(g.head[3]), http2.Flags(g.head[4]), g.left) {
			idle++
		}
	}
	return idle
}

// carries says whether a frame of a type, with flags and a length, has something in it.
func carries(kind http2.FrameType, flags http2.Flags, length int) bool {
	switch kind {
	case http2.FrameData:
		return length > 0 || flags.Has(http2.FlagDataEndStream)
	case http2.FrameHeaders, http2.FrameWindowUpdate:
		return true
	default:
		return false
	}
}

// pay takes n frames off the credit, and waits while there is none.
func (g *guard) pay(n int) {
	now := time.Now()
	g.credit = min(g.credit+now.Sub(g.at).Seconds()*idleFrames, idleBurst) - float64(n)
	g.at = now
	if g.credit >= 0 {
		return
	}
	select {
	case <-time.After(time.Duration(-g.credit / idleFrames * float64(time.Second))):
	case <-g.closed:
	}
}
