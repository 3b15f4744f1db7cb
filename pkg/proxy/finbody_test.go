package proxy

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"waggle/pkg/config"
)

// TestFINInsideABody: a client that ends before its request does has ended the connection, as with HAProxy, also if its password was
// being checked when FIN came. It is not waited for until `timeout client`, which would be told by 408.
func TestFINInsideABody(t *testing.T) {
	cfg := fmt.Sprintf(`
userlist l
    user a password %s
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 5s
frontend fe
    bind 127.0.0.1:1
    stats uri /stats
    stats admin if TRUE
    http-request auth unless { path /open } || { http_auth(l) }
    default_backend b
backend b
    server s %s
`, secretHash, named(t, "s"))
	for body, text := range map[string]string{"half": "Content-Length: 100\r\n\r\nabc", "none": "Content-Length: 100\r\n\r\n",
		"large": "Content-Length: 10000000\r\n\r\nabc", "chunks": "Transfer-Encoding: chunked\r\n\r\n5\r\nab"} {
		for _, path := range []string{"/open", "/private", "/stats"} {
			if path == "/stats" && (body == "large" || body == "chunks") {
				continue // nothing of these is waited for
			}
			t.Run(path[1:]+" "+body, func(t *testing.T) {
				w := startConfig(t, cfg)
				w.onLoop(func(*worker) {
					w.engine.setup.Page = func(*config.Proxy, ServiceRequest) ServiceResponse { return ServiceResponse{Status: 200} }
				})
				gate, held := make(chan struct{}), make(chan struct{})
				open := sync.OnceFunc(func() { close(gate) })
				t.Cleanup(open)
				w.engine.logins.Check(w.config.Userlists["l"], []byte("a"), []byte("held"), netip.Addr{}, func() { close(held); <-gate })
				receive(t, held, "the checker") // nothing is checked until the gate opens
				c := w.dial()
				c.send("POST " + path + " HTTP/1.1\r\nHost: t\r\n" + rightOnes + text)
				_ = c.CloseWrite()
				if path != "/open" {
					eventually(t, "FIN is seen while the password waits", func() (seen bool) {
						w.session(func(s *session) { seen = s.phase == checking && s.client.eof })
						return seen
					})
				}
				open()
				if got := c.rest(); got != "" {
					t.Errorf("got %q", got)
				}
			})
		}
	}
}
