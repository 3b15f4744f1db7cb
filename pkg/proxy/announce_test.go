package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"waggle/pkg/config"
)

// tellsHeader runs a server that answers with the PROXY header that it was sent.
func tellsHeader(t *testing.T) netip.AddrPort {
	t.Helper()
	return listen(t, func(c net.Conn, r *bufio.Reader) {
		header, err := r.ReadString('\n')
		if err != nil {
			return
		}
		for n := 1; ; n++ {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			body := fmt.Sprintf("request %d of %s", n, strings.TrimSpace(header))
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
	})
}

// TestSendProxy has servers that tell which client the header named, over HTTP and over TCP.
func TestSendProxy(t *testing.T) {
	for _, mode := range []string{"http", "tcp"} {
		t.Run(mode, func(t *testing.T) {
			w := start(t, []netip.AddrPort{tellsHeader(t)}, func(_ *Setup, fe, be *config.Proxy) {
				fe.HTTP, be.HTTP = mode == "http", mode == "http"
				be.Servers[0].SendProxy = 1
				be.Options.HTTPReuse = config.ReuseAlways
			})
			for range 2 {
				c := w.dial()
				c.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n")
				client, front := c.LocalAddr().(*net.TCPAddr), c.RemoteAddr().(*net.TCPAddr)
				want := fmt.Sprintf("request 1 of PROXY TCP4 127.0.0.1 127.0.0.1 %d %d", client.Port, front.Port)
				if _, body := c.response(http.MethodGet); body != want {
					t.Errorf("got %q, want %q", body, want)
				}
				c.Close()
			}
		})
	}
}
