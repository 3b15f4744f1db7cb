package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"waggle/pkg/config"
)

const evilRequest = "GET /evil HTTP/1.1\r\nHost: t\r\n\r\n"

// TestWhatFollowsIsNoRequest sends something after a request that looks like another one but belongs to the first, or
// to a protocol that was refused. One answer must come, the connection must close, and no server may see the rest.
func TestWhatFollowsIsNoRequest(t *testing.T) {
	rule := func(r config.HTTPRule) func(fe *config.Proxy) {
		return func(fe *config.Proxy) { fe.HTTPRequest = []config.HTTPRule{r} }
	}
	none := func(*config.Proxy) {}
	chunked := "PUT / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
	length := "PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: 32\r\n\r\n"
	for _, tc := range []struct {
		name    string
		set     func(fe *config.Proxy)
		server  string // its answer to each request, before it has read a body
		request string
		status  string
	}{
		{"a refused CONNECT", none, "", "CONNECT t:443 HTTP/1.1\r\nHost: t:443\r\n\r\n", "405"},
		{"a denied body", rule(config.HTTPRule{Action: config.ActionDeny}), "", length, "403"},
		{"denied chunks", rule(config.HTTPRule{Action: config.ActionDeny}), "", chunked, "403"},
		{"a redirected body", rule(config.HTTPRule{Action: config.ActionRedirect, Target: "/x"}), "", length, "302"},
		{"metrics with a body in chunks", rule(config.HTTPRule{Action: config.ActionPrometheus}), "", chunked + "5\r\n", "200"},
		{"metrics with a body larger than a buffer", rule(config.HTTPRule{Action: config.ActionPrometheus}), "",
			"PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n", "200"},
		{"no server for a body", func(fe *config.Proxy) { fe.DefaultBackend = "" }, "", length, "503"},
		{"monitor-uri with a body", func(fe *config.Proxy) { fe.MonitorURI = "/" }, "", length, "200"},
		{"a malformed request", none, "", "GET / HTTP/1.1\r\nHost : t\r\n\r\n", "400"},
		{"two lengths", none, "", "PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde", "400"},
		{"length and chunks", none, "", "PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""},
		{"malformed chunks", none, "", chunked + "zz\r\n", "400"},
		{"an early final answer to an expectation", none, "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n",
			"PUT / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n", "417"},
		{"the same after 100", none, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
			"PUT / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n", "100"},
		{"chunks for a client of 1.0", none, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			"GET / HTTP/1.0\r\nHost: t\r\nConnection: keep-alive\r\n\r\n", "200"},
		{"a switch of protocols within a body", none, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
			"PUT / HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 100000\r\n\r\n", "502"},
		{"a response until close", none, "HTTP/1.0 200 OK\r\n\r\nhello", "GET / HTTP/1.1\r\nHost: t\r\n\r\n", "200"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var evil atomic.Int32
			server := listen(t, func(c net.Conn, r *bufio.Reader) {
				head, err := readHead(r)
				if err != nil {
					return
				}
				if strings.Contains(head, "/evil") {
					evil.Add(1)
				}
				answer := tc.server
				if answer == "" {
					answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
				}
				_, _ = io.WriteString(c, answer)
				if strings.HasPrefix(answer, "HTTP/1.0") {
					return
				}
				rest, _ := io.ReadAll(r) // a body, never heads
				if strings.Contains(string(rest), "/evil") && strings.HasPrefix(head, "GET") {
					evil.Add(1)
				}
			})
			w := start(t, []netip.AddrPort{server}, func(s *Setup, fe, _ *config.Proxy) {
				s.Exporter = func(ServiceRequest) ServiceResponse { return ServiceResponse{Status: 200} }
				tc.set(fe)
			})
			c := w.dial()
			c.send(tc.request + evilRequest)
			got, _ := io.ReadAll(c.TCPConn)
			answers := strings.Count(string(got), "HTTP/1.1 ")
			if strings.HasPrefix(string(got), "HTTP/1.1 100") {
				answers--
			}
			if answers != 1 || tc.status != "" && !strings.HasPrefix(string(got), "HTTP/1.1 "+tc.status) {
				t.Errorf("%d answers, want one of %s:\n%s", answers, tc.status, got)
			}
			if n := evil.Load(); n > 0 {
				t.Errorf("a server saw the rest as a request")
			}
		})
	}
}

// TestARewrittenMethodDecidesWhetherARequestIsRepeated: what has become a POST is sent once, whatever it was.
func TestARewrittenMethodDecidesWhetherARequestIsRepeated(t *testing.T) {
	var posts atomic.Int32
	stale := listen(t, func(c net.Conn, r *bufio.Reader) {
		for n := 0; ; n++ {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if req.Method == "POST" {
				posts.Add(1)
			}
			if n > 0 { // it closes without a word
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	w := start(t, []netip.AddrPort{stale}, func(_ *Setup, fe, _ *config.Proxy) {
		fe.HTTPRequest = []config.HTTPRule{{Action: config.ActionSetMethod, Value: "POST"}}
	})
	c := w.dial()
	c.get("/1")
	c.send("GET /2 HTTP/1.1\r\nHost: t\r\n\r\n")
	_ = c.rest()
	if n := posts.Load(); n != 2 {
		t.Errorf("2 requests were sent as %d", n)
	}
}
