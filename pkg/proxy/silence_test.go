package proxy

import (
	"bufio"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/pkg/lab/require"
)

// A client whose connection is dropped silently is told nothing, though nothing is left of it here.
func TestSilentDrop(t *testing.T) {
	require.Root(t) // CAP_NET_ADMIN
	for _, x := range []struct {
		front, back []string
		quiet       bool // the client says nothing: nobody is there any more who could hear it without a reset
	}{
		{front: []string{"http-request silent-drop"}},
		{front: []string{"http-response silent-drop if { status 200 }"}},
		{front: []string{"tcp-request content silent-drop"}},
		{front: []string{"tcp-request session silent-drop"}, quiet: true},
		{front: []string{"tcp-request connection silent-drop"}, quiet: true},
		{back: []string{"http-request silent-drop unless { path /x }"}},
	} {
		t.Run(strings.Join(append(x.front, x.back...), ""), func(t *testing.T) {
			w := startText(t, ruleRow{front: x.front, back: x.back}, mirror(t))
			c := w.dial()
			if !x.quiet {
				c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			}
			fe := w.pool.Frontends[0]
			eventually(t, "the connection is dropped", func() bool {
				n := fe.Counters.Sum()
				return n.DeniedReq+n.DeniedResp+n.DeniedConn+n.DeniedSess == 1 && fe.Sessions.Load() == 0
			})
			_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) // what we would have sent is there at once: it is this host
			if n, err := c.Read(make([]byte, 100)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the client was told: %d bytes, %v", n, err)
			}
		})
	}
}

// Where a reset is asked for, one that reaches the client comes.
func TestSilentDropWithReset(t *testing.T) {
	w := startText(t, ruleRow{front: []string{"http-request silent-drop rst-ttl 3"}}, mirror(t))
	c := w.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if n, err := c.Read(make([]byte, 100)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client was told: %d bytes, %v", n, err)
	}
}

// A rule replaces the server's timeout for its request, and for no other.
func TestSetTimeout(t *testing.T) {
	for name, rule := range map[string]string{"time": "http-request set-timeout server 20ms if { path /slow }", "expression": "http-request set-timeout server req.hdr(x-ms) if { path /slow }"} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			server := listen(t, func(c net.Conn, r *bufio.Reader) {
				head, err := readHead(r)
				if err != nil {
					return
				}
				if strings.HasPrefix(head, "GET /patient ") {
					<-release
					_, _ = c.Write([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
				}
				_, _ = readHead(r)
			})
			w := startText(t, ruleRow{back: []string{rule}}, server)
			c := w.dial()
			c.send("GET /slow HTTP/1.1\r\nHost: a\r\nX-Ms: 20\r\n\r\n")
			if resp, _ := c.response("GET"); resp.StatusCode != 504 {
				t.Errorf("status %d", resp.StatusCode)
			}
			c.send("GET /patient HTTP/1.1\r\nHost: a\r\n\r\n")
			other := w.dial() // another request is over meanwhile
			other.send("GET /slow HTTP/1.1\r\nHost: a\r\nX-Ms: 40\r\n\r\n")
			other.response("GET")
			close(release)
			if resp, _ := c.response("GET"); resp.StatusCode != 204 {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
}
