package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"

	"waggle/pkg/config"
	"waggle/pkg/lab/pki"
)

// secured makes the first bind of the frontend one of TLS.
func secured(t *testing.T, ca *pki.Authority, alpn ...string) option {
	file := ca.File(t.TempDir(), "site.pem", pki.Request{CN: "site.test", Names: []string{"site.test", "*.bees.test"}})
	return func(_ *Setup, fe, _ *config.Proxy) {
		fe.Binds[0].TLS = config.BindTLS{Enabled: true, Certs: []config.Certificate{{Path: file}}, ALPN: alpn,
			TLSOptions: config.TLSOptions{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}}
	}
}

// witness is a server that answers with what it was sent, and says how it was asked in the response's header.
func witness(t *testing.T) netip.AddrPort {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Seen", fmt.Sprintf("%s %s %s %s", r.Method, r.RequestURI, r.Host, r.Proto))
		w.Header().Set("X-For", r.Header.Get("X-Forwarded-For"))
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		for name := range r.Trailer {
			w.Header().Set("X-Trailer", name+"="+r.Trailer.Get(name))
		}
		w.Write(body)
	}))
	t.Cleanup(srv.Close)
	return netip.MustParseAddrPort(srv.Listener.Addr().String())
}

// browser is a client of a world that trusts ca. With h2 it speaks HTTP/2, over TLS or, without a ca, in clear text.
func (w *world) browser(ca *pki.Authority, h2 bool) *http.Client {
	var rt http.RoundTripper
	dial := func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", w.addr)
		if err == nil && len(w.greeting) > 0 {
			_, err = conn.Write(w.greeting)
		}
		return conn, err
	}
	config := &tls.Config{}
	if ca != nil {
		config.RootCAs = ca.Pool()
	}
	if h2 {
		t := &http2.Transport{AllowHTTP: ca == nil, TLSClientConfig: config}
		t.DialTLSContext = func(ctx context.Context, _, addr string, c *tls.Config) (net.Conn, error) {
			conn, err := dial(ctx)
			if ca == nil || err != nil {
				return conn, err
			}
			return tls.Client(conn, c), nil
		}
		rt = t
		w.t.Cleanup(t.CloseIdleConnections)
	} else {
		t := &http.Transport{TLSClientConfig: config, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
		rt = t
		w.t.Cleanup(t.CloseIdleConnections)
	}
	return &http.Client{Transport: rt, Timeout: patience}
}

func (w *world) exchange(c *http.Client, r *http.Request) (*http.Response, []byte) {
	w.t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, body
}

func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ways are the protocols that clients of an adapter speak.
var ways = []struct {
	name      string
	tls, h2   bool
	version   string
	urlScheme string
}{
	{"http1-tls", true, false, "HTTP/1.1", "https"},
	{"h2-tls", true, true, "HTTP/2.0", "https"},
	{"h2c", false, true, "HTTP/2.0", "http"},
}

// eachWay runs a test with a world and a client for each protocol.
func eachWay(t *testing.T, test func(t *testing.T, w *world, c *http.Client, url string), opts ...option) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			var ca *pki.Authority
			mine := opts
			if way.tls {
				ca = pki.New(t)
				mine = append(mine[:len(mine):len(mine)], secured(t, ca, "h2", "http/1.1"))
			} else {
				mine = append(mine[:len(mine):len(mine)], func(_ *Setup, fe, _ *config.Proxy) { fe.Binds[0].Proto = "h2" })
			}
			addr := witness(t)
			w := start(t, []netip.AddrPort{addr}, mine...)
			test(t, w, w.browser(ca, way.h2), way.urlScheme+"://site.test")
		})
	}
}

func TestAdaptedRequests(t *testing.T) {
	forwarded := func(_ *Setup, fe, _ *config.Proxy) { fe.Options.ForwardFor = &config.ForwardFor{} }
	eachWay(t, func(t *testing.T, w *world, c *http.Client, url string) {
		for i := range 3 {
			resp, body := w.exchange(c, request(t, "POST", url+"/p?q=1", strings.NewReader("hello")))
			if resp.StatusCode != 200 || string(body) != "hello" {
				t.Fatalf("request %d: %d %q", i, resp.StatusCode, body)
			}
			if got := resp.Header.Get("X-Seen"); got != "POST /p?q=1 site.test HTTP/1.1" {
				t.Errorf("the server saw %q", got)
			}
			if got := resp.Header.Get("X-For"); got != "127.0.0.1" {
				t.Errorf("x-forwarded-for: %q", got)
			}
		}
		resp, _ := w.exchange(c, request(t, "HEAD", url+"/h", nil))
		if resp.StatusCode != 200 || resp.Header.Get("X-Seen") != "HEAD /h site.test HTTP/1.1" {
			t.Errorf("HEAD: %d %v", resp.StatusCode, resp.Header)
		}
		fe := w.pool.Frontends[0]
		eventually(t, "one connection is counted", func() bool {
			sum := fe.Counters.Sum()
			return sum.Connections == 1 && sum.Sessions == 1 && sum.Requests == 4 && fe.Sessions.Load() == 1
		})
	}, forwarded)
}

// Ten megabytes each way, of known and of unknown length.
func TestAdaptedBodies(t *testing.T) {
	body := pattern(10 << 20)
	eachWay(t, func(t *testing.T, w *world, c *http.Client, url string) {
		for _, chunked := range []bool{false, true} {
			var r io.Reader = bytes.NewReader(body)
			if chunked {
				r = io.MultiReader(r) // hides the length
			}
			resp, got := w.exchange(c, request(t, "PUT", url+"/", r))
			if resp.StatusCode != 200 {
				t.Fatalf("chunked %v: status %d", chunked, resp.StatusCode)
			}
			sameBytes(t, got, body)
		}
	})
}

func TestH2Trailers(t *testing.T) {
	eachWay(t, func(t *testing.T, w *world, c *http.Client, url string) {
		r := request(t, "POST", url+"/", io.MultiReader(strings.NewReader("x")))
		r.Trailer = http.Header{"X-Sum": {"7"}}
		resp, _ := w.exchange(c, r)
		if got := resp.Header.Get("X-Trailer"); got != "X-Sum=7" {
			t.Errorf("trailer %q", got)
		}
	})
}

// Many streams at once on one connection, each with its own answer.
func TestH2ManyStreams(t *testing.T) {
	ca := pki.New(t)
	w := start(t, []netip.AddrPort{witness(t)}, secured(t, ca, "h2"), func(_ *Setup, fe, _ *config.Proxy) { fe.MaxConn = 1 })
	c := w.browser(ca, true)
	c.Transport.(*http2.Transport).StrictMaxConcurrentStreams = true // else it opens another connection for more, which has no place
	w.exchange(c, request(t, "GET", "https://site.test/", nil))      // so that there is one connection
	var wg sync.WaitGroup
	turns := make(chan struct{}, 90)
	for i := range 400 {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			want := strings.Repeat(fmt.Sprint(i, ","), 5000)
			resp, err := c.Post("https://site.test/", "text/plain", strings.NewReader(want))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); err != nil || string(got) != want {
				t.Errorf("stream %d: %d bytes, %v", i, len(got), err)
			}
		})
	}
	wg.Wait()
	if n := w.pool.Frontends[0].Counters.Sum().Connections; n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestWebSocketOverTLS(t *testing.T) {
	ca := pki.New(t)
	addr := listen(t, func(c net.Conn, r *bufio.Reader) {
		http.ReadRequest(r)
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n")
		io.Copy(struct{ io.Writer }{c}, r)
	})
	w := start(t, []netip.AddrPort{addr}, secured(t, ca, "http/1.1"))
	conn, err := tls.Dial("tcp", w.addr, &tls.Config{RootCAs: ca.Pool(), ServerName: "site.test"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: site.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	head := make([]byte, len("HTTP/1.1 101"))
	if _, err := io.ReadFull(conn, head); err != nil || string(head) != "HTTP/1.1 101" {
		t.Fatalf("%q, %v", head, err)
	}
	sent := pattern(1 << 20)
	go func() {
		conn.Write(sent)
		conn.CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	_, tail, _ := bytes.Cut(got, []byte("\r\n\r\n"))
	sameBytes(t, tail, sent)
}

func TestTCPOverTLS(t *testing.T) {
	ca := pki.New(t)
	addr := listen(t, func(c net.Conn, r *bufio.Reader) { io.Copy(struct{ io.Writer }{c}, r) })
	tcp := func(_ *Setup, fe, be *config.Proxy) { fe.HTTP, be.HTTP = false, false }
	w := start(t, []netip.AddrPort{addr}, secured(t, ca), tcp)
	conn, err := tls.Dial("tcp", w.addr, &tls.Config{RootCAs: ca.Pool(), ServerName: "www.bees.test"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sent := pattern(3 << 20)
	go func() {
		conn.Write(sent)
		conn.CloseWrite()
	}()
	got, err := io.ReadAll(conn) // an error if close_notify is missing
	if err != nil {
		t.Fatal(err)
	}
	sameBytes(t, got, sent)
}

// A response that is cut must not look whole, though its end is the connection's end.
func TestCutResponseOverTLS(t *testing.T) {
	ca := pki.New(t)
	addr := listen(t, func(c net.Conn, r *bufio.Reader) {
		http.ReadRequest(r)
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nhalf")
		c.(*net.TCPConn).SetLinger(0)
	})
	for _, h2 := range []bool{false, true} {
		w := start(t, []netip.AddrPort{addr}, secured(t, ca, "h2", "http/1.1"))
		resp, err := w.browser(ca, h2).Get("https://site.test/")
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Errorf("h2 %v: the client takes a cut response for a whole one", h2)
		}
	}
}

func TestTLSToServers(t *testing.T) {
	ca, other := pki.New(t), pki.New(t)
	dir := t.TempDir()
	trusted, foreign := ca.Bundle(dir, "ca.pem"), other.Bundle(dir, "other.pem")
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Client(pki.Request{CN: "inner.test", Names: []string{"inner.test"}})}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	addr := netip.MustParseAddrPort(srv.Listener.Addr().String())
	for _, tc := range []struct {
		name   string
		tls    config.ServerTLS
		status int
	}{
		{"verified", config.ServerTLS{Verify: "required", CAFile: trusted}, 200},
		{"by name", config.ServerTLS{Verify: "required", CAFile: trusted, VerifyHost: "inner.test"}, 200},
		{"other name", config.ServerTLS{Verify: "required", CAFile: trusted, VerifyHost: "outer.test"}, 503},
		{"unknown authority", config.ServerTLS{Verify: "required", CAFile: foreign}, 503},
		{"not verified", config.ServerTLS{Verify: "none"}, 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := start(t, []netip.AddrPort{addr}, func(_ *Setup, _, be *config.Proxy) {
				tc.tls.Enabled = true
				be.Servers[0].TLS = tc.tls
				be.Retries = 0
			})
			c := w.dial()
			body := pattern(1 << 20)
			for range 2 {
				c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n", len(body)))
				if tc.status == 200 {
					go c.TCPConn.Write(body)
				}
				resp, got := c.response("POST")
				if resp.StatusCode != tc.status {
					t.Fatalf("status %d, want %d", resp.StatusCode, tc.status)
				}
				if tc.status != 200 {
					return
				}
				sameBytes(t, []byte(got), body)
			}
			if n := w.pool.Backends[0].Servers()[0].Counters.Sum(); n.Connects != 1 || n.Reuses != 1 {
				t.Errorf("%d connections, %d reused", n.Connects, n.Reuses)
			}
		})
	}
}

// The name that a server is asked for belongs to the connection: another name takes another one.
func TestServerNameOfPooledConnections(t *testing.T) {
	var mu sync.Mutex
	seen := map[string][]string{} // by the request's host
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.Host] = append(seen[r.Host], r.TLS.ServerName)
	}))
	srv.StartTLS()
	t.Cleanup(srv.Close)
	cfg, _, err := config.Parse("t", []byte("backend b\n server s 192.0.2.1:1 ssl verify none sni req.hdr(host)\n"), config.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, []netip.AddrPort{netip.MustParseAddrPort(srv.Listener.Addr().String())}, func(_ *Setup, _, be *config.Proxy) {
		be.Servers[0].TLS = cfg.Proxies[0].Servers[0].TLS
	})
	c := w.dial()
	for _, host := range []string{"a.test", "b.test", "a.test", "b.test"} {
		c.send("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
		c.response("GET")
	}
	for host, names := range seen {
		for _, n := range names {
			if n != host {
				t.Errorf("%s was asked for as %q", host, n)
			}
		}
	}
	if n := w.pool.Backends[0].Servers()[0].Counters.Sum(); n.Connects != 2 || n.Reuses != 2 {
		t.Errorf("%d connections, %d reused", n.Connects, n.Reuses)
	}
}

// A frontend's limit counts connections, the TLS handshake included, and gives the place back.
func TestLimitCountsTLSConnections(t *testing.T) {
	ca := pki.New(t)
	w := start(t, []netip.AddrPort{witness(t)}, secured(t, ca, "h2", "http/1.1"), func(_ *Setup, fe, _ *config.Proxy) { fe.MaxConn = 1 })
	first := w.dial() // says nothing
	eventually(t, "the place is taken", func() bool { return w.pool.Frontends[0].Sessions.Load() == 1 })
	second, err := tls.DialWithDialer(&net.Dialer{Timeout: 4 * short}, "tcp", w.addr, &tls.Config{RootCAs: ca.Pool(), ServerName: "site.test"})
	if err == nil {
		second.Close()
		t.Error("two connections at once")
	}
	first.Close()
	resp, _ := w.exchange(w.browser(ca, false), request(t, "GET", "https://site.test/", nil))
	if resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
}

// SoftStop lets a stream end and then the connection.
func TestSoftStopOfH2(t *testing.T) {
	ca := pki.New(t)
	release := make(chan struct{})
	addr := listen(t, func(c net.Conn, r *bufio.Reader) {
		http.ReadRequest(r)
		<-release
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	})
	w := start(t, []netip.AddrPort{addr}, secured(t, ca, "h2"))
	answered := make(chan string, 1)
	go func() {
		resp, err := w.browser(ca, true).Get("https://site.test/")
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		answered <- string(b)
	}()
	eventually(t, "the request is with the server", func() bool { return w.pool.Backends[0].Servers()[0].Sessions.Load() == 1 })
	w.engine.SoftStop()
	close(release)
	if got := receive(t, answered, "the answer"); got != "ok" {
		t.Errorf("got %q", got)
	}
	receive(t, w.engine.Done(), "the end of the engine")
}
