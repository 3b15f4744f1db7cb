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

func TestProxyHeader(t *testing.T) {
	v4, v4too := netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("198.51.100.2:80")
	v6 := netip.MustParseAddrPort("[2001:db8::1]:443")
	for _, tc := range []struct {
		version  int
		src, dst netip.AddrPort
		want     string
	}{
		{1, v4, v4too, "PROXY TCP4 192.0.2.1 198.51.100.2 1000 80\r\n"},
		{1, v6, v6, "PROXY TCP6 2001:db8::1 2001:db8::1 443 443\r\n"},
		{1, v4, v6, "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1000 443\r\n"},
		{1, netip.MustParseAddrPort("[::ffff:192.0.2.1]:1000"), v4too, "PROXY TCP4 192.0.2.1 198.51.100.2 1000 80\r\n"},
		{2, v4, v4too, "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\x03\xe8\x00\x50"},
		{2, v6, v6, "\r\n\r\n\x00\r\nQUIT\n\x21\x21\x00\x24" + strings.Repeat("\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", 2) + "\x01\xbb\x01\xbb"},
	} {
		if got := string(appendProxyHeader(nil, tc.version, tc.src, tc.dst)); got != tc.want {
			t.Errorf("version %d from %s to %s: %q, want %q", tc.version, tc.src, tc.dst, got, tc.want)
		}
	}
}

// TestSendProxy has servers that tell which client the header named, over HTTP and over TCP.
func TestSendProxy(t *testing.T) {
	told := listen(t, func(c net.Conn, r *bufio.Reader) {
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
	for _, mode := range []string{"http", "tcp"} {
		t.Run(mode, func(t *testing.T) {
			w := start(t, []netip.AddrPort{told}, func(_ *Setup, fe, be *config.Proxy) {
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
