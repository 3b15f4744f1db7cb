package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/pkg/accesslog"
	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/sample"
)

// world is an engine under test with what surrounds it.
type world struct {
	t      *testing.T
	engine *Engine
	pool   *pool.Pool
	config *config.Config
	addr   string // of the first bind

	greeting []byte // what browsers send in front of everything
}

// options of a world.
type option func(*Setup, *config.Proxy, *config.Proxy)

// start runs an engine with one frontend "fe" and one backend "be" over servers, and checks at the end that
// it leaves neither goroutine nor descriptor behind.
func start(t *testing.T, servers []netip.AddrPort, opts ...option) *world {
	t.Helper()
	before := descriptors(t)
	ignore := goleak.IgnoreCurrent()
	fe := &config.Proxy{Kind: config.Frontend, Name: "fe", HTTP: true, DefaultBackend: "be",
		Binds: []config.Bind{{Addr: netip.MustParseAddrPort("127.0.0.1:0")}}}
	be := &config.Proxy{Kind: config.Backend, Name: "be", HTTP: true, Retries: 3, RetryOn: config.RetryConnFailure}
	fe.Timeouts = config.Timeouts{Client: patience}
	be.Timeouts = config.Timeouts{Connect: never, Server: patience}
	setup := Setup{Config: &config.Config{Proxies: []*config.Proxy{fe, be}}, Loops: 1}
	for i, addr := range servers {
		be.Servers = append(be.Servers, config.Server{Name: fmt.Sprint("s", i+1), Addr: addr, Weight: 1})
	}
	for _, o := range opts {
		o(&setup, fe, be)
	}
	setup.Pool = buildPool(setup.Config, setup.Loops)
	e, err := New(setup)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Listen(); err != nil {
		t.Fatal(err)
	}
	e.Start()
	w := &world{t: t, engine: e, pool: setup.Pool, config: setup.Config, addr: e.Addrs()[0].String()}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			t.Error(err)
		}
		w.settled()
		left := goleak.Find(ignore)
		for end := time.Now().Add(patience); left != nil && time.Now().Before(end); { // servers and clients are about to end
			left = goleak.Find(ignore)
		}
		if left != nil {
			t.Error(left)
		}
		eventually(t, "descriptors are closed", func() bool { return descriptors(t) <= before })
	})
	return w
}

// settled checks that nothing that was taken has not been given back.
func (w *world) settled() {
	gauges := map[string]*pool.Gauge{"process": &w.pool.Process.Conns}
	for _, f := range w.pool.Frontends {
		gauges["frontend "+f.Name] = &f.Sessions
	}
	for _, b := range w.pool.Backends {
		gauges["backend "+b.Name] = &b.Sessions
		gauges["queue "+b.Name] = &b.Queue
		for _, s := range b.Servers() {
			gauges["server "+s.Name] = &s.Sessions
			gauges["idle "+s.Name] = &s.Idle
		}
	}
	for name, g := range gauges {
		if n := g.Load(); n != 0 {
			w.t.Errorf("%s: %d sessions are left", name, n)
		}
	}
}

func buildPool(cfg *config.Config, loops int) *pool.Pool {
	p := pool.New(loops)
	mode := func(proxy *config.Proxy) pool.Mode {
		if proxy.HTTP {
			return pool.HTTP
		}
		return pool.TCP
	}
	for _, proxy := range cfg.Proxies {
		if proxy.Kind.HasFrontend() {
			p.AddFrontend(proxy.Name, mode(proxy), proxy.MaxConn)
		}
		if !proxy.Kind.HasBackend() {
			continue
		}
		b := p.AddBackend(pool.BackendOptions{Name: proxy.Name, Mode: mode(proxy), Requeue: proxy.Options.Redispatch})
		for _, s := range proxy.Servers {
			o := pool.DefaultServerOptions()
			o.Name, o.Addr, o.Weight, o.MaxConn, o.Backup = s.Name, s.Addr, s.Weight, s.MaxConn, s.Backup
			o.SendProxy, o.PortOffset, o.MaxQueue, o.Cookie = s.SendProxy, s.PortOffset, s.MaxQueue, s.Cookie
			o.MapPort = s.Addr.Port() == 0
			b.AddServer(o)
		}
	}
	return p
}

// descriptors counts the open descriptors of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// logging hands each session's log line, in the style of its mode, to a channel.
func logging(lines chan string) option {
	return func(s *Setup, fe, _ *config.Proxy) {
		fe.Logs = []config.LogTarget{{Address: "stdout"}}
		s.Access = func(_ *config.Proxy, e *accesslog.Entry) { lines <- string(e.Append(nil, time.UTC)) }
	}
}

// condition is that of a rule: `if …`, `unless …`.
func condition(t testing.TB, text string) *sample.Cond {
	t.Helper()
	c, err := sample.ParseCond(strings.Fields(text), sample.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serverFunc is a raw server: it is given each connection, and the connection is closed when it returns.
type serverFunc func(c net.Conn, r *bufio.Reader)

// listen runs a raw server.
func listen(t testing.TB, fn serverFunc) netip.AddrPort {
	t.Helper()
	return listenAt(t, "127.0.0.1:0", fn)
}

// listenAt does so at an address.
func listenAt(t testing.TB, addr string, fn serverFunc) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(patience))
				fn(c, bufio.NewReader(c))
			}()
		}
	}()
	t.Cleanup(func() { ln.Close() })
	return netip.MustParseAddrPort(ln.Addr().String())
}

// named runs an HTTP server that answers each request with its name and what it was asked for.
func named(t *testing.T, name string) netip.AddrPort {
	t.Helper()
	return namedAt(t, "127.0.0.1:0", name)
}

// namedAt does so at an address.
func namedAt(t *testing.T, addr, name string) netip.AddrPort {
	t.Helper()
	return listenAt(t, addr, answering(func(c net.Conn, req *http.Request, body []byte) bool {
		text := fmt.Sprintf("%s %s %s %d", name, req.Method, req.RequestURI, len(body))
		_, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
		return err == nil
	}))
}

// answering makes a server that reads request after request, each with its body, as long as answer returns true.
func answering(answer func(c net.Conn, req *http.Request, body []byte) bool) serverFunc {
	return func(c net.Conn, r *bufio.Reader) {
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			body, err := io.ReadAll(req.Body)
			if err != nil || !answer(c, req, body) {
				return
			}
		}
	}
}

// scripted runs a server that reads one request head and answers with the same bytes each time, then closes.
func scripted(t *testing.T, answer string) netip.AddrPort {
	return listen(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := readHead(r); err == nil {
			_, _ = io.WriteString(c, answer)
		}
	})
}

// readHead reads up to the empty line.
func readHead(r *bufio.Reader) (string, error) {
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		head.WriteString(line)
		if err != nil {
			return head.String(), err
		}
		if line == "\r\n" {
			return head.String(), nil
		}
	}
}

// client is a raw client.
type client struct {
	*net.TCPConn
	t *testing.T
	r *bufio.Reader
}

func (w *world) dial() *client {
	w.t.Helper()
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &client{TCPConn: c.(*net.TCPConn), t: w.t, r: bufio.NewReader(c)}
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.TCPConn, s); err != nil {
		c.t.Fatal(err)
	}
}

// rest reads until the connection ends.
func (c *client) rest() string {
	c.t.Helper()
	b, err := io.ReadAll(c.r)
	if err != nil {
		c.t.Fatalf("after %q: %v", b, err)
	}
	return string(b)
}

// ends checks that the connection ends, or is reset, without a word.
func (c *client) ends() {
	c.t.Helper()
	if n, err := c.r.Read(make([]byte, 1)); n > 0 || err == nil {
		c.t.Error("got an answer")
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Error("the connection has not ended")
	}
}

// response reads one response to a request with the given method.
func (c *client) response(method string) (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp, string(body)
}

// get sends a GET and returns the response's status and body.
func (c *client) get(uri string) (int, string) {
	c.t.Helper()
	c.send("GET " + uri + " HTTP/1.1\r\nHost: test\r\n\r\n")
	resp, body := c.response("GET")
	return resp.StatusCode, body
}

// pattern is n bytes in which every position can be told from its neighbours.
func pattern(n int) []byte {
	b := make([]byte, n)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

// sameBytes reports the first difference only, since the bodies are large.
func sameBytes(t *testing.T, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	t.Fatalf("got %d bytes, want %d; first difference at %d", len(got), len(want), i)
}

func tcpMode(_ *Setup, fe, be *config.Proxy) { fe.HTTP, be.HTTP = false, false }
