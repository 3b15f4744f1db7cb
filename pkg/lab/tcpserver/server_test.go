package tcpserver_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"waggle/pkg/lab/pattern"
	"waggle/pkg/lab/tcpserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// exchange sends what in holds and a FIN, and returns all that comes back.
func exchange(t *testing.T, p tcpserver.Protocol, in io.Reader) []byte {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := tcpserver.New("web-1", p)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	conn, err := net.Dial("tcp4", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		_, _ = io.Copy(conn, in)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	out, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve returned %v", err)
	}
	return out
}

func TestProtocols(t *testing.T) {
	const n = 500_003
	data, _ := io.ReadAll(pattern.Reader(n))
	for _, c := range []struct {
		name     string
		protocol tcpserver.Protocol
		in, want string
	}{
		{"hostname", tcpserver.Command, "hostname\n", "hostname: web-1\n"},
		{"bytes", tcpserver.Command, fmt.Sprintf("bytes %d\n", n), string(data)},
		{"echo", tcpserver.Command, "echo\n" + string(data), string(data)},
		{"sink", tcpserver.Command, "sink\n" + string(data), fmt.Sprintf("%d %x\n", n, sha256.Sum256(data))},
		{"greet", tcpserver.Greet, string(data), "hostname: web-1\n" + string(data)},
		{"unknown", tcpserver.Command, "dance\n", "error: unknown command \"dance\"\n"},
		{"bad number", tcpserver.Command, "bytes many\n", "error: unknown command \"bytes many\"\n"},
		{"no line", tcpserver.Command, "hostname", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := exchange(t, c.protocol, strings.NewReader(c.in)); !bytes.Equal(got, []byte(c.want)) {
				t.Errorf("got %d bytes, want %d: %.80q", len(got), len(c.want), got)
			}
		})
	}
}
