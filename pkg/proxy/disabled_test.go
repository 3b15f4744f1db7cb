package proxy

import (
	"io"
	"strings"
	"testing"
)

// A backend that is disabled may be named, and its connections get what they get where there is no backend: 503 in HTTP, the end
// in TCP (observed on HAProxy 2.6).
func TestDisabledBackends(t *testing.T) {
	const text = `
defaults
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend fe
    bind 127.0.0.1:1
    mode MODE
    RULE
    default_backend off
backend off
    mode MODE
    disabled
    server s 127.0.0.1:9
`
	w := startConfig(t, strings.NewReplacer("MODE", "http", "RULE", "use_backend off if { path /off }").Replace(text))
	for _, path := range []string{"/", "/off"} {
		if status, _ := w.dial().get(path); status != 503 {
			t.Errorf("%s: status %d", path, status)
		}
	}
	w = startConfig(t, strings.NewReplacer("MODE", "tcp", "RULE", "").Replace(text))
	if n, err := w.dial().Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("%d bytes, %v", n, err)
	}
}
