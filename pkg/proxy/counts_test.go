package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"waggle/pkg/pool"
)

// A message that rules make larger than a buffer is answered with 500 and counted, as HAProxy does: of a request for frontend and
// backend, of a response for the server, too.
func TestFailedRewritesAreCounted(t *testing.T) {
	add := func(kind, condition string) string {
		return strings.Repeat(fmt.Sprintf("    http-%s add-header X-Large %s if %s\n", kind, strings.Repeat("x", 2000), condition), 12)
	}
	w := startConfig(t, fmt.Sprintf(`
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend fe
    bind 127.0.0.1:1
    default_backend be
backend be
%s%s    server s %s
`, add("request", "{ path /request }"), add("response", "{ capture.req.uri /response }"), mirror(t)))
	c := w.dial()
	for _, path := range []string{"/request", "/response"} {
		c.send("GET " + path + " HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
		if got := c.rest(); !strings.HasPrefix(got, "HTTP/1.1 500 ") {
			t.Errorf("%s: %q", path, got)
		}
		c = w.dial()
	}
	fe, be := w.pool.Frontend("fe"), w.pool.Backend("be")
	for name, c := range map[string]struct {
		pool.Totals
		want string
	}{
		"frontend": {fe.Counters.Sum(), "2 2 0 2"}, // measured on HAProxy 2.6: wrew, eint, hrsp_2xx, hrsp_5xx
		"backend":  {be.Counters.Sum(), "2 2 0 2"},
		"server":   {be.Servers()[0].Counters.Sum(), "1 1 1 0"},
	} {
		if got := fmt.Sprint(c.FailedRewrites, c.InternalErrs, c.HTTP[1], c.HTTP[4]); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// What goes through pipes is counted.
func TestSplicedBytesAreCounted(t *testing.T) {
	body := bytes.Repeat([]byte("spliced "), 1<<17)
	server := listen(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := readHead(r); err == nil {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
			_, _ = c.Write(body)
			_, _ = io.Copy(io.Discard, c)
		}
	})
	w := start(t, []netip.AddrPort{server})
	c := w.dial()
	c.send("GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
	if got := c.rest(); !strings.HasSuffix(got, string(body)) {
		t.Fatalf("%d bytes came", len(got))
	}
	if n := w.engine.Spliced(); n == 0 || n > uint64(len(body)) {
		t.Errorf("%d of %d bytes were spliced", n, len(body))
	}
	if idle := w.engine.IdleTime(); idle <= 0 {
		t.Errorf("idle for %v", idle)
	}
}
