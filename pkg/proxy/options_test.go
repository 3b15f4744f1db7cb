package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"waggle/pkg/config"
	"waggle/pkg/lab/labtest"
)

// TestBindMaxConn leaves what is over the limit of an address in its queue, whichever loop it is on, while the
// frontend's other address goes on.
func TestBindMaxConn(t *testing.T) {
	w := start(t, []netip.AddrPort{named(t, "a")}, func(s *Setup, fe, _ *config.Proxy) {
		s.Loops = 2
		fe.Binds = append(fe.Binds, fe.Binds[0])
		fe.Binds[0].MaxConn = 2
	})
	one, two := w.dial(), w.dial()
	one.get("/")
	two.get("/")
	third := w.dial()
	third.send("GET /3 HTTP/1.1\r\nHost: t\r\n\r\n")
	eventually(t, "the listener is full", func() bool { return w.pool.Frontend("fe").Status().String() == "FULL" })
	w.addr = w.engine.Addrs()[1].String()
	if status, _ := w.dial().get("/other"); status != 200 {
		t.Errorf("the other address: status %d", status)
	}
	if n := w.pool.Frontend("fe").Sessions.Load(); n != 3 {
		t.Errorf("%d sessions, want 2 and 1", n)
	}
	one.Close()
	if resp, body := third.response("GET"); resp.StatusCode != 200 || body != "a GET /3 0" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

// TestWhatIsLogged has what HAProxy 2.6 was measured to write.
func TestWhatIsLogged(t *testing.T) {
	null := func(w *world) { w.dial().Close() }
	for _, tc := range []struct {
		name string
		set  func(fe *config.Proxy)
		do   func(w *world)
		want string // of the first line; "" for a line of the request that follows
	}{
		{"a connection without data", nil, null, `fe/<NOSRV> -1/-1/-1/-1/N 400 0 - - CR-- 1/1/0/0/0 0/0 "<BADREQ>"`},
		{"the same with dontlognull", func(fe *config.Proxy) { fe.Options.DontLogNull = true }, null, ""},
		{"one that waits in silence, with dontlognull", func(fe *config.Proxy) {
			fe.Options.DontLogNull, fe.Timeouts.HTTPRequest = true, soon
		}, func(w *world) {
			c := w.dial()
			eventually(t, "it is there", func() bool { return w.engine.Sessions() == 1 })
			w.skip(soon)
			c.rest()
		}, ""},
		{"monitor-uri", func(fe *config.Proxy) { fe.MonitorURI = "/mon" }, func(w *world) {
			if status, _ := w.dial().get("/mon"); status != 200 {
				w.t.Errorf("status %d", status)
			}
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lines := make(chan string, 10)
			w := start(t, []netip.AddrPort{named(t, "a")}, logging(lines), func(_ *Setup, fe, _ *config.Proxy) {
				if tc.set != nil {
					tc.set(fe)
				}
			})
			tc.do(w)
			eventually(t, "the first has come and gone", func() bool {
				fe := w.pool.Frontend("fe") // whose place a connection holds before it is counted
				return fe.Counters.Sum().Connections > 0 && (fe.Sessions.Load() == 0 || tc.name == "monitor-uri")
			})
			w.dial().get("/next")
			if tc.want == "" {
				tc.want = `"GET /next HTTP/1.1"`
			}
			took := regexp.MustCompile(`-1/-1/-1/-1/\d+ `) // milliseconds, of which there may be more on a machine that is busy
			if got := took.ReplaceAllString(nextLine(t, lines), "-1/-1/-1/-1/N "); !strings.HasSuffix(got, tc.want) {
				t.Errorf("the first line is %s, want %s", got, tc.want)
			}
		})
	}
}

// TestLogASAP: the line comes when the response has begun, with a plus, and no second one at the end.
func TestLogASAP(t *testing.T) {
	for _, mode := range []string{"http", "tcp"} {
		t.Run(mode, func(t *testing.T) {
			more := make(chan struct{})
			server := listen(t, func(c net.Conn, r *bufio.Reader) {
				if _, err := readHead(r); err == nil {
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
					<-more
					_, _ = io.WriteString(c, "cd")
				}
			})
			lines := make(chan string, 10)
			w := start(t, []netip.AddrPort{server}, logging(lines), func(_ *Setup, fe, be *config.Proxy) {
				fe.Options.LogASAP = true
				fe.HTTP, be.HTTP = mode == "http", mode == "http"
			})
			c := w.dial()
			c.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n")
			if line := nextLine(t, lines); strings.Count(line, "+") != 2 || !strings.Contains(line, " -- ") && !strings.Contains(line, " ---- ") {
				t.Errorf("line %s", line)
			}
			close(more)
			if _, body := c.response("GET"); body != "abcd" {
				t.Errorf("body %q", body)
			}
			c.Close()
			eventually(t, "the session is gone", func() bool { return w.engine.Sessions() == 0 })
			if len(lines) > 0 {
				t.Errorf("a second line: %s", nextLine(t, lines))
			}
		})
	}
}

// TestAbortOnClose: FIN gives a request up that has no answer yet. The states and answers were measured with HAProxy.
func TestAbortOnClose(t *testing.T) {
	for _, on := range []bool{true, false} {
		t.Run(fmt.Sprint(on), func(t *testing.T) {
			g := newGate(t)
			lines := make(chan string, 10)
			w := start(t, []netip.AddrPort{g.addr}, logging(lines), func(_ *Setup, _, be *config.Proxy) {
				be.Servers[0].MaxConn, be.Options.Abortonclose = 1, on
			})
			queue := func(n int64) func() bool { return func() bool { return w.pool.Backend("be").Queue.Load() == n } }
			first, second := w.dial(), w.dial()
			first.send("GET /1 HTTP/1.1\r\nHost: t\r\n\r\n")
			g.next(t)
			second.send("GET /2 HTTP/1.1\r\nHost: t\r\n\r\n")
			eventually(t, "the second waits", queue(1))
			_ = second.CloseWrite()
			if !on {
				g.answer <- struct{}{}
				g.answer <- struct{}{}
				if got := second.rest(); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
					t.Errorf("the second got %q", got)
				}
				return
			}
			if got := second.rest(); got != "" {
				t.Errorf("the second got %q", got)
			}
			if line := nextLine(t, lines); !strings.Contains(line, " -1 0 - - CQ-- ") {
				t.Errorf("the second is logged as %s", line)
			}
			eventually(t, "its place is free", queue(0))
			_ = first.CloseWrite()
			if got := first.rest(); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
				t.Errorf("the first got %q", got)
			}
			if line := nextLine(t, lines); !strings.Contains(line, " 400 ") || !strings.Contains(line, " CH-- ") {
				t.Errorf("the first is logged as %s", line)
			}
			g.answer <- struct{}{}
		})
	}
}

// TestRedispatchInterval follows which attempts go to a server that refuses: the first of two that `first` fills.
func TestRedispatchInterval(t *testing.T) {
	for _, tc := range []struct{ interval, retries, connects int }{
		{-1, 3, 3}, {-2, 3, 2}, {1, 3, 1}, {2, 3, 2}, {3, 3, 3}, {-1, 1, 1},
	} {
		t.Run(fmt.Sprint(tc.interval, " of ", tc.retries), func(t *testing.T) {
			w := start(t, []netip.AddrPort{labtest.ClosedAddr(t), named(t, "b")}, func(_ *Setup, _, be *config.Proxy) {
				be.Balance.Algorithm, be.Retries = "first", tc.retries
				be.Options.Redispatch, be.Options.RedispatchInterval = true, tc.interval
				be.Timeouts.Connect = short / 5 // also the pause between attempts
			})
			if status, body := w.dial().get("/"); status != 200 || body[:1] != "b" {
				t.Errorf("%d %q", status, body)
			}
			if n := w.pool.Backend("be").Servers()[0].Counters.Sum().Connects; n != uint64(tc.connects) {
				t.Errorf("%d connections to the first, want %d", n, tc.connects)
			}
		})
	}
}

func TestIdleConnectionsAreCounted(t *testing.T) {
	w := start(t, []netip.AddrPort{named(t, "a")})
	gauge := &w.pool.Backend("be").Servers()[0].Idle
	c := w.dial()
	for range 3 {
		c.get("/")
		if n := gauge.Load(); n != 1 || w.idle() != 1 {
			t.Errorf("%d are counted, %d are there", n, w.idle())
		}
	}
	if gauge.Max() != 1 {
		t.Errorf("%d at once", gauge.Max())
	}
}

// TestPortsThatFollowTheClients: a server without a port, or with an offset, is connected to at the port that the
// client connected to, plus the offset. Connections to different ports are never taken for each other.
func TestPortsThatFollowTheClients(t *testing.T) {
	for _, offset := range []bool{false, true} {
		t.Run(fmt.Sprint("offset ", offset), func(t *testing.T) {
			front := labtest.FreeAddr(t)
			servers := namedAt(t, fmt.Sprintf("127.0.0.2:%d", front.Port()), "same")
			shifted := named(t, "shifted")
			w := start(t, []netip.AddrPort{netip.AddrPortFrom(servers.Addr(), 0)}, func(_ *Setup, fe, be *config.Proxy) {
				fe.Binds[0].Addr = front
				if offset {
					be.Servers[0].Addr = netip.AddrPortFrom(shifted.Addr(), 0)
					be.Servers[0].PortOffset = int(shifted.Port()) - int(front.Port())
				}
			})
			want := "same GET / 0"
			if offset {
				want = "shifted GET / 0"
			}
			c := w.dial()
			for range 2 {
				if _, body := c.get("/"); body != want {
					t.Errorf("got %q, want %q", body, want)
				}
			}
			if n := w.idle(); n != 1 {
				t.Errorf("%d connections are kept", n)
			}
		})
	}
}

// TestMaxQueue: a client whose server is the only one that will do is refused when that server's queue is full, though
// another server is idle. The states and positions were measured with HAProxy.
func TestMaxQueue(t *testing.T) {
	g := newGate(t)
	lines := make(chan string, 10)
	w := start(t, []netip.AddrPort{g.addr, g.addr}, logging(lines), func(_ *Setup, _, be *config.Proxy) {
		be.Balance.Algorithm = "source"
		for i := range be.Servers {
			be.Servers[i].MaxConn, be.Servers[i].MaxQueue = 1, 1
		}
	})
	first, second, third := w.dial(), w.dial(), w.dial()
	first.send("GET /1 HTTP/1.1\r\nHost: t\r\n\r\n")
	g.next(t)
	second.send("GET /2 HTTP/1.1\r\nHost: t\r\n\r\n")
	servers := w.pool.Backend("be").Servers()
	eventually(t, "the second waits", func() bool { return servers[0].Queue.Load()+servers[1].Queue.Load() == 1 })
	if status, _ := third.get("/3"); status != 503 {
		t.Errorf("status %d", status)
	}
	if line := nextLine(t, lines); !strings.Contains(line, " SQ-- ") {
		t.Errorf("the third is logged as %s", line)
	}
	if len(g.arrived) > 0 {
		t.Error("the second went to another server")
	}
	for _, c := range []*client{first, second} {
		g.answer <- struct{}{}
		c.response("GET")
	}
	nextLine(t, lines)
	if line := nextLine(t, lines); !strings.Contains(line, ` ---- `) || !strings.Contains(line, ` 1/0 "GET /2 `) {
		t.Errorf("the second is logged as %s", line)
	}
}
