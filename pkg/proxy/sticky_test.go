package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"waggle/pkg/config"
	"waggle/pkg/lab/pki"
	"waggle/pkg/stick"
)

// count gives what a table has counted of this machine.
func (w *world) count(t *testing.T, d stick.Data) uint64 {
	t.Helper()
	n, _ := w.engine.StickTables()[0].Look([]byte("127.0.0.1"), d)
	return n
}

const stickyConfig = `
defaults
    mode http
    timeout connect 1m
    timeout client 1m
    timeout server 1m
frontend fe
    bind 127.0.0.1:1
    stick-table type ip size 100 expire 1m store conn_cnt,conn_cur,sess_cnt,http_req_cnt,http_req_rate(1h),http_err_cnt
    %s
    default_backend b
backend b
    server s %s
`

// The fourth request of an hour is refused, whichever connection it comes by.
func TestRateOfRequests(t *testing.T) {
	for name, rules := range map[string]string{
		"by request":    "http-request track-sc0 src\n    http-request deny deny_status 429 if { sc_http_req_rate(0) gt 3 }",
		"by connection": "tcp-request connection track-sc0 src\n    http-request deny deny_status 429 if { sc0_http_req_rate gt 3 }",
		"by content":    "tcp-request content track-sc1 src table fe\n    http-request deny deny_status 429 if { sc1_http_req_rate(fe) gt 3 }",
		"by address":    "http-request track-sc2 src\n    http-request deny deny_status 429 if { src_http_req_rate(fe) gt 3 }",
	} {
		t.Run(name, func(t *testing.T) {
			w := startConfig(t, fmt.Sprintf(stickyConfig, rules, named(t, "a")))
			var got []int
			for range 3 {
				c := w.dial()
				for range 2 {
					status, _ := c.get("/")
					got = append(got, status)
				}
				c.Close()
			}
			if fmt.Sprint(got) != "[200 200 200 429 429 429]" {
				t.Errorf("answers %v", got)
			}
			eventually(t, "nobody is connected", func() bool { return w.count(t, stick.ConnCur) == 0 })
			want := map[stick.Data]uint64{stick.HTTPReqCnt: 6, stick.HTTPErrCnt: 3, stick.ConnCnt: 6, stick.SessCnt: 0}
			if strings.HasPrefix(name, "by connection") {
				want[stick.ConnCnt], want[stick.SessCnt] = 3, 3
			}
			for d, n := range want {
				if got := w.count(t, d); got != n {
					t.Errorf("%s is %d, want %d", d, got, n)
				}
			}
		})
	}
}

// Connections at once are bounded for each address, and the place is free again when one ends; also over TLS, whose
// connections have no session of their own when the rules run.
func TestConnectionsOfAnAddress(t *testing.T) {
	rules := "tcp-request connection track-sc0 src\n    tcp-request connection reject if { sc_conn_cur(0) gt 2 }"
	w := startConfig(t, fmt.Sprintf(stickyConfig, rules, named(t, "a")))
	held := []*client{w.dial(), w.dial()}
	for _, c := range held {
		c.get("/")
	}
	third := w.dial()
	third.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if b, err := third.r.ReadByte(); err == nil {
		t.Errorf("a third connection got %q", b)
	}
	held[0].Close()
	eventually(t, "one has left", func() bool { return w.count(t, stick.ConnCur) == 1 })
	if status, _ := w.dial().get("/"); status != 200 {
		t.Errorf("then it got %d", status)
	}

	ca := pki.New(t)
	tls := start(t, []netip.AddrPort{named(t, "a")}, secured(t, ca, "h2", "http/1.1"), func(s *Setup, fe, _ *config.Proxy) {
		cfg, _, err := config.Parse("t", []byte(fmt.Sprintf(stickyConfig, rules+"\n    http-request deny deny_status 429 if { sc_http_req_cnt(0) gt 2 }", "192.0.2.1:1")), config.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		from := cfg.Proxies[0]
		fe.StickTable, fe.TCPConnection, fe.HTTPRequest = from.StickTable, from.TCPConnection, from.HTTPRequest
	})
	c := tls.browser(ca, true)
	for _, want := range []int{200, 200, 429} {
		if resp, _ := tls.exchange(c, request(t, "GET", "https://site.test/", nil)); resp.StatusCode != want {
			t.Errorf("over TLS: %d, want %d", resp.StatusCode, want)
		}
	}
	if n := tls.count(t, stick.ConnCur); n != 1 {
		t.Errorf("over TLS: %d connections", n)
	}
	c.CloseIdleConnections()
	eventually(t, "it has left", func() bool { return tls.count(t, stick.ConnCur) == 0 })
}

// What was counted stays through a reload that leaves the table as it is.
func TestReloadKeepsTables(t *testing.T) {
	w := startConfig(t, fmt.Sprintf(stickyConfig, "http-request track-sc0 src", named(t, "a")))
	w.dial().get("/")
	w.reload()
	w.dial().get("/")
	if n := w.count(t, stick.HTTPReqCnt); n != 2 {
		t.Errorf("%d requests", n)
	}
	changed := *w.config.Proxies[0].StickTable
	changed.Size++
	w.config.Proxies[0].StickTable = &changed
	w.reload()
	if n := w.count(t, stick.HTTPReqCnt); n != 0 {
		t.Errorf("%d requests in a new table", n)
	}
}

// What a table has counted stands where a rule puts it, and changes nothing of the text in front of it.
func TestCountsWithinText(t *testing.T) {
	rules := "http-request track-sc0 src\n    http-request set-header x-first %[path]-and-more-than-an-address-is-long\n" +
		"    http-request set-header x-count this-address-has-%[src_http_req_cnt]-requests"
	w := startConfig(t, fmt.Sprintf(stickyConfig, rules, mirror(t)))
	c := w.dial()
	for n := 1; n <= 2; n++ {
		_, seen := c.get("/")
		if want := fmt.Sprintf("\r\nx-count: this-address-has-%d-requests\r\n", n); !strings.Contains(seen, want) {
			t.Errorf("the server has seen %q, without %q", seen, want)
		}
	}
}

// A connection counts once, however many requests it carries at the same time, and they share its variables.
func TestOneConnectionManyStreams(t *testing.T) {
	const rules = `tcp-request connection set-var(sess.from) src
    tcp-request session track-sc0 src
    http-request set-var(sess.first) path if { path /first }
    http-request return status 200 hdr x-seen "%[var(sess.from)] %[var(sess.first)] %[sc0_conn_cnt] %[sc0_conn_cur] %[sc0_sess_cnt]" if !{ path /held }`
	held := listen(t, func(_ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
	cfg, _, err := config.Parse("t", []byte(fmt.Sprintf(stickyConfig, rules, held)), config.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eachWay(t, func(t *testing.T, w *world, c *http.Client, url string) {
		w.exchange(c, request(t, "GET", url+"/first", nil))
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		defer all.Wait()
		defer cancel()
		if _, one := c.Transport.(*http.Transport); !one {
			for range 3 {
				all.Go(func() {
					if resp, err := c.Do(request(t, "GET", url+"/held", nil).WithContext(ctx)); err == nil {
						resp.Body.Close()
					}
				})
			}
			eventually(t, "streams are held", func() bool { return w.pool.Backend("b").Servers()[0].Sessions.Load() == 3 })
		}
		resp, _ := w.exchange(c, request(t, "GET", url+"/", nil))
		if got := resp.Header.Get("x-seen"); got != "127.0.0.1 /first 1 1 1" {
			t.Errorf("seen: %s", got)
		}
	}, func(s *Setup, fe, _ *config.Proxy) {
		bind := fe.Binds
		*fe = *cfg.Proxies[0]
		fe.Binds = bind
		s.Config.Proxies = []*config.Proxy{fe, cfg.Proxies[1]}
	})
}
