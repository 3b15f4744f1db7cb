package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

func (w *world) idle() (n int) {
	w.onLoop(func(wk *worker) { n = wk.idle.total })
	return n
}

// TestUnsolicitedResponseIsNotServed: what a server sends on an idle connection must never be taken for the
// answer to the next request.
func TestUnsolicitedResponseIsNotServed(t *testing.T) {
	extra := "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
	for _, together := range []bool{true, false} {
		t.Run(fmt.Sprint("in one piece ", together), func(t *testing.T) {
			more := make(chan struct{}, 1)
			w := start(t, []netip.AddrPort{listen(t, func(c net.Conn, r *bufio.Reader) {
				for {
					if _, err := readHead(r); err != nil {
						return
					}
					answer := "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
					if together {
						answer += extra
					}
					_, _ = io.WriteString(c, answer)
					if !together {
						<-more
						_, _ = io.WriteString(c, extra)
					}
				}
			})})
			c := w.dial()
			for range 3 {
				if _, body := c.get("/"); body != "good" {
					t.Fatalf("got %q", body)
				}
				more <- struct{}{}
				eventually(t, "the connection is closed", func() bool { return w.idle() == 0 })
				select {
				case <-more:
				default:
				}
			}
		})
	}
}

func TestIdleConnectionsFollowTheServer(t *testing.T) {
	w := start(t, []netip.AddrPort{named(t, "a")})
	c := w.dial()
	c.get("/")
	if w.idle() != 1 {
		t.Fatal("no connection is kept")
	}
	server := w.pool.Backend("be").Servers()[0]
	server.SetMaint(true, pool.CauseCLI)
	eventually(t, "the idle connection is closed", func() bool { return w.idle() == 0 })
	if status, _ := c.get("/"); status != 503 {
		t.Errorf("status %d", status)
	}
	server.SetMaint(false, pool.CauseCLI)
	if status, _ := c.get("/"); status != 200 {
		t.Errorf("status %d", status)
	}
}

func TestShutdownSessions(t *testing.T) {
	g := newGate(t)
	w := start(t, []netip.AddrPort{g.addr, named(t, "b")})
	c, other := w.dial(), w.dial()
	c.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n")
	g.next(t)
	other.get("/")
	w.engine.ShutdownSessions(w.pool.Backend("be").Servers()[0])
	if got := c.rest(); got != "" {
		t.Errorf("got %q", got)
	}
	other.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n") // the gate's turn
	g.next(t)
	g.answer <- struct{}{}
	g.answer <- struct{}{}
	if resp, _ := other.response("GET"); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// TestSlowClientIsNotTheServersFault: while a client does not read, `timeout server` does not run.
func TestSlowClientIsNotTheServersFault(t *testing.T) {
	body := pattern(32 << 20)
	w := start(t, []netip.AddrPort{listen(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := readHead(r); err == nil {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
			_, _ = c.Write(body)
		}
	})}, func(_ *Setup, fe, be *config.Proxy) { fe.Timeouts.Client, be.Timeouts.Server = never, soon })
	c := w.dial()
	c.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n")
	if _, err := c.r.Peek(1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server is not waited for", func() (free bool) {
		w.session(func(s *session) {
			if free = s.w.loop.Left(&s.serverTimer) < 0; free {
				s.w.loop.Skip(4 * soon)
			}
		})
		return free
	})
	_, got := c.response("GET")
	sameBytes(t, []byte(got), body)
}

// TestClientThatNeverReadsIsEnded by `timeout client`.
func TestClientThatNeverReadsIsEnded(t *testing.T) {
	ended := make(chan struct{})
	w := start(t, []netip.AddrPort{listen(t, func(c net.Conn, r *bufio.Reader) {
		defer close(ended)
		if _, err := readHead(r); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
		for err := error(nil); err == nil; {
			_, err = c.Write(make([]byte, 1<<16))
		}
	})}, func(_ *Setup, fe, _ *config.Proxy) { fe.Timeouts.Client = soon })
	c := w.dial()
	c.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n")
	// The client's system may take more although it seemed full: then its time begins anew.
	eventually(t, "only the client is waited for, and then it is gone", func() bool {
		w.session(func(s *session) {
			if s.responded && s.w.loop.Left(&s.serverTimer) < 0 && s.clientTimer.Armed() {
				s.w.loop.Skip(soon)
			}
		})
		return w.engine.Sessions() == 0
	})
	receive(t, ended, "the server to stop writing")
}

// TestEarlyResponse: a server that answers before it has read the body, and closes.
func TestEarlyResponse(t *testing.T) {
	w := start(t, []netip.AddrPort{scripted(t, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")})
	c := w.dial()
	c.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100000000\r\n\r\n")
	go func() { // as much as it takes
		for err := error(nil); err == nil; {
			_, err = c.TCPConn.Write(make([]byte, 1<<16))
		}
	}()
	resp, body := c.response("POST")
	if resp.StatusCode != 413 || body != "no" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

func TestClientAbortEndsServerConnection(t *testing.T) {
	g := newGate(t)
	w := start(t, []netip.AddrPort{g.addr})
	c := w.dial()
	c.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n")
	g.next(t)
	_ = c.SetLinger(0)
	c.Close()
	eventually(t, "the session is gone", func() bool { return w.engine.Sessions() == 0 })
	if n := w.pool.Backend("be").Counters.Sum().ClientAborts; n != 1 {
		t.Errorf("%d client aborts", n)
	}
	g.answer <- struct{}{}
}

// TestHalfClosedClientGetsItsAnswer: FIN behind a request is no abort.
func TestHalfClosedClientGetsItsAnswer(t *testing.T) {
	w := start(t, []netip.AddrPort{named(t, "a")})
	c := w.dial()
	c.send("GET /1 HTTP/1.1\r\nHost: t\r\n\r\nGET /2 HTTP/1.1\r\nHost: t\r\n\r\n")
	_ = c.CloseWrite()
	if got := c.rest(); !strings.Contains(got, "a GET /1 0") || !strings.HasSuffix(got, "a GET /2 0") {
		t.Errorf("got %q", got)
	}
}

func TestSweepKeepsWhatIsNeeded(t *testing.T) {
	w := start(t, []netip.AddrPort{named(t, "a")})
	var clients []*client
	for range 8 {
		clients = append(clients, w.dial())
	}
	for _, c := range clients { // all at once, so that each needs a connection
		c.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n")
	}
	for _, c := range clients {
		c.response("GET")
	}
	had := w.idle()
	w.onLoop(func(wk *worker) { wk.sweepIdle() }) // learns what there is
	if n := w.idle(); n != had {
		t.Errorf("%d of %d are left after the first sweep", n, had)
	}
	w.onLoop(func(wk *worker) { wk.sweepIdle() })
	if n := w.idle(); n != had/2 {
		t.Errorf("%d of %d are left after the second sweep, want half", n, had)
	}
}
