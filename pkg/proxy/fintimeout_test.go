package proxy

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/config"
)

// TestFinTimeouts: once one side has been closed, the shorter timeouts apply, and only then.
func TestFinTimeouts(t *testing.T) {
	for _, tc := range []struct {
		name         string
		set          func(fe, be *config.Timeouts)
		clientCloses bool
		state        string
	}{
		{"server-fin", func(_, be *config.Timeouts) { be.ServerFin = soon }, true, " sD "},
		{"client-fin", func(fe, _ *config.Timeouts) { fe.ClientFin = soon }, false, " cD "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lines, served := make(chan string, 1), make(chan struct{})
			silent := listen(t, func(c net.Conn, r *bufio.Reader) {
				_, _ = r.ReadByte()
				if !tc.clientCloses {
					_ = c.(*net.TCPConn).CloseWrite()
				}
				_, _ = io.Copy(io.Discard, r)
				<-served
			})
			w := start(t, []netip.AddrPort{silent}, tcpMode, logging(lines), func(_ *Setup, fe, be *config.Proxy) {
				fe.Timeouts.Client, be.Timeouts.Server = never, never
				tc.set(&fe.Timeouts, &be.Timeouts)
			})
			defer close(served)
			c := w.dial()
			eventually(t, "it is with the server", func() bool { return w.expires(t) > 2*soon && w.pool.Backend("be").Sessions.Load() == 1 })
			w.skip(2 * soon)
			if len(lines) > 0 {
				t.Fatalf("it ends though both sides are open: %s", <-lines)
			}
			c.send("x")
			if tc.clientCloses {
				_ = c.CloseWrite()
			}
			eventually(t, "the shorter time applies", func() bool { left := w.expires(t); return left > 0 && left <= soon })
			w.skip(soon)
			_, _ = io.Copy(io.Discard, c.r)
			if line := nextLine(t, lines); !strings.Contains(line, tc.state) {
				t.Error(line)
			}
		})
	}
}

// TestTunnelTimeoutOfHalfClosed: without a -fin timeout it is that of the tunnel that goes on to hold, as with HAProxy 2.6.
func TestTunnelTimeoutOfHalfClosed(t *testing.T) {
	for _, clientCloses := range []bool{true, false} {
		ended, late := make(chan struct{}), make(chan struct{})
		server := listen(t, func(c net.Conn, r *bufio.Reader) {
			if _, err := r.ReadByte(); err != nil {
				return
			}
			if !clientCloses {
				_ = c.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, r)
				return
			}
			_, _ = io.Copy(io.Discard, r)
			close(ended)
			<-late
			_, _ = io.WriteString(c, "late")
		})
		lines := make(chan string, 1)
		w := start(t, []netip.AddrPort{server}, tcpMode, logging(lines), func(_ *Setup, fe, be *config.Proxy) {
			fe.Timeouts.Client, be.Timeouts.Server, be.Timeouts.Tunnel = soon, soon, never
		})
		c := w.dial()
		c.send("x")
		if clientCloses {
			_ = c.CloseWrite()
			receive(t, ended, "the FIN at the server")
			w.skip(3 * soon)
			close(late)
			if got := c.rest(); got != "late" {
				t.Errorf("the client got %q", got)
			}
		} else {
			c.rest()
			w.skip(3 * soon)
			c.Close()
		}
		if line := nextLine(t, lines); !strings.Contains(line, " -- ") {
			t.Errorf("the client closes %t: %s", clientCloses, line)
		}
	}
}

// TestTunnelTimeoutIsTheClients: it is of both sides, and lines tell of the client's, as with HAProxy 2.6, whichever timer
// was begun first.
func TestTunnelTimeoutIsTheClients(t *testing.T) {
	server := listen(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := readHead(r); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
			_, _ = io.Copy(io.Discard, r)
		}
	})
	lines := make(chan string, 1)
	w := start(t, []netip.AddrPort{server}, logging(lines), func(_ *Setup, fe, be *config.Proxy) {
		fe.Options.HTTPLog, be.Timeouts.Tunnel = true, 16*soon
		fe.Timeouts.Client, be.Timeouts.Connect, be.Timeouts.Server = 8*soon, 12*soon, 12*soon
	})
	c := w.dial()
	c.send("GET / HTTP/1.1\r\nHost: t\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
	eventually(t, "it is a tunnel", func() bool { return w.expires(t) > 12*soon })
	for _, d := range []time.Duration{8 * soon, 4 * soon, 4 * soon} { // to where each of the others would have ended
		w.skip(d)
	}
	c.rest()
	if line := nextLine(t, lines); !strings.Contains(line, " cD-- ") {
		t.Error(line)
	}
}

// TestTimeInQueueOfThoseWhoLeave: how long a request has waited is told of those that came to nothing, too.
func TestTimeInQueueOfThoseWhoLeave(t *testing.T) {
	busy := listen(t, func(_ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
	for _, leaves := range []bool{false, true} {
		lines := make(chan string, 1)
		w := start(t, []netip.AddrPort{busy}, logging(lines), func(_ *Setup, fe, be *config.Proxy) {
			fe.Options.HTTPLog, be.Servers[0].MaxConn, be.Timeouts.Queue = true, 1, soon
			fe.Timeouts.Client, be.Timeouts.Server = never, never
			if be.Options.Abortonclose = true; leaves {
				be.Timeouts.Queue = never
			}
		})
		holder := w.dial()
		holder.send("GET /1 HTTP/1.1\r\nHost: t\r\n\r\n")
		queue := &w.pool.Backend("be").Queue
		eventually(t, "the server is busy", func() bool { return w.pool.Backend("be").Servers()[0].Sessions.Load() == 1 })
		c := w.dial()
		c.send("GET /2 HTTP/1.1\r\nHost: t\r\n\r\n")
		eventually(t, "a request waits", func() bool { return queue.Load() == 1 })
		w.skip(soon)
		state := " 503 .* sQ-- "
		if leaves {
			c.Close()
			state = " -1 .* CQ-- "
		} else {
			c.response("GET")
		}
		if line := nextLine(t, lines); !regexp.MustCompile(` be/<NOSRV> \d+/6\d{4}/-1/-1/6\d{4}` + state).MatchString(line) {
			t.Errorf("leaves %t: %s", leaves, line)
		}
		holder.Close()
		nextLine(t, lines)
	}
}

// TestConnectTimeout: a server whose system drops the SYN is given up after `timeout connect`, once for each attempt.
func TestConnectTimeout(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	full := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(sa.(*unix.SockaddrInet4).Port))
	first, err := net.Dial("tcp", full.String()) // takes the only place in the accept queue
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience/time.Millisecond)); n != 1 {
		t.Fatalf("nobody is in the queue: %v", err)
	}
	lines := make(chan string, 1)
	w := start(t, []netip.AddrPort{full}, logging(lines), func(_ *Setup, _, be *config.Proxy) { be.Timeouts.Connect, be.Retries = short, 2 })
	began := time.Now()
	if status, _ := w.dial().get("/"); status != 503 {
		t.Errorf("status %d", status)
	}
	if took := time.Since(began); took < 3*short {
		t.Errorf("took %s", took)
	}
	if line := nextLine(t, lines); !strings.Contains(line, " sC-- ") {
		t.Errorf("the log says %s", line)
	}
	if got := w.pool.Backend("be").Counters.Sum().Connects; got != 3 {
		t.Errorf("%d attempts", got)
	}
}
