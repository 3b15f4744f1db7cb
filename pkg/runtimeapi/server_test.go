package runtimeapi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"waggle/pkg/config"
	"waggle/pkg/lab/message"
)

// serve starts a server on a unix socket and stops it at the end of the test.
func serve(t *testing.T, opts Options, cfg config.StatsSocket) Listener {
	t.Helper()
	l, err := listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- New(fixed{balancer()}, opts).Serve(ctx, []Listener{l}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		goleak.VerifyNone(t)
	})
	return l
}

func dial(t *testing.T, l Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func exchange(t *testing.T, l Listener, in string) string {
	t.Helper()
	conn := dial(t, l)
	if _, err := io.WriteString(conn, in); err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("after %q: %v", out, err)
	}
	return string(out)
}

func socket(t *testing.T) config.StatsSocket {
	return config.StatsSocket{Path: filepath.Join(t.TempDir(), "s"), Mode: 0o600, Level: "admin"}
}

// What was answered before a quit on the same line is told; what stands behind it is not.
func TestQuitBehindAnswers(t *testing.T) {
	l := serve(t, Options{}, socket(t))
	if got, want := exchange(t, l, "show version;quit;show version\n"), "3.2-waggle-0.1.0\n\n"; got != want {
		t.Errorf("answer %q, want %q", got, want)
	}
	if got, want := exchange(t, l, "prompt\nshow version;quit;show version\n"), "\n> 3.2-waggle-0.1.0\n\n"; got != want {
		t.Errorf("answer %q, want %q", got, want)
	}
}

// Each answer of a line goes out before the next command runs, and none runs for a client that has gone.
func TestAnswersAreNotHoarded(t *testing.T) {
	c := &session{server: New(fixed{balancer()}, Options{}), level: Admin}
	answers := 0
	if c.line(strings.Repeat("show version;", 1000), func(string) bool { answers++; return answers < 3 }) {
		t.Error("the client has not gone")
	}
	if answers != 3 {
		t.Errorf("%d answers", answers)
	}
}

func TestOneLineThenClose(t *testing.T) {
	l := serve(t, Options{}, socket(t))
	if got, want := exchange(t, l, "show version\n"), "3.2-waggle-0.1.0\n\n"; got != want {
		t.Errorf("answer %q, want %q", got, want)
	}
	if got := exchange(t, l, "show cli level;show backend\nshow version\n"); got != "admin\n\n# name\nweb\nstill\n\n" {
		t.Errorf("a second line was answered, or the chain was not: %q", got)
	}
}

func TestLineWithoutEnd(t *testing.T) {
	l := serve(t, Options{}, socket(t))
	conn := dial(t, l).(*net.UnixConn)
	io.WriteString(conn, "show version")
	conn.CloseWrite()
	if got, _ := io.ReadAll(conn); string(got) != "3.2-waggle-0.1.0\n\n" {
		t.Errorf("answer %q", got)
	}
}

func TestPrompt(t *testing.T) {
	l := serve(t, Options{}, socket(t))
	got := exchange(t, l, "prompt\nshow version\n\nshow cli level;show version\nquit\nshow version\n")
	want := "\n> 3.2-waggle-0.1.0\n\n> > admin\n\n3.2-waggle-0.1.0\n\n> "
	if got != want {
		t.Errorf("dialogue\n%q\nwant\n%q", got, want)
	}
	if got := exchange(t, l, "prompt i\nshow version\nprompt n\nshow version\n"); got != "\n3.2-waggle-0.1.0\n\n\n" {
		t.Errorf("without a prompt: %q", got)
	}
}

func TestLongLine(t *testing.T) {
	l := serve(t, Options{MaxLine: 64}, socket(t))
	if got := exchange(t, l, strings.Repeat("x", 64)); got != "The command line is too long.\n\n" {
		t.Errorf("answer %q", got)
	}
	message.Shown(t, "The command line is too long.\n\n")
}

// pipeListener hands out the far ends of pipes, so that a test can run in a bubble of its own time.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (l *pipeListener) dial() net.Conn {
	near, far := net.Pipe()
	l.conns <- far
	return near
}

// inBubble runs a server whose clock is the test's.
func inBubble(t *testing.T, opts Options, test func(t *testing.T, l *pipeListener)) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- New(fixed{balancer()}, opts).Serve(ctx, []Listener{{l, User}}) }()
		test(t, l)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func TestIdleClientIsCutOff(t *testing.T) {
	inBubble(t, Options{Idle: 10 * time.Second}, func(t *testing.T, l *pipeListener) {
		conn := l.dial()
		start := time.Now()
		io.WriteString(conn, "prompt\n")
		out, err := io.ReadAll(conn)
		if string(out) != "\n> " || err != nil {
			t.Errorf("dialogue %q, %v", out, err)
		}
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("cut off after %v", d)
		}
	})
}

func TestClientThatReadsNothingIsCutOff(t *testing.T) {
	inBubble(t, Options{Idle: 10 * time.Second}, func(t *testing.T, l *pipeListener) {
		conn := l.dial()
		defer conn.Close()
		io.WriteString(conn, "show stat\n") // the answer is never read
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read: %v, want EOF", err)
		}
	})
}

func TestClientsBeyondTheLimitWait(t *testing.T) {
	inBubble(t, Options{MaxClients: 1}, func(t *testing.T, l *pipeListener) {
		first, second := l.dial(), l.dial()
		written := make(chan struct{})
		go func() {
			io.WriteString(second, "show version\n")
			close(written)
		}()
		synctest.Wait()
		select {
		case <-written:
			t.Error("the second client was served beside the first")
		default:
		}
		first.Close()
		if out, _ := io.ReadAll(second); string(out) != "3.2-waggle-0.1.0\n\n" {
			t.Errorf("answer %q", out)
		}
		<-written
	})
}

func TestStopEndsClients(t *testing.T) {
	l, err := listen(socket(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- New(fixed{balancer()}, Options{Idle: time.Hour}).Serve(ctx, []Listener{l}) }()
	conn := dial(t, l)
	io.WriteString(conn, "prompt\n")
	r := bufio.NewReader(conn)
	if _, err := r.ReadString('>'); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := io.ReadAll(r); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Logf("the client sees: %v", err)
	}
	if _, err := os.Lstat(l.Addr().String()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	goleak.VerifyNone(t)
}

func TestServeReportsABrokenListener(t *testing.T) {
	l, err := listen(config.StatsSocket{Addr: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	at := l.Addr().String()
	want := "accept on stats socket " + at + ": accept tcp " + at + ": use of closed network connection"
	if err := New(fixed{balancer()}, Options{}).Serve(context.Background(), []Listener{l}); !errors.Is(err, net.ErrClosed) || err.Error() != want {
		t.Errorf("Serve: %v, want %s", err, want)
	}
	message.Shown(t, want)
}
