package proxy

import (
	"bufio"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestRestOfARefusedBodyIsNoRequest has a server that resets its connection, with or without an answer,
// somewhere in a request's body. What the client goes on to send still belongs to the body (RFC 9112,
// section 9.3), even where it looks like a request. Which of the two ends of the relay is seen first is
// chance, so there are many rounds.
func TestRestOfARefusedBodyIsNoRequest(t *testing.T) {
	var smuggled atomic.Int32
	refusing := listen(t, func(c net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if req.URL.Path != "/body" {
			smuggled.Add(1)
			return
		}
		_, _ = io.CopyN(io.Discard, r, rand.Int64N(200_000))
		if rand.IntN(2) == 0 {
			_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
		}
		_ = c.(*net.TCPConn).SetLinger(0)
	})
	w := start(t, []netip.AddrPort{refusing})
	evil := strings.Repeat("GET /evil HTTP/1.1\r\nHost: t\r\n\r\n", 1000)
	for range 150 {
		c := w.dial()
		c.send("PUT /body HTTP/1.1\r\nHost: t\r\nContent-Length: 100000000\r\n\r\n")
		var sending sync.WaitGroup
		sending.Go(func() {
			for range 20 {
				if _, err := io.WriteString(c.TCPConn, evil); err != nil {
					return // closed: as it must be
				}
			}
			_ = c.CloseWrite()
		})
		answers, _ := io.ReadAll(c.TCPConn)
		sending.Wait()
		c.Close()
		if n := strings.Count(string(answers), "HTTP/1.1 "); n > 1 {
			t.Fatalf("%d answers to one request:\n%s", n, answers)
		}
	}
	if n := smuggled.Load(); n > 0 {
		t.Errorf("%d pieces of a body reached the server as requests", n)
	}
}
