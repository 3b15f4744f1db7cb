// Package forward relays TCP connections from a listening socket to wherever a dial function leads: one new
// upstream connection for each accepted one, with half-close passed on in both directions.
package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// Dial makes the upstream connection of an accepted one.
type Dial func(ctx context.Context) (net.Conn, error)

// MaxConns is how many connections a Forwarder carries at once; more wait in the accept queue.
const MaxConns = 1024

// dialTimeout bounds how long an accepted connection waits for its upstream one.
const dialTimeout = 10 * time.Second

// Forwarder accepts and relays until Close.
type Forwarder struct {
	listener net.Listener
	dial     Dial
	stop     context.CancelFunc
	slots    chan struct{}
	running  sync.WaitGroup
}

// Listen listens on address and relays each connection to one that dial makes.
func Listen(address string, dial Dial) (*Forwarder, error) {
	ln, err := net.Listen("tcp4", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port %s is taken by another program: %w", address, err)
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &Forwarder{listener: ln, dial: dial, stop: cancel, slots: make(chan struct{}, MaxConns)}
	f.running.Go(func() { f.accept(ctx) })
	return f, nil
}

// Addr is where the forwarder listens.
func (f *Forwarder) Addr() net.Addr { return f.listener.Addr() }

// Close stops listening, cuts all connections, and returns when their goroutines have ended.
func (f *Forwarder) Close() {
	f.stop()
	_ = f.listener.Close()
	f.running.Wait()
}

func (f *Forwarder) accept(ctx context.Context) {
	for {
		select {
		case f.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		conn, err := f.listener.Accept()
		if err != nil {
			<-f.slots
			if ctx.Err() != nil || !pause(ctx) {
				return
			}
			continue
		}
		f.running.Go(func() {
			defer func() { <-f.slots }()
			f.relay(ctx, conn)
		})
	}
}

// pause waits a little after a failed accept, such as for want of descriptors.
func pause(ctx context.Context) bool {
	select {
	case <-time.After(50 * time.Millisecond):
		return true
	case <-ctx.Done():
		return false
	}
}

// relay carries one connection until both directions have ended or ctx ends. A client whose upstream cannot
// be reached is reset, as it would be without a forwarder.
func (f *Forwarder) relay(ctx context.Context, down net.Conn) {
	defer down.Close()
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	up, err := f.dial(dialing)
	cancel()
	if err != nil {
		reset(down)
		return
	}
	defer up.Close()
	cut := context.AfterFunc(ctx, func() {
		_ = down.Close()
		_ = up.Close()
	})
	defer cut()

	var upward sync.WaitGroup
	upward.Go(func() { pump(up, down) })
	pump(down, up)
	upward.Wait()
}

// pump copies until src ends and passes that on: an end as a FIN, an error as a reset of both, which also
// ends the other direction.
func pump(dst, src net.Conn) {
	if _, err := io.Copy(dst, src); err != nil {
		reset(dst)
		reset(src)
		return
	}
	if half, ok := dst.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// reset closes with a TCP RST.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
