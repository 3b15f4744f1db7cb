package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/pkg/accesslog"
	"waggle/pkg/config"
	"waggle/pkg/lab/labtest"
	"waggle/pkg/pool"
)

// short is a timeout that a test waits out.
const short = 50 * time.Millisecond

func TestTimeouts(t *testing.T) {
	silent := func(t *testing.T) netip.AddrPort {
		return listen(t, func(_ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
	}
	tests := []struct {
		name    string
		server  func(*testing.T) netip.AddrPort
		set     func(fe, be *config.Timeouts)
		request string
		status  string
		state   string // in the log
	}{
		{"a head that does not come", silent, func(fe, _ *config.Timeouts) { fe.HTTPRequest = short }, "GET / HTTP/1.1\r\nHost:", "408", "fe/<NOSRV> -1/-1/-1/-1/"},
		{"nothing comes", silent, func(fe, _ *config.Timeouts) { fe.HTTPRequest = short }, "", "408", " cR-- "},
		{"client is the fallback of http-request", silent, func(fe, _ *config.Timeouts) { fe.Client = short }, "GET", "408", " cR-- "},
		{"a body that does not come", silent, func(_, be *config.Timeouts) { be.Server = short },
			"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nabc", "504", " sH-- "},
		{"a body that does not come, where the server has all the time", silent, func(fe, be *config.Timeouts) { fe.HTTPRequest, fe.Client, be.Server = patience, short, 0 },
			"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nabc", "408", " cD-- "},
		{"a body that takes longer than the client may be silent", silent, func(fe, be *config.Timeouts) { fe.HTTPRequest, fe.Client, be.Server = patience, short, 3*short },
			"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nabc", "504", " sH-- "},
		{"a response that does not come", silent, func(_, be *config.Timeouts) { be.Server = short }, "GET / HTTP/1.1\r\nHost: t\r\n\r\n", "504", " sH-- "},
		{"no next request", func(t *testing.T) netip.AddrPort { return named(t, "a") },
			func(fe, _ *config.Timeouts) { fe.HTTPKeepAlive = short }, "GET / HTTP/1.1\r\nHost: t\r\n\r\n", "200", " ---- "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			log := make(chan string, 1)
			w := start(t, []netip.AddrPort{tt.server(t)}, func(s *Setup, fe, be *config.Proxy) {
				tt.set(&fe.Timeouts, &be.Timeouts)
				fe.Logs = []config.LogTarget{{Address: "stdout"}}
				s.Access = func(_ *config.Proxy, e *accesslog.Entry) { log <- string(e.Append(nil, time.UTC)) }
			})
			begun := time.Now()
			c := w.dial()
			c.send(tt.request)
			resp, _ := c.response("GET")
			if got := fmt.Sprint(resp.StatusCode); got != tt.status {
				t.Fatalf("status %s, want %s", got, tt.status)
			}
			if tt.status != "504" {
				c.rest()
			}
			if d := time.Since(begun); d < short {
				t.Errorf("ended after %v", d)
			}
			if line := nextLine(t, log); !strings.Contains(line, tt.state) {
				t.Errorf("no %q in the log's line %s", tt.state, line)
			}
		})
	}
}

// TestTricklingClientIsCutOff: bytes that trickle in do not move the deadline of a head.
func TestTricklingClientIsCutOff(t *testing.T) {
	w := start(t, nil, func(_ *Setup, fe, _ *config.Proxy) { fe.Timeouts.HTTPRequest = 2 * short })
	c := w.dial()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(short / 5):
				if _, err := c.TCPConn.Write([]byte("G")); err != nil {
					return
				}
			}
		}
	}()
	resp, _ := c.response("GET")
	if resp.StatusCode != 408 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// gate is a server that answers a request when the test says so.
type gate struct {
	addr    netip.AddrPort
	arrived chan string // request lines
	answer  chan struct{}
}

func newGate(t *testing.T) *gate {
	g := &gate{arrived: make(chan string, 100), answer: make(chan struct{}, 100)}
	g.addr = listen(t, func(c net.Conn, r *bufio.Reader) {
		for {
			head, err := readHead(r)
			if err != nil {
				return
			}
			line, _, _ := strings.Cut(head, "\r\n")
			g.arrived <- line
			<-g.answer
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	return g
}

// next is the line of the next request that the server gets.
func (g *gate) next(t testing.TB) string {
	t.Helper()
	return receive(t, g.arrived, "a request at the server")
}

func TestServerMaxConnQueuesInOrder(t *testing.T) {
	g := newGate(t)
	w := start(t, []netip.AddrPort{g.addr}, func(_ *Setup, _, be *config.Proxy) { be.Servers[0].MaxConn = 1 })
	var clients []*client
	for i := range 5 {
		c := w.dial()
		c.send(fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: t\r\n\r\n", i))
		clients = append(clients, c)
		if i == 0 {
			if got := g.next(t); got != "GET /0 HTTP/1.1" {
				t.Fatalf("first is %q", got)
			}
			continue
		}
		eventually(t, "the request waits", func() bool { return w.pool.Backend("be").Queue.Load() == int64(i) })
	}
	for i := range clients {
		g.answer <- struct{}{}
		if resp, _ := clients[i].response("GET"); resp.StatusCode != 200 {
			t.Errorf("client %d: status %d", i, resp.StatusCode)
		}
		if i+1 < len(clients) {
			if got, want := g.next(t), fmt.Sprintf("GET /%d HTTP/1.1", i+1); got != want {
				t.Errorf("the next is %q, want %q", got, want)
			}
		}
	}
	if n := w.pool.Backend("be").Servers()[0].Sessions.Max(); n != 1 {
		t.Errorf("the server had %d sessions at once", n)
	}
}

func TestQueueTimeoutIs503(t *testing.T) {
	g := newGate(t)
	w := start(t, []netip.AddrPort{g.addr}, func(_ *Setup, _, be *config.Proxy) {
		be.Servers[0].MaxConn, be.Timeouts.Queue = 1, short
	})
	first, second := w.dial(), w.dial()
	first.send("GET /1 HTTP/1.1\r\nHost: t\r\n\r\n")
	g.next(t)
	if status, _ := second.get("/2"); status != 503 {
		t.Errorf("status %d", status)
	}
	b := w.pool.Backend("be")
	if be, srv := b.Counters.Sum(), b.Servers()[0].Counters.Sum(); be.ConnErrors != 1 || srv.ConnErrors != 0 { // as HAProxy 2.6 counts
		t.Errorf("%d connection errors of the backend, %d of the server", be.ConnErrors, srv.ConnErrors)
	}
	g.answer <- struct{}{}
	if resp, _ := first.response("GET"); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// A backend without servers is one of the backend's connection errors, too, and only what the algorithm chooses at once counts as
// balanced: not the server of a cookie, nor the first that has room for those who wait (seen on HAProxy 2.6).
func TestConnectionErrorsAndBalancingAreCountedAsHAProxyDoes(t *testing.T) {
	g := newGate(t)
	w := start(t, []netip.AddrPort{g.addr}, sticky, func(_ *Setup, _, be *config.Proxy) { be.Servers[0].MaxConn = 1 })
	b := w.pool.Backend("be")
	srv := b.Servers()[0]
	want := func(after string, balanced, errors uint64) {
		t.Helper()
		if be, s := b.Counters.Sum(), srv.Counters.Sum(); be.LBTotal != balanced || s.LBTotal != balanced || be.ConnErrors != errors {
			t.Errorf("after %s: balanced %d and %d, %d connection errors; want %d, %d", after, be.LBTotal, s.LBTotal, be.ConnErrors, balanced, errors)
		}
	}
	first, second := w.dial(), w.dial()
	first.send("GET /1 HTTP/1.1\r\nHost: t\r\n\r\n")
	g.next(t)
	second.send("GET /2 HTTP/1.1\r\nHost: t\r\n\r\n")
	eventually(t, "the request waits", func() bool { return b.Queue.Load() == 1 })
	for _, c := range []*client{first, second} {
		g.answer <- struct{}{}
		if resp, _ := c.response("GET"); resp.StatusCode != 200 {
			t.Errorf("status %d", resp.StatusCode)
		}
		if c == first {
			g.next(t)
		}
	}
	want("one that went straight and one that waited", 1, 0)
	first.send("GET /3 HTTP/1.1\r\nHost: t\r\nCookie: SRV=s1\r\n\r\n")
	g.next(t)
	g.answer <- struct{}{}
	first.response("GET")
	want("a cookie", 1, 0)
	srv.SetMaint(true, pool.CauseNone)
	if status, _ := first.get("/4"); status != 503 {
		t.Errorf("status %d without a server", status)
	}
	want("a request that no server is there for", 1, 1)
}

// TestQueuedClientThatLeaves gives its place up.
func TestQueuedClientThatLeaves(t *testing.T) {
	g := newGate(t)
	w := start(t, []netip.AddrPort{g.addr}, func(_ *Setup, _, be *config.Proxy) { be.Servers[0].MaxConn = 1 })
	queue := func() int64 { return w.pool.Backend("be").Queue.Load() }
	first, second, third := w.dial(), w.dial(), w.dial()
	first.send("GET /1 HTTP/1.1\r\nHost: t\r\n\r\n")
	g.next(t)
	second.send("GET /2 HTTP/1.1\r\nHost: t\r\n\r\n")
	eventually(t, "the second waits", func() bool { return queue() == 1 })
	third.send("GET /3 HTTP/1.1\r\nHost: t\r\n\r\n")
	eventually(t, "the third waits", func() bool { return queue() == 2 })
	_ = second.SetLinger(0)
	second.Close()
	eventually(t, "the second's place is free", func() bool { return queue() == 1 })
	g.answer <- struct{}{}
	if got := g.next(t); got != "GET /3 HTTP/1.1" {
		t.Errorf("next is %q", got)
	}
	g.answer <- struct{}{}
	third.response("GET")
}

// TestFrontendMaxConn leaves further connections in the kernel's queue, where they are served later.
func TestFrontendMaxConn(t *testing.T) {
	for _, global := range []bool{false, true} {
		t.Run(fmt.Sprint("global ", global), func(t *testing.T) {
			w := start(t, []netip.AddrPort{named(t, "a")}, func(s *Setup, fe, _ *config.Proxy) {
				if global {
					s.Config.Global.MaxConn = 2
				} else {
					fe.MaxConn = 2
				}
				s.Loops = 2
			})
			one, two := w.dial(), w.dial()
			one.get("/")
			two.get("/")
			third := w.dial()
			third.send("GET /3 HTTP/1.1\r\nHost: t\r\n\r\n")
			eventually(t, "the listener is full", func() bool { return w.pool.Frontend("fe").Status().String() == "FULL" })
			one.Close()
			if resp, body := third.response("GET"); resp.StatusCode != 200 || body != "a GET /3 0" {
				t.Errorf("%d %q", resp.StatusCode, body)
			}
			if n := w.pool.Frontend("fe").Sessions.Load(); n > 2 {
				t.Errorf("%d sessions", n)
			}
		})
	}
}

func TestRetries(t *testing.T) {
	t.Run("without redispatch the same server is tried", func(t *testing.T) {
		w := start(t, []netip.AddrPort{labtest.ClosedAddr(t), named(t, "b")}, func(_ *Setup, _, be *config.Proxy) {
			be.Timeouts.Connect = short / 5 // also the pause between attempts
		})
		c := w.dial()
		if status, _ := c.get("/"); status != 503 {
			t.Errorf("status %d", status)
		}
		sum := w.pool.Backend("be").Servers()[0].Counters.Sum()
		if sum.Connects != 4 || sum.Retries != 3 || sum.ConnErrors != 1 { // measured with HAProxy: econ is 1, wretr 3
			t.Errorf("%d connects, %d retries, %d errors; want 4, 3, 1", sum.Connects, sum.Retries, sum.ConnErrors)
		}
	})
	t.Run("with redispatch another one serves at once", func(t *testing.T) {
		w := start(t, []netip.AddrPort{labtest.ClosedAddr(t), named(t, "b")}, func(_ *Setup, _, be *config.Proxy) {
			be.Options.Redispatch, be.Options.RedispatchInterval = true, -1
		})
		c := w.dial()
		for range 4 {
			if status, body := c.get("/"); status != 200 || body[:1] != "b" {
				t.Errorf("%d %q", status, body)
			}
		}
		if sum := w.pool.Backend("be").Counters.Sum(); sum.Redispatches != 4 {
			t.Errorf("%d redispatches, want 4", sum.Redispatches)
		}
	})
}

func TestSoftStop(t *testing.T) {
	for range 5 {
		if softStop(t) < lingerTime {
			return
		}
	}
	t.Error("clients are waited for that have their answer") // a machine that stalls is not so slow each time
}

// softStop has an engine stop that a request is still made of, and gives how long it takes once that is answered.
func softStop(t *testing.T) time.Duration {
	t.Helper()
	g := newGate(t)
	w := start(t, []netip.AddrPort{g.addr}, func(s *Setup, _, _ *config.Proxy) { s.Loops = 2 })
	idle, busy := w.dial(), w.dial()
	idle.send("GET /1 HTTP/1.1\r\nHost: t\r\n\r\n")
	g.next(t)
	g.answer <- struct{}{}
	idle.response("GET")
	busy.send("GET /2 HTTP/1.1\r\nHost: t\r\n\r\n")
	g.next(t)

	w.engine.SoftStop()
	if got := idle.rest(); got != "" {
		t.Errorf("the idle connection got %q", got)
	}
	eventually(t, "nobody listens any more", func() bool {
		c, err := net.Dial("tcp", w.addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	select {
	case <-w.engine.Done():
		t.Fatal("stopped with a request in flight")
	default:
	}
	begun := time.Now()
	g.answer <- struct{}{}
	if resp, _ := busy.response("GET"); resp.StatusCode != 200 || !resp.Close {
		t.Errorf("status %d, close %v", resp.StatusCode, resp.Close)
	}
	receive(t, w.engine.Done(), "the end of the engine")
	return time.Since(begun)
}

func TestHardStopEndsEverything(t *testing.T) {
	g := newGate(t)
	w := start(t, []netip.AddrPort{g.addr})
	c := w.dial()
	c.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n")
	g.next(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := w.engine.Close(ctx); err != nil {
		t.Error(err)
	}
	if got := c.rest(); got != "" {
		t.Errorf("got %q", got)
	}
	g.answer <- struct{}{}
}

func TestListenReportsEveryBind(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := netip.MustParseAddrPort(ln.Addr().String())
	cfg := &config.Config{Proxies: []*config.Proxy{{Kind: config.Frontend, Name: "fe", HTTP: true, Binds: []config.Bind{
		{Addr: taken, Pos: config.Pos{File: "a.cfg", Line: 3}},
		{Addr: netip.MustParseAddrPort("127.0.0.1:0")},
		{Addr: netip.MustParseAddrPort("192.0.2.1:80"), Pos: config.Pos{File: "a.cfg", Line: 5}},
	}}}}
	before := descriptors(t)
	e, err := New(Setup{Config: cfg, Pool: buildPool(cfg, 1), Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	err = e.Listen()
	want := fmt.Sprintf("Starting frontend fe: cannot bind socket (Address already in use) for [%s]\n"+
		"Starting frontend fe: cannot bind socket (Cannot assign requested address) for [192.0.2.1:80]", taken)
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	var bind *BindError
	if !errors.As(err, &bind) || bind.Line != 3 || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("error is %#v", bind)
	}
	if err := e.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if after := descriptors(t); after > before { // others may have closed some
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}
