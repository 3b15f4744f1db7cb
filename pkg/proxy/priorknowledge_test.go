package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"waggle/pkg/config"
	"waggle/pkg/lab/pki"
)

// Who begins with the preface of HTTP/2 is spoken to in that, unless the configuration has said what is spoken.
func TestH2ByPriorKnowledge(t *testing.T) {
	ca := pki.New(t)
	for _, tc := range []struct {
		name  string
		set   func(fe *config.Proxy)
		tls   bool // without ALPN
		first string
		want  string // of the first stream, or of HTTP/1
	}{
		{name: "on a line for HTTP/1", want: "200"},
		{name: "over TLS", tls: true, want: "200"},
		{name: "on a line for HTTP/2", set: func(fe *config.Proxy) { fe.Binds[0].Proto = "h2" }, want: "200"},
		{name: "on a line for HTTP/1 alone", set: func(fe *config.Proxy) { fe.Binds[0].Proto = "h1" }, want: "HTTP/1.1 505"},
		{name: "where the option says no", set: func(fe *config.Proxy) { fe.Options.DisableH2Upgrade = true }, want: "HTTP/1.1 505"},
		{name: "behind a request", first: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", want: "HTTP/1.1 505"},
	} {
		for _, piece := range []int{1, 1000} {
			t.Run(tc.name, func(t *testing.T) {
				opts := []option{func(_ *Setup, fe, _ *config.Proxy) {
					if tc.set != nil {
						tc.set(fe)
					}
				}}
				if tc.tls {
					opts = append(opts, secured(t, ca))
				}
				w := start(t, []netip.AddrPort{witness(t)}, opts...)
				e := w.stranger(t, nil)
				if tc.tls {
					conn := tls.Client(e.conn, &tls.Config{RootCAs: ca.Pool(), ServerName: "site.test"})
					e.in, e.out = bufio.NewReader(conn), bufio.NewWriterSize(conn, 64<<10)
					e.Framer = http2.NewFramer(e.out, e.in)
				}
				for _, b := range []byte(tc.first) {
					e.ok(e.out.WriteByte(b))
				}
				for said := http2.ClientPreface; said != ""; {
					n := min(piece, len(said))
					e.out.WriteString(said[:n])
					e.flush()
					said = said[n:]
				}
				if strings.HasPrefix(tc.want, "HTTP") {
					all, _ := io.ReadAll(e.in)
					if got := string(all); !strings.Contains(got, tc.want) {
						t.Errorf("%q", got)
					}
					return
				}
				e.settle()
				id := e.open(true)
				if got := e.outcome(id, tc.want); got != tc.want {
					t.Error(got)
				}
				e.conn.Close()
				w.alone()
			})
		}
	}
}

// The rules for connections and sessions hold for clients who speak HTTP/2 in clear text, too: one place is taken, and given back.
func TestH2ConnectionRules(t *testing.T) {
	for _, rule := range []string{"tcp-request connection reject", "tcp-request session reject", "tcp-request session silent-drop", "http-request silent-drop"} {
		for _, proto := range []string{"", " proto h2"} {
			t.Run(rule+proto, func(t *testing.T) {
				w := startConfig(t, "frontend fe\n mode http\n timeout client 1m\n bind 127.0.0.1:1"+proto+"\n "+rule+"\n")
				e := w.stranger(t, nil)
				e.out.WriteString(http2.ClientPreface)
				e.settle()
				e.open(true)
				_ = e.out.Flush()
				fe := w.pool.Frontends[0]
				eventually(t, "the client is turned away", func() bool {
					n := fe.Counters.Sum()
					return n.DeniedConn+n.DeniedSess+n.DeniedReq == 1 && n.Connections == 1 && fe.Sessions.Load() == 0
				})
			})
		}
	}
}

// What rules have found out about a connection goes along when it becomes one of HTTP/2.
func TestH2KeepsWhatIsKnown(t *testing.T) {
	w := startConfig(t, `
frontend fe
 mode http
 timeout client 1m
 bind 127.0.0.1:1
 stick-table type ip size 10 expire 1h store conn_cur,conn_cnt,http_req_cnt
 tcp-request connection track-sc0 src
 tcp-request session set-var(sess.mine) str(kept)
 http-request return status 200 hdr x-var %[var(sess.mine)] hdr x-conns %[sc0_conn_cnt],%[sc0_conn_cur] hdr x-src %[src]
`)
	e := w.enemy()
	e.dec = hpack.NewDecoder(4096, nil)
	for range 2 {
		id := e.open(true)
		e.flush()
		got := e.answer(id).String()
		if !strings.Contains(got, "x-var=kept") || !strings.Contains(got, "x-conns=1,1") || !strings.Contains(got, "x-src=127.0.0.1") {
			t.Error(got)
		}
	}
	e.conn.Close()
	eventually(t, "nothing is left", func() bool { return w.pool.Frontends[0].Sessions.Load() == 0 })
}
