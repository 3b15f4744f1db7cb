package proxy

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"waggle/pkg/config"
	"waggle/pkg/lab/pki"
	"waggle/pkg/proxy/proxyproto"
	"waggle/pkg/sample"
)

func acceptProxy(_ *Setup, fe, _ *config.Proxy) { fe.Binds[0].AcceptProxy = true }

// TestAcceptProxy: the addresses of the header are those that the server is told, over HTTP and TCP, in one piece
// with what follows or byte by byte.
func TestAcceptProxy(t *testing.T) {
	src, dst := netip.MustParseAddrPort("192.0.2.7:1234"), netip.MustParseAddrPort("198.51.100.9:443")
	want := "PROXY TCP4 192.0.2.7 198.51.100.9 1234 443"
	for _, mode := range []string{"http", "tcp"} {
		w := start(t, []netip.AddrPort{tellsHeader(t)}, acceptProxy, func(_ *Setup, fe, be *config.Proxy) {
			fe.HTTP, be.HTTP = mode == "http", mode == "http"
			be.Servers[0].SendProxy = 1
		})
		for _, version := range []int{1, 2} {
			for _, piece := range []int{1 << 20, 1} {
				c := w.dial()
				all := string(proxyproto.Append(nil, version, src, dst)) + "GET / HTTP/1.1\r\nHost: t\r\n\r\n"
				for len(all) > 0 {
					n := min(piece, len(all))
					c.send(all[:n])
					all = all[n:]
				}
				if _, body := c.response("GET"); body != "request 1 of "+want {
					t.Errorf("%s, version %d: got %q, want %q", mode, version, body, want)
				}
				c.Close()
			}
		}
	}
}

// TestAcceptProxyCountsNoHeader: what is counted are the bytes behind the header.
func TestAcceptProxyCountsNoHeader(t *testing.T) {
	w := start(t, []netip.AddrPort{named(t, "a")}, acceptProxy)
	c := w.dial()
	request := "GET / HTTP/1.1\r\nHost: t\r\n\r\n"
	c.send("PROXY UNKNOWN\r\n" + request)
	if resp, _ := c.response("GET"); resp.StatusCode != 200 {
		t.Fatalf("status %d", resp.StatusCode)
	}
	c.Close()
	fe := w.pool.Frontend("fe")
	eventually(t, "the session has ended", func() bool { return fe.Sessions.Load() == 0 })
	if got := fe.Counters.Sum().BytesIn; got != uint64(len(request)) {
		t.Errorf("%d bytes in, want %d", got, len(request))
	}
}

// TestAcceptProxyRefuses closes without a word, and without a server having been asked.
func TestAcceptProxyRefuses(t *testing.T) {
	for name, bytes := range map[string]string{
		"no header":        "GET / HTTP/1.1\r\nHost: t\r\n\r\n",
		"malformed header": "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n",
		"endless header":   "PROXY UNKNOWN " + strings.Repeat("x", 200),
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, []netip.AddrPort{named(t, "a")}, acceptProxy)
			c := w.dial()
			c.send(bytes)
			c.ends()
			sum := w.pool.Frontend("fe").Counters.Sum()
			if sum.ReqErrors != 1 || sum.Requests != 0 || w.pool.Backend("be").Counters.Sum().Sessions != 0 {
				t.Errorf("counted %+v", sum)
			}
		})
	}
}

// TestAcceptProxyWaitsOnlySoLong for a header that does not come: no longer than for a request.
func TestAcceptProxyWaitsOnlySoLong(t *testing.T) {
	for _, mode := range []string{"http", "tcp"} {
		w := start(t, []netip.AddrPort{named(t, "a")}, acceptProxy, func(_ *Setup, fe, be *config.Proxy) {
			fe.HTTP, be.HTTP = mode == "http", mode == "http"
			fe.Timeouts.Client = soon
			if mode == "http" {
				fe.Timeouts.Client, fe.Timeouts.HTTPRequest = never, soon
			}
		})
		c := w.dial()
		c.send("PROXY ")
		sessions := &w.pool.Frontend("fe").Sessions
		eventually(t, "the client is there", func() bool { return sessions.Load() == 1 })
		w.skip(soon / 2)
		if sessions.Load() != 1 {
			t.Errorf("%s: it is closed too early", mode)
		}
		w.skip(soon / 2)
		c.ends()
	}
}

// TestExpectProxy asks only those for a header that the rule is about, whose address is that of the connection.
func TestExpectProxy(t *testing.T) {
	for _, expected := range []bool{true, false} {
		cond, err := sample.ParseCond([]string{map[bool]string{true: "if", false: "unless"}[expected], "{", "src", "127.0.0.1", "}"},
			sample.Env{Where: sample.AtConnection})
		if err != nil {
			t.Fatal(err)
		}
		w := start(t, []netip.AddrPort{tellsHeader(t)}, func(_ *Setup, fe, be *config.Proxy) {
			fe.TCPConnection = []config.TCPRule{{Action: config.TCPExpectProxy, Cond: cond}, {Action: config.TCPAccept}}
			be.Servers[0].SendProxy = 1
		})
		c := w.dial()
		want := "request 1 of PROXY TCP4 192.0.2.7 198.51.100.9 1 2"
		if expected {
			c.send("PROXY TCP4 192.0.2.7 198.51.100.9 1 2\r\n")
		} else {
			want = "request 1 of PROXY TCP4 127.0.0.1 127.0.0.1"
		}
		c.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n")
		if _, body := c.response("GET"); !strings.HasPrefix(body, want) {
			t.Errorf("expected %v: got %q", expected, body)
		}
	}
}

// TestAcceptProxyBeforeTLS: the header stands in front of the handshake, or of the preface of HTTP/2; whoever does not
// send it is refused, and counted.
func TestAcceptProxyBeforeTLS(t *testing.T) {
	src, dst := netip.MustParseAddrPort("192.0.2.7:1234"), netip.MustParseAddrPort("198.51.100.9:443")
	forwarded := func(_ *Setup, fe, _ *config.Proxy) { fe.Options.ForwardFor = &config.ForwardFor{} }
	eachWay(t, func(t *testing.T, w *world, c *http.Client, url string) {
		for _, version := range []int{1, 2} {
			header := proxyproto.Append(nil, version, src, dst)
			w.greeting = header
			resp, body := w.exchange(c, request(t, "POST", url+"/", strings.NewReader("hello")))
			if resp.StatusCode != 200 || string(body) != "hello" || resp.Header.Get("X-For") != "192.0.2.7" {
				t.Errorf("version %d: %d %q, x-forwarded-for %q", version, resp.StatusCode, body, resp.Header.Get("X-For"))
			}
			c.CloseIdleConnections()
		}
		w.greeting = []byte("GET / HTTP/1.1\r\n\r\n")
		if resp, err := c.Do(request(t, "GET", url+"/", nil)); err == nil {
			resp.Body.Close()
			t.Errorf("without a header: %s", resp.Status)
		}
		eventually(t, "it is counted", func() bool { return w.pool.Frontends[0].Counters.Sum().ReqErrors > 0 })
	}, acceptProxy, forwarded)
}

// TestExpectProxyBeforeTLS: the rule asks for the header of those whom it picks.
func TestExpectProxyBeforeTLS(t *testing.T) {
	ca := pki.New(t)
	w := start(t, []netip.AddrPort{witness(t)}, secured(t, ca, "http/1.1"), func(_ *Setup, fe, _ *config.Proxy) {
		fe.Options.ForwardFor = &config.ForwardFor{}
		fe.TCPConnection = []config.TCPRule{{Action: config.TCPExpectProxy}}
	})
	w.greeting = proxyproto.Append(nil, 2, netip.MustParseAddrPort("192.0.2.9:1"), netip.MustParseAddrPort("192.0.2.1:2"))
	resp, _ := w.exchange(w.browser(ca, false), request(t, "GET", "https://site.test/", nil))
	if got := resp.Header.Get("X-For"); got != "192.0.2.9" {
		t.Errorf("x-forwarded-for %q", got)
	}
}
