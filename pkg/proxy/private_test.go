package proxy

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"waggle/pkg/config"
)

// Where a server authenticates a connection instead of requests, no other client may use it, and its own must, as in
// HAProxy (configuration manual, http-reuse).
func TestConnectionOfOneClient(t *testing.T) {
	for _, scheme := range []string{"NTLM", "Negotiate", "negotiate YII=", "Nego2", "Basic realm=\"x\""} {
		var conns atomic.Int32
		w := start(t, []netip.AddrPort{listen(t, func(c net.Conn, r *bufio.Reader) {
			n := conns.Add(1)
			for i := 0; ; i++ {
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				status, text := "200 OK", fmt.Sprint(n)
				if i == 0 && req.URL.Path == "/private" {
					status = "401 Unauthorized\r\nWWW-Authenticate: " + scheme
				}
				fmt.Fprintf(c, "HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", status, len(text), text)
			}
		})}, func(_ *Setup, _, be *config.Proxy) { be.Options.HTTPReuse = config.ReuseAlways })
		a, b := w.dial(), w.dial()
		a.get("/private")
		_, bob := b.get("/")
		_, ann := a.get("/private")
		if shared := strings.HasPrefix(scheme, "Basic"); ann != "1" || (bob == "1") != shared {
			t.Errorf("%s: the first client goes on over connection %s, another over %s", scheme, ann, bob)
		}
		a.Close()
		if scheme == "NTLM" {
			eventually(t, "the connection goes with its client", func() bool { return w.idle() == 1 })
		}
	}
}
