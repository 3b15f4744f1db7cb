package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"waggle/pkg/config"
)

// session looks on the loop at the only session that there is.
func (w *world) session(fn func(*session)) {
	w.onLoop(func(wk *worker) {
		if s := wk.sessions; s != nil && s.transaction != nil {
			fn(s)
		}
	})
}

// A client that sends FIN while its response comes gets all of it, though the connection was to be kept.
func TestHalfCloseWithinTheResponse(t *testing.T) {
	rest := make(chan struct{})
	w := start(t, []netip.AddrPort{listen(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := readHead(r); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
			<-rest
			_, _ = io.WriteString(c, "last.")
			_, _ = io.Copy(io.Discard, r)
		}
	})})
	c := w.dial()
	c.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n")
	if _, err := readHead(c.r); err != nil {
		t.Fatal(err)
	}
	_ = c.CloseWrite()
	eventually(t, "the FIN is seen", func() (seen bool) {
		w.session(func(s *session) { seen = s.client.eof })
		return seen
	})
	close(rest)
	if got := c.rest(); got != "firstlast." {
		t.Errorf("got %q", got)
	}
}

// What the client was answered before is on its way when a further request has its connection closed.
func TestRejectAfterAnAnswer(t *testing.T) {
	w := startConfig(t, `
defaults
    mode http
    timeout client 10s
frontend fe
    bind 127.0.0.1:1
    http-request reject if { path /evil }
    http-request return status 200 content-type text/plain string good
`)
	c := w.dial()
	c.send("GET / HTTP/1.1\r\nHost: t\r\n\r\nGET /evil HTTP/1.1\r\nHost: t\r\n\r\n")
	if got := c.rest(); !strings.HasSuffix(got, "good") {
		t.Errorf("got %q", got)
	}
}

// A large body that ends too early ends the exchange at once, however early the FIN was seen.
func TestLargeBodyCutAtOnce(t *testing.T) {
	w := start(t, []netip.AddrPort{named(t, "a")}, func(_ *Setup, fe, _ *config.Proxy) { fe.Timeouts.Client = 10 * patience })
	c := w.dial()
	c.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\nfew")
	_ = c.CloseWrite()
	eventually(t, "the session has come and gone", func() bool {
		fe := w.pool.Frontends[0]
		return fe.Counters.Sum().Sessions == 1 && fe.Sessions.Load() == 0
	})
}

// A request that a server has got must not come a second time by our doing, by HTTP/2 neither.
func TestNoUnsafeRepeatByHTTP2(t *testing.T) {
	var asked atomic.Int32
	server := listen(t, func(c net.Conn, r *bufio.Reader) {
		for {
			if _, err := readHead(r); err != nil || asked.Add(1) > 1 {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	for _, rule := range []string{"", "http-request set-method POST"} {
		asked.Store(0)
		method := "POST"
		if rule != "" {
			method = "GET"
		}
		w := startConfig(t, fmt.Sprintf(`
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend fe
    bind 127.0.0.1:1 proto h2
    %s
    default_backend be
backend be
    server s %s
`, rule, server))
		c := w.browser(nil, true)
		w.exchange(c, request(t, method, "http://site.test/", nil))
		resp, err := c.Do(request(t, method, "http://site.test/", nil))
		if err == nil {
			resp.Body.Close()
		}
		if n := asked.Load(); n != 2 {
			t.Errorf("%q: the server was asked %d times for 2 requests", rule, n)
		}
	}
}

// A request that a rule cuts off is cut off once, though a kept channel of HTTP/2 carried it.
func TestRejectByHTTP2CountsOnce(t *testing.T) {
	w := startConfig(t, `
defaults
    mode http
    timeout client 10s
frontend fe
    bind 127.0.0.1:1 proto h2
    http-request reject if { path /evil }
    http-request return status 200 content-type text/plain string good
`)
	c := w.browser(nil, true)
	w.exchange(c, request(t, "GET", "http://site.test/", nil))
	if resp, err := c.Do(request(t, "GET", "http://site.test/evil", nil)); err == nil {
		resp.Body.Close()
		t.Errorf("status %d", resp.StatusCode)
	}
	if n := w.pool.Frontends[0].Counters.Sum().DeniedReq; n != 1 {
		t.Errorf("%d requests were denied", n)
	}
}

// When the head has given its room up to the body, pages of errors see no header rather than other bytes.
func TestErrorPageAfterTheHead(t *testing.T) {
	got := make(chan struct{}, 1)
	server := listen(t, func(c net.Conn, r *bufio.Reader) {
		_, _ = readHead(r)
		got <- struct{}{}
		_, _ = io.CopyN(io.Discard, r, 200)
		got <- struct{}{}
		_, _ = io.Copy(io.Discard, r)
	})
	w := startConfig(t, fmt.Sprintf(`
defaults
    mode http
    timeout connect 5s
    timeout client 1d
    timeout server 1m
frontend fe
    bind 127.0.0.1:1
    http-error status 504 content-type text/plain lf-string "<%%[req.hdr(x-mark)]%%[url]>"
    default_backend be
backend be
    server s %s
`, server))
	c := w.dial()
	c.send("POST /p HTTP/1.1\r\nHost: t\r\nX-Mark: yes\r\nContent-Length: 200\r\n\r\n")
	receive(t, got, "the head at the server")
	c.send(strings.Repeat("B", 200))
	receive(t, got, "the body at the server")
	w.skip(time.Minute)
	if resp, body := c.response("POST"); resp.StatusCode != 504 || body != "<>" {
		t.Errorf("status %d, %q", resp.StatusCode, body)
	}
}

// A client that sends its next request too early, since the connection ends with this one, loses nothing of its answer
// (RFC 9112, section 9.6).
func TestPipelinedBehindTheLast(t *testing.T) {
	asked, told := make(chan struct{}), make(chan struct{})
	body := pattern(200_000)
	server := listen(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := readHead(r); err != nil {
			return
		}
		asked <- struct{}{}
		<-told
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	})
	w := start(t, []netip.AddrPort{server}, func(_ *Setup, fe, _ *config.Proxy) { fe.Options.ConnectionMode = config.Close })
	c := w.dial()
	c.send("GET /1 HTTP/1.1\r\nHost: t\r\n\r\n")
	receive(t, asked, "the request at the server")
	c.send("GET /2 HTTP/1.1\r\nHost: t\r\n\r\n")
	close(told)
	eventually(t, "all is written that the kernel takes", func() (written bool) {
		w.onLoop(func(wk *worker) {
			s := wk.sessions
			written = s == nil || s.phase == lingering || !s.client.canWrite
		})
		return written
	})
	_, got := c.response("GET")
	sameBytes(t, []byte(got), body)
	c.rest()
}
