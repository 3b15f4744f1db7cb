package proxy

import (
	"net/netip"
	"testing"

	"waggle/pkg/config"
)

// Who is refused is closed without an answer, and counted where the rule stood.
func TestRefusals(t *testing.T) {
	reject := []config.TCPRule{{Action: config.TCPReject}}
	for name, set := range map[string]func(*config.Proxy){
		"connection": func(fe *config.Proxy) { fe.TCPConnection = reject },
		"session":    func(fe *config.Proxy) { fe.TCPSession = reject },
		"content":    func(fe *config.Proxy) { fe.TCPContent = reject },
		"http":       func(fe *config.Proxy) { fe.HTTPRequest = []config.HTTPRule{{Action: config.ActionReject}} },
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, []netip.AddrPort{named(t, "one")}, func(_ *Setup, fe, _ *config.Proxy) { set(fe) })
			c := w.dial()
			_, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: test\r\n\r\n")) // it may be refused before that
			if n, err := c.Read(make([]byte, 100)); err == nil || n > 0 {
				t.Errorf("answered with %d bytes", n)
			}
			sum := w.pool.Frontend("fe").Counters.Sum()
			got := map[string]uint64{"connection": sum.DeniedConn, "session": sum.DeniedSess, "content": sum.DeniedReq, "http": sum.DeniedReq}
			if got[name] != 1 || sum.DeniedConn+sum.DeniedSess+sum.DeniedReq != 1 {
				t.Errorf("counted %d connections, %d sessions, %d requests", sum.DeniedConn, sum.DeniedSess, sum.DeniedReq)
			}
		})
	}
}
