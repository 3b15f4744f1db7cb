package agent

import (
	"context"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
)

// flaky is a listener that fails a few times, as for want of file descriptors, before it accepts.
type flaky struct {
	net.Listener
	failures int
	conn     net.Conn
	closed   chan struct{}
}

func (l *flaky) Accept() (net.Conn, error) {
	if l.failures > 0 {
		l.failures--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *flaky) Close() error { close(l.closed); return nil }

// A health check that nobody answers any more has Swarm kill the task: a moment without file descriptors must not end it.
func TestHealthOutlivesFailuresToAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		l := &flaky{failures: 3, conn: ours, closed: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		served, done := make(chan struct{}), make(chan struct{})
		go func() {
			acceptEach(ctx, l, func(net.Conn) { close(served) })
			close(done)
		}()
		select {
		case <-served:
		case <-done:
			t.Error("it has given up")
		}
		cancel()
		<-done
	})
}
