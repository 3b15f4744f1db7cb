package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"waggle/pkg/config"
)

// jammed says whether bytes wait in the engine for the client to read.
func (w *world) jammed() (yes bool) {
	w.onLoop(func(k *worker) { s := k.sessions; yes = s != nil && s.client.out.len() > 0 && !s.client.canWrite })
	return yes
}

// flood answers requests with a response that goes on until the client, who reads nothing, has no room for more, and then
// ends: its last bytes wait in the engine. It gives what it has sent.
func flood(t *testing.T, jammed func() bool) (addr netip.AddrPort, sent <-chan []byte) {
	bodies := make(chan []byte, 2)
	addr = listen(t, func(c net.Conn, r *bufio.Reader) {
		for {
			if _, err := readHead(r); err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			piece, body := pattern(4<<10), []byte(nil)
			for !jammed() && len(body) < 64<<20 {
				if _, err := fmt.Fprintf(c, "%x\r\n%s\r\n", len(piece), piece); err != nil {
					break
				}
				body = append(body, piece...)
			}
			_, _ = io.WriteString(c, "0\r\n\r\n")
			bodies <- body
		}
	})
	return addr, bodies
}

// TestSlowReaderIsNotIdle: `timeout http-keep-alive` begins when the client has been given the whole response, whose end
// may wait in the engine for long after the request is done with; until then it is `timeout client`, as in HAProxy's
// h1_refresh_timeout.
func TestSlowReaderIsNotIdle(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: t\r\n\r\n"
	for _, more := range []string{"", "GET "} {
		t.Run(fmt.Sprintf("it has sent %q", more), func(t *testing.T) {
			var w *world
			server, sent := flood(t, func() bool { return w.jammed() })
			w = start(t, []netip.AddrPort{server}, func(_ *Setup, fe, _ *config.Proxy) {
				fe.Timeouts.Client, fe.Timeouts.HTTPKeepAlive, fe.Timeouts.HTTPRequest = never, soon, soon
			})
			c := w.dial()
			c.send(request + more)
			body := receive(t, sent, "the server to have sent all")
			eventually(t, "the request is done with", func() bool { return w.pool.Backend("be").Sessions.Load() == 0 })
			w.skip(4 * soon) // longer than an idle client is waited for
			if !w.jammed() {
				t.Error("nothing waits for the client any more")
			}
			resp, got := c.response("GET")
			if resp.StatusCode != 200 {
				t.Errorf("status %d", resp.StatusCode)
			}
			sameBytes(t, []byte(got), body)
			eventually(t, "it is idle from then on", func() bool { return w.expires(t) <= soon })
			w.skip(soon)
			if more == "" {
				if rest := c.rest(); rest != "" {
					t.Errorf("%q follows", rest)
				}
			} else if resp, _ := c.response("GET"); resp.StatusCode != http.StatusRequestTimeout {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
}

// TestReaderThatStopsIsCutOff: `timeout client` ends a client that leaves the end of a response unread.
func TestReaderThatStopsIsCutOff(t *testing.T) {
	var w *world
	server, sent := flood(t, func() bool { return w.jammed() })
	w = start(t, []netip.AddrPort{server}, func(_ *Setup, fe, _ *config.Proxy) {
		fe.Timeouts.Client, fe.Timeouts.HTTPKeepAlive = soon, never
	})
	c := w.dial()
	c.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n")
	body := receive(t, sent, "the server to have sent all")
	eventually(t, "its end waits for the client", w.jammed)
	w.skip(soon)
	eventually(t, "the session ends", func() bool { return w.pool.Frontend("fe").Sessions.Load() == 0 })
	got, _ := io.ReadAll(c.TCPConn)
	if bytes.HasSuffix(got, []byte("\r\n0\r\n\r\n")) {
		t.Errorf("the client got all of the %d bytes", len(body))
	}
}
