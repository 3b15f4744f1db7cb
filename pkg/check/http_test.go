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

func TestHTTPCheck(t *testing.T) {
	post := &config.HTTPCheck{
		Method: "POST", URI: "/health", Version: "HTTP/1.1", Body: "ping",
		Headers:      [][2]string{{"Host", "web"}, {"Content-Length", "9"}, {"connection", "keep-alive"}},
		ExpectStatus: []config.StatusRange{{Low: 204, High: 204}, {Low: 500, High: 503}},
	}
	for _, tc := range []struct {
		name   string
		check  *config.HTTPCheck
		answer string // "-" says nothing and keeps the connection
		want   pool.CheckResult
		sent   string
	}{
		{"defaults", &config.HTTPCheck{}, "HTTP/1.0 200 OK\r\n\r\n", pool.CheckResult{Status: pool.CheckL7OK, Code: 200},
			"OPTIONS / HTTP/1.0\r\nConnection: close\r\n\r\n"},
		{"redirect passes", &config.HTTPCheck{}, "HTTP/1.1 302 Found\r\n", pool.CheckResult{Status: pool.CheckL7OK, Code: 302}, ""},
		{"wrong status", &config.HTTPCheck{}, "HTTP/1.1 503 Service Unavailable\r\n\r\n",
			pool.CheckResult{Status: pool.CheckL7Sts, Code: 503, Info: "Service Unavailable"}, ""},
		{"send and expect", post, "HTTP/1.1 503 No\r\n\r\n", pool.CheckResult{Status: pool.CheckL7OK, Code: 503},
			"POST /health HTTP/1.1\r\nConnection: close\r\nHost: web\r\nContent-Length: 4\r\n\r\nping"},
		{"not expected", post, "HTTP/1.1 200 OK\r\n\r\n", pool.CheckResult{Status: pool.CheckL7Sts, Code: 200, Info: "OK"}, ""},
		{"no reason, bare LF", &config.HTTPCheck{}, "HTTP/1.1 204\n", pool.CheckResult{Status: pool.CheckL7OK, Code: 204}, ""},
		{"reason is made printable", &config.HTTPCheck{}, "HTTP/1.1 500 a\x1b[2Jb\r\n", pool.CheckResult{Status: pool.CheckL7Sts, Code: 500, Info: "a[2Jb"}, ""},
		{"not HTTP", &config.HTTPCheck{}, "SSH-2.0-OpenSSH_9.2\r\n", pool.CheckResult{Status: pool.CheckL7Rsp, Info: "Invalid HTTP status line"}, ""},
		{"closed", &config.HTTPCheck{}, "", pool.CheckResult{Status: pool.CheckL7Rsp, Info: "No complete HTTP status line"}, ""},
		{"endless line", &config.HTTPCheck{}, "HTTP/1.1 200 " + strings.Repeat("x", 2*maxStatusLine), pool.CheckResult{Status: pool.CheckL7Rsp, Info: "No complete HTTP status line"}, ""},
		{"silent", &config.HTTPCheck{}, "-", pool.CheckResult{Status: pool.CheckL7Tout, Duration: 2 * time.Second}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				s := f.server("10.0.0.1:80")
				sent := make(chan string, 1)
				dial := func(context.Context, netip.AddrPort) (net.Conn, error) {
					client, server := net.Pipe()
					go serveOnce(server, tc.answer, sent)
					return client, nil
				}
				Spec{Server: s, HTTP: tc.check}.run(t.Context(), dial, s.View().Addr)
				got := s.View().Check
				tc.want.For = netip.MustParseAddrPort("10.0.0.1:80")
				if got != tc.want {
					t.Errorf("got %+v, want %+v", got, tc.want)
				}
				if request := <-sent; tc.sent != "" && request != tc.sent {
					t.Errorf("sent %q, want %q", request, tc.sent)
				}
			})
		})
	}
}

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
		spec := Spec{Server: s, HTTP: &config.HTTPCheck{}, ConnectTimeout: time.Second, CheckTimeout: 5 * time.Second}
		spec.run(t.Context(), dial, s.View().Addr)
		if r := s.View().Check; r.Status != pool.CheckL7Tout || r.Duration != 5100*time.Millisecond {
			t.Errorf("got %v after %v, want L7TOUT 5 s after the connection", r.Status, r.Duration)
		}
	})
}

func FuzzStatusLine(f *testing.F) {
	for _, s := range []string{"HTTP/1.1 200 OK\r\n", "HTTP/1.0 404\n", "HTTP/1.1  200 OK\r\n", "HTTP/2 200\r\n", "", "HTTP/1.1 +20 x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		code, reason, ok := parseStatusLine(line)
		switch {
		case !ok && (code != 0 || reason != ""):
			t.Errorf("%q: refused, but %d %q", line, code, reason)
		case ok && (code < 100 || code > 999):
			t.Errorf("%q: code %d", line, code)
		case len(reason) > maxReason || strings.ContainsFunc(reason, func(r rune) bool { return r < ' ' || r > '~' }):
			t.Errorf("%q: reason %q", line, reason)
		}
	})
}
