package peers

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"waggle/pkg/lab/labtest"
)

// TestInspectionAsHAProxy: by the client's first bytes waggle and HAProxy choose the same server, at the same time.
func TestInspectionAsHAProxy(t *testing.T) {
	names := map[string]string{}
	dir := t.TempDir()
	certificates(t, dir)
	for _, name := range []string{"a", "b"} {
		s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) }))
		t.Cleanup(s.Close)
		names[name] = s.Listener.Addr().String()
	}
	const delay = 2 * time.Second // in which everybody has said who it is, also where the machine stalls
	const text = `
defaults
    mode tcp
    timeout connect 5s
    timeout client 20s
    timeout server 20s
frontend edge
    bind %[1]s
    tcp-request inspect-delay %[4]dms
    tcp-request content accept if { req.ssl_hello_type 1 }
    tcp-request content accept if { req.payload(0,4) -m str PING }
    tcp-request content accept if { req.len gt 20 }
    tcp-request content reject if WAIT_END
    use_backend a if { req.ssl_sni -i a.test } or { req_ssl_sni -m end .a.test }
    default_backend b
backend a
    server s %[2]s
backend b
    server s %[3]s
`
	for _, contender := range []string{"waggle", "haproxy"} {
		addr := labtest.FreeAddr(t).String()
		config := fmt.Sprintf(text, addr, names["a"], names["b"], delay.Milliseconds())
		contend(t, contender, config, addr)
		e := &edge{name: contender, dir: dir, web: addr}
		for name, want := range map[string]string{"a.test": "a1.1 200", "A.test": "a1.1 200", "x.a.test": "a1.1 200", "b.test": "b1.1 200", "za.test": "b1.1 200"} {
			if got := e.curl(t, name, addr, "-k", "--http1.1"); got != want {
				t.Errorf("%s, %s: %q, want %q", contender, name, got, want)
			}
		}
		var waiting sync.WaitGroup
		for _, say := range []string{"", "GET", "\x16\x03\x01\x02", "GET / HTTP/1.1"} {
			begun := time.Now()
			c := dial(t, addr)
			waiting.Go(func() {
				_, _ = io.WriteString(c, say)
				if got, _ := io.ReadAll(c); len(got) > 0 {
					t.Errorf("%s, %q: got %q", contender, say, got)
				}
				if took := time.Since(begun); took < delay-time.Millisecond { // HAProxy's clock has only those
					t.Errorf("%s, %q: closed after %v", contender, say, took)
				}
			})
		}
		waiting.Wait()
		// What has been let in is the TLS server's, which answers HTTP in clear text with an alert or 400.
		for _, say := range []string{"PING", "GET / HTTP/1.1\r\nHost: long enough\r\n\r\n"} {
			c := dial(t, addr)
			_, _ = io.WriteString(c, say)
			_ = c.(interface{ CloseWrite() error }).CloseWrite()
			if got, _ := io.ReadAll(c); len(got) == 0 && say != "PING" {
				t.Errorf("%s, %q: nothing came back", contender, say)
			}
		}
	}
}
