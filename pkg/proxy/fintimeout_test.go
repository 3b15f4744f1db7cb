package proxy

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/accesslog"
	"waggle/pkg/config"
)

// logging hands each session's log line to a channel.
func logging(lines chan string) option {
	return func(s *Setup, fe, _ *config.Proxy) {
		fe.Logs = []config.LogTarget{{Address: "stdout"}}
		s.Access = func(_ *config.Proxy, e *accesslog.Entry) { lines <- string(e.Append(nil, time.UTC)) }
	}
}

// TestFinTimeouts: once one side has been closed, the shorter timeouts apply, and only then.
func TestFinTimeouts(t *testing.T) {
	for _, tc := range []struct {
		name         string
		set          func(fe, be *config.Timeouts)
		clientCloses bool
		state        string
	}{
		{"server-fin", func(_, be *config.Timeouts) { be.ServerFin = short }, true, " sD "},
		{"client-fin", func(fe, _ *config.Timeouts) { fe.ClientFin = short }, false, " cD "},
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
			w := start(t, []netip.AddrPort{silent}, tcpMode, logging(lines), func(_ *Setup, fe, be *config.Proxy) { tc.set(&fe.Timeouts, &be.Timeouts) })
			defer close(served)
			c := w.dial()
			time.Sleep(2 * short) // both sides open: nothing ends
			c.send("x")
			if tc.clientCloses {
				_ = c.CloseWrite()
			}
			began := time.Now()
			_, _ = io.Copy(io.Discard, c.r)
			line := <-lines
			if took := time.Since(began); took < short/2 || took > patience/2 || !strings.Contains(line, tc.state) {
				t.Errorf("ended after %s: %s", took, line)
			}
		})
	}
}

// TestTunnelTimeoutOfHalfClosed: without a -fin timeout it is that of the tunnel that goes on to hold, as with HAProxy 2.6.
func TestTunnelTimeoutOfHalfClosed(t *testing.T) {
	for _, clientCloses := range []bool{true, false} {
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
			time.Sleep(3 * short)
			_, _ = io.WriteString(c, "late")
		})
		lines := make(chan string, 1)
		w := start(t, []netip.AddrPort{server}, tcpMode, logging(lines), func(_ *Setup, fe, be *config.Proxy) {
			fe.Timeouts.Client, be.Timeouts.Server, be.Timeouts.Tunnel = short, short, patience
		})
		c := w.dial()
		c.send("x")
		if clientCloses {
			_ = c.CloseWrite()
			if got := c.rest(); got != "late" {
				t.Errorf("the client got %q", got)
			}
		} else {
			c.rest()
			time.Sleep(3 * short)
			c.Close()
		}
		if line := <-lines; !strings.Contains(line, " -- ") {
			t.Errorf("the client closes %t: %s", clientCloses, line)
		}
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
	lines := make(chan string, 1)
	w := start(t, []netip.AddrPort{full}, logging(lines), func(_ *Setup, _, be *config.Proxy) { be.Timeouts.Connect, be.Retries = short, 2 })
	began := time.Now()
	if status, _ := w.dial().get("/"); status != 503 {
		t.Errorf("status %d", status)
	}
	if took := time.Since(began); took < 3*short || took > patience/2 {
		t.Errorf("took %s", took)
	}
	if line := <-lines; !strings.Contains(line, " sC-- ") {
		t.Errorf("the log says %s", line)
	}
	if got := w.pool.Backend("be").Counters.Sum().Connects; got != 3 {
		t.Errorf("%d attempts", got)
	}
}
