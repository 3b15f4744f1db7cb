package forward_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"waggle/pkg/lab/forward"
	"waggle/pkg/lab/pattern"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// upstream serves each connection with serve until the test ends.
func upstream(t *testing.T, serve func(*net.TCPConn)) forward.Dial {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serve(conn.(*net.TCPConn))
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp4", ln.Addr().String())
	}
}

func connect(t *testing.T, dial forward.Dial) *net.TCPConn {
	t.Helper()
	f, err := forward.Listen("127.0.0.1:0", dial)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	conn, err := net.Dial("tcp4", f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

func TestClientMayCloseItsHalfFirst(t *testing.T) {
	const size = 1 << 20
	conn := connect(t, upstream(t, func(c *net.TCPConn) {
		n, _ := io.Copy(io.Discard, c) // ends at the client's FIN
		fmt.Fprintf(c, "got %d", n)
	}))
	if _, err := io.Copy(conn, pattern.Reader(size)); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("got %d", size); string(answer) != want {
		t.Errorf("got %q, want %q", answer, want)
	}
}

func TestServerMayCloseItsHalfFirst(t *testing.T) {
	received := make(chan string, 1)
	conn := connect(t, upstream(t, func(c *net.TCPConn) {
		_, _ = io.Copy(c, pattern.Reader(1<<20))
		_ = c.CloseWrite()
		rest, _ := io.ReadAll(c)
		received <- string(rest)
	}))
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := io.ReadAll(pattern.Reader(1 << 20))
	if !bytes.Equal(got, want) {
		t.Errorf("got %d bytes that differ from the %d sent", len(got), len(want))
	}
	if _, err := io.WriteString(conn, "after the server's FIN"); err != nil {
		t.Fatal(err)
	}
	_ = conn.CloseWrite()
	if got := <-received; got != "after the server's FIN" {
		t.Errorf("server got %q", got)
	}
}

func TestResetIsPassedOn(t *testing.T) {
	conn := connect(t, upstream(t, func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1)) // not before the client is connected
		_ = c.SetLinger(0)
	}))
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

func TestUnreachableUpstreamResetsTheClient(t *testing.T) {
	connected := make(chan struct{})
	conn := connect(t, func(context.Context) (net.Conn, error) {
		<-connected
		return nil, errors.New("no route")
	})
	close(connected)
	if _, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

func TestCloseCutsConnections(t *testing.T) {
	reached := make(chan struct{})
	f, err := forward.Listen("127.0.0.1:0", upstream(t, func(c *net.TCPConn) {
		close(reached)
		_, _ = io.Copy(io.Discard, c)
	}))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp4", f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	<-reached
	f.Close()
	if _, err := io.ReadAll(conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read after Close: %v", err)
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, err = forward.Listen(ln.Addr().String(), nil)
	if err == nil || !strings.Contains(err.Error(), "port "+ln.Addr().String()+" is taken") {
		t.Errorf("got %v, want an error that names the port", err)
	}
}
