package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"waggle/pkg/config"
)

func TestRoundRobinPerRequest(t *testing.T) {
	w := start(t, []netip.AddrPort{named(t, "a"), named(t, "b"), named(t, "c")})
	c := w.dial()
	got := map[string]int{}
	for i := range 9 {
		status, body := c.get(fmt.Sprint("/", i))
		if status != 200 {
			t.Fatalf("request %d: status %d", i, status)
		}
		got[body[:1]]++
	}
	for _, name := range []string{"a", "b", "c"} {
		if got[name] != 3 {
			t.Errorf("server %s answered %d of 9 requests over one connection, want 3", name, got[name])
		}
	}
	for _, s := range w.pool.Backend("be").Servers() {
		if sum := s.Counters.Sum(); sum.Connects != 1 || sum.Reuses != 2 || sum.Requests != 3 || sum.HTTP[1] != 3 {
			t.Errorf("server %s: %+v", s.Name, sum)
		}
	}
}

// TestResponses compares whole exchanges byte by byte. "…" of the client stands for its closing to write.
func TestResponses(t *testing.T) {
	tests := []struct{ name, request, answer, want string }{
		{"body until close, as the seed's server sends it",
			"GET / HTTP/1.1\r\nHost: t\r\n\r\n",
			"HTTP/1.0 200 ok\r\nServer: x\r\n\r\nhostname: abc",
			"HTTP/1.1 200 ok\r\nServer: x\r\nconnection: close\r\n\r\nhostname: abc"},
		{"fields pass as they came, those of one hop do not",
			"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
			"HTTP/1.1 200 OK\r\nX-Odd:  a , b\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
			"HTTP/1.1 200 OK\r\nX-Odd:  a , b\r\nContent-Length: 2\r\nconnection: close\r\n\r\nhi"},
		{"HTTP/1.0 client that keeps its connection",
			"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
			"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nconnection: keep-alive\r\n\r\nhi" +
				"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nconnection: close\r\n\r\nhi"},
		{"HEAD has no body whatever the length says",
			"HEAD / HTTP/1.1\r\nHost: t\r\n\r\nHEAD / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2000\r\nconnection: close\r\n\r\n"},
		{"304 and 204 have no body",
			"GET / HTTP/1.1\r\nHost: t\r\n\r\nGET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
			"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
			"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nconnection: close\r\n\r\n"},
		{"interim responses are passed on",
			"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
			"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
			"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nconnection: close\r\n\r\nhi"},
		{"interim responses are kept from HTTP/1.0 clients",
			"GET / HTTP/1.0\r\n\r\n",
			"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
			"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nconnection: close\r\n\r\nhi"},
		{"trailers pass",
			"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nconnection: close\r\n\r\n5;x=1\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"},
		{"no answer", "GET / HTTP/1.0\r\n\r\n", "", badGateway},
		{"an answer that is not HTTP", "GET / HTTP/1.0\r\n\r\n", "FOO\r\n\r\n", badGateway},
		{"half a head", "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-", badGateway},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := start(t, []netip.AddrPort{scripted(t, tt.answer)})
			c := w.dial()
			c.send(tt.request)
			if got := c.rest(); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

const badGateway = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 107\r\ncache-control: no-cache\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n" +
	"<html><body><h1>502 Bad Gateway</h1>\nThe server returned an invalid or incomplete response.\n</body></html>\n"

func TestNoServerIs503AndConnectionLives(t *testing.T) {
	w := start(t, nil)
	c := w.dial()
	want := "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n"
	for range 2 {
		if status, body := c.get("/"); status != 503 || body != want {
			t.Errorf("got %d %q", status, body)
		}
	}
}

func TestRequestHeadOnTheWire(t *testing.T) {
	heads := make(chan string, 4)
	srv := listen(t, func(c net.Conn, r *bufio.Reader) {
		for {
			head, err := readHead(r)
			if err != nil {
				return
			}
			heads <- head
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	w := start(t, []netip.AddrPort{srv}, func(_ *Setup, fe, be *config.Proxy) {
		be.Options.ForwardFor = &config.ForwardFor{}
		fe.HTTPRequest = []config.HTTPRule{
			{Action: config.ActionSetHeader, Target: "X-A", Value: "1"},
			{Action: config.ActionAddHeader, Target: "X-B", Value: "2"},
			{Action: config.ActionDelHeader, Target: "X-C"},
		}
	})
	c := w.dial()
	c.send("GET /p?q HTTP/1.1\r\nHost: t\r\nX-a: 0\r\nx-c: 0\r\nConnection: keep-alive, X-Named\r\nX-Named: 1\r\nUser-Agent:  u\r\n\r\n")
	c.response("GET")
	want := "GET /p?q HTTP/1.1\r\nHost: t\r\nX-Named: 1\r\nUser-Agent:  u\r\nX-A: 1\r\nX-B: 2\r\nx-forwarded-for: 127.0.0.1\r\n\r\n"
	if got := receive(t, heads, "a head at the server"); !strings.EqualFold(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestPipelining(t *testing.T) {
	w := start(t, []netip.AddrPort{named(t, "a"), named(t, "b")})
	c := w.dial()
	var all strings.Builder
	for i := range 50 {
		fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc", i)
	}
	c.send(all.String())
	for i := range 50 {
		_, body := c.response("POST")
		if want := fmt.Sprintf(" POST /%d 3", i); !strings.HasSuffix(body, want) {
			t.Fatalf("response %d is %q", i, body)
		}
	}
}

func TestRefusedRequests(t *testing.T) {
	tests := []struct{ name, request, status string }{
		{"not HTTP", "FOO\r\n\r\n", "400"},
		{"two framings", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "400"},
		{"two lengths", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", "400"},
		{"head larger than the buffer", "GET / HTTP/1.1\r\nHost: t\r\nX: " + strings.Repeat("x", 20000) + "\r\n\r\n", "400"},
		{"CONNECT", "CONNECT t:443 HTTP/1.1\r\nHost: t:443\r\n\r\n", "405"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := start(t, []netip.AddrPort{named(t, "a")})
			c := w.dial()
			c.send(tt.request)
			resp, _ := c.response("GET")
			if got := fmt.Sprint(resp.StatusCode); got != tt.status {
				t.Errorf("status %s, want %s", got, tt.status)
			}
			if n := w.pool.Backend("be").Counters.Sum().Requests; n != 0 {
				t.Errorf("%d requests reached the backend", n)
			}
		})
	}
}

func TestContinuePassesThrough(t *testing.T) {
	w := start(t, []netip.AddrPort{listen(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := readHead(r); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		body := make([]byte, 5)
		_, _ = io.ReadFull(r, body)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n%s", body)
	})})
	c := w.dial()
	c.send("PUT / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n")
	if head, _ := readHead(c.r); head != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("interim %q", head)
	}
	c.send("12345")
	if got := c.rest(); !strings.HasSuffix(got, "\r\n\r\n12345") {
		t.Errorf("got %q", got)
	}
}

func TestUpgradeBecomesTunnel(t *testing.T) {
	w := start(t, []netip.AddrPort{listen(t, func(c net.Conn, r *bufio.Reader) {
		head, err := readHead(r)
		if err != nil || !strings.Contains(strings.ToLower(head), "upgrade: websocket") {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n")
		_, _ = io.Copy(struct{ io.Writer }{c}, r) // not by splice, whose pipes Go keeps
	})})
	c := w.dial()
	c.send("GET /chat HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nearly")
	head, err := readHead(c.r)
	if err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		t.Fatalf("head %q, %v", head, err)
	}
	c.send(" bird")
	_ = c.CloseWrite()
	if got := c.rest(); got != "early bird" {
		t.Errorf("got %q", got)
	}
}

// TestStaleConnection: a kept server connection that the server closes in the moment of its use.
func TestStaleConnection(t *testing.T) {
	stale := func(t *testing.T) (netip.AddrPort, *atomic.Int32) {
		var conns atomic.Int32
		return listen(t, func(c net.Conn, r *bufio.Reader) {
			n := conns.Add(1)
			for i := 0; ; i++ {
				if _, err := readHead(r); err != nil || n == 1 && i == 1 {
					return // the first connection dies when its second request has come
				}
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		}), &conns
	}
	t.Run("a request that can be repeated is", func(t *testing.T) {
		srv, conns := stale(t)
		c := start(t, []netip.AddrPort{srv}).dial()
		for range 3 {
			if status, _ := c.get("/"); status != 200 {
				t.Fatalf("status %d", status)
			}
		}
		if conns.Load() != 2 {
			t.Errorf("%d connections, want 2", conns.Load())
		}
	})
	t.Run("one that cannot ends in a close, not an error", func(t *testing.T) {
		srv, conns := stale(t)
		c := start(t, []netip.AddrPort{srv}).dial()
		c.get("/")
		c.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n")
		if got := c.rest(); got != "" {
			t.Errorf("got %q", got)
		}
		if conns.Load() != 1 {
			t.Errorf("the request was sent %d times", conns.Load())
		}
	})
	t.Run("a client's first that cannot gets a connection of its own", func(t *testing.T) {
		srv, conns := stale(t)
		w := start(t, []netip.AddrPort{srv})
		w.dial().get("/")
		c := w.dial()
		c.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n")
		if resp, _ := c.response("POST"); resp.StatusCode != 200 || conns.Load() != 2 {
			t.Errorf("status %d over connection %d", resp.StatusCode, conns.Load())
		}
	})
}

// TestStaleConnectionOfADyingServer: a server that dies cuts its kept connections, while its socket still takes new
// ones, which are cut too. With `option redispatch` a request that can be repeated goes to another server.
func TestStaleConnectionOfADyingServer(t *testing.T) {
	var conns atomic.Int32
	dying := listen(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := readHead(r); err != nil || conns.Add(1) > 1 {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		_, _ = readHead(r)
	})
	for _, with := range []struct {
		redispatch bool
		want       int // status of the request over the connection that dies
	}{{false, 502}, {true, 200}} {
		t.Run(fmt.Sprintf("redispatch %t", with.redispatch), func(t *testing.T) {
			conns.Store(0)
			c := start(t, []netip.AddrPort{dying, named(t, "b")}, func(_ *Setup, _, be *config.Proxy) {
				be.Options.Redispatch = with.redispatch
			}).dial()
			for i, want := range []int{200, 200, with.want} {
				if status, _ := c.get("/"); status != want {
					t.Errorf("request %d: status %d, want %d", i+1, status, want)
				}
			}
		})
	}
}

func TestReuseNever(t *testing.T) {
	w := start(t, []netip.AddrPort{named(t, "a")}, func(_ *Setup, _, be *config.Proxy) { be.Options.HTTPReuse = config.ReuseNever })
	c := w.dial()
	for range 3 {
		c.get("/")
	}
	if sum := w.pool.Backend("be").Counters.Sum(); sum.Connects != 3 || sum.Reuses != 0 {
		t.Errorf("%d connects, %d reuses", sum.Connects, sum.Reuses)
	}
}

func TestDenyAndRedirect(t *testing.T) {
	w := start(t, []netip.AddrPort{named(t, "a")}, func(_ *Setup, fe, _ *config.Proxy) {
		fe.MonitorURI = "/alive"
		fe.HTTPRequest = []config.HTTPRule{
			{Action: config.ActionDeny, Cond: condition(t, "if { path_beg /secret }")},
			{Action: config.ActionDeny, Status: 429, Cond: condition(t, "if { path_beg /busy }")},
			{Action: config.ActionRedirect, Target: "/new", Status: 301, Cond: condition(t, "if { path /old }")},
			{Action: config.ActionRedirect, RedirectKind: config.RedirectScheme, Target: "https", Cond: condition(t, "if { path /tls }")},
			{Action: config.ActionRedirect, RedirectKind: config.RedirectPrefix, Target: "http://b", Cond: condition(t, "if { path /pre }")},
		}
	})
	tests := []struct {
		uri      string
		status   int
		location string
	}{
		{"/secret/x", 403, ""}, {"/busy", 429, ""}, {"/old", 301, "/new"}, {"/tls?a=1", 302, "https://t/tls?a=1"},
		{"/pre?a=1", 302, "http://b/pre?a=1"}, {"/alive", 200, ""}, {"/other", 200, ""},
	}
	c := w.dial()
	for _, tt := range tests {
		c.send("GET " + tt.uri + " HTTP/1.1\r\nHost: t\r\n\r\n")
		resp, _ := c.response("GET")
		if resp.StatusCode != tt.status || resp.Header.Get("Location") != tt.location {
			t.Errorf("%s: %d to %q, want %d to %q", tt.uri, resp.StatusCode, resp.Header.Get("Location"), tt.status, tt.location)
		}
	}
	if sum := w.pool.Frontend("fe").Counters.Sum(); sum.DeniedReq != 2 || sum.Requests != 7 || w.pool.Backend("be").Counters.Sum().Requests != 1 {
		t.Errorf("%+v", sum)
	}
}

func TestErrorFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "503.http")
	page := "HTTP/1.0 503 Sorry\r\nContent-Type: text/plain\r\n\r\nlater"
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	w := start(t, nil, func(_ *Setup, fe, _ *config.Proxy) { fe.ErrorFiles = map[int]string{503: file} })
	for method, want := range map[string]string{"GET": page, "HEAD": strings.TrimSuffix(page, "later")} {
		c := w.dial()
		c.send(method + " / HTTP/1.1\r\nHost: t\r\n\r\n")
		if got := c.rest(); got != want {
			t.Errorf("%s got %q", method, got)
		}
	}
}
