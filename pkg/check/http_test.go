package check

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// serveOnce reads one request and answers it.
func serveOnce(conn net.Conn, answer string, sent chan<- string) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	var request strings.Builder
	for {
		line, err := r.ReadString('\n')
		request.WriteString(line)
		if err != nil || line == "\r\n" {
			break
		}
	}
	body := make([]byte, r.Buffered())
	io.ReadFull(r, body)
	sent <- request.String() + string(body)
	if answer == "-" {
		io.Copy(io.Discard, conn)
		return
	}
	io.WriteString(conn, answer)
}

// plainHTTP is `option httpchk`.
func plainHTTP() *config.HealthCheck {
	return &config.HealthCheck{Protocol: config.CheckHTTP, Steps: []config.CheckStep{
		{Send: &config.CheckSend{Method: "OPTIONS", URI: "/", Version: "HTTP/1.0"}},
		{Expect: &config.CheckExpect{Match: config.MatchStatus, MinRecv: -1, Statuses: []config.StatusRange{{Low: 200, High: 399}}}},
	}}
}

func TestTimeoutCheckBoundsTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		s := f.server("10.0.0.1:80")
		dial := func(context.Context, netip.AddrPort) (net.Conn, error) {
			time.Sleep(100 * time.Millisecond) // the handshake
			client, server := net.Pipe()
			go serveOnce(server, "-", make(chan string, 1))
			return client, nil
		}
		spec := Spec{Server: s, Check: plainHTTP(), ConnectTimeout: time.Second, CheckTimeout: 5 * time.Second}
		spec.run(t.Context(), dial, s.View().Addr)
		if r := s.View().Check; r.Status != pool.CheckL7Tout || r.Duration != 5100*time.Millisecond {
			t.Errorf("got %v after %v, want L7TOUT 5 s after the connection", r.Status, r.Duration)
		}
	})
}

// Whatever a server says, what is told of it is harmless and bounded, and its end decides.
func FuzzHTTPAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 404\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/2 200\r\n", "", "HTTP/1.1 +20 x",
		"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "HTTP/1.1 500 a\x1b[2Jb\r\ncontent-length: 2\r\n\r\nab",
	} {
		f.Add([]byte(s))
	}
	check := &config.HealthCheck{Protocol: config.CheckHTTP}
	expectations := []*config.CheckExpect{
		{Match: config.MatchStatus, MinRecv: -1, Statuses: []config.StatusRange{{Low: 200, High: 399}}},
		{Match: config.MatchString, MinRecv: -1, Data: []byte("abc"), Not: true},
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, e := range expectations {
			r, sure := expectHTTP(check, e, "GET", "").judge(nil, in, true)
			if !sure {
				t.Errorf("%q: not sure in the end", in)
			}
			if len(r.Info) > maxInfo || strings.ContainsFunc(r.Info, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%q: info %q", in, r.Info)
			}
		}
	})
}
