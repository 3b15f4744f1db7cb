package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"waggle/pkg/config"
)

// expires gives how long the only session has until a timeout.
func (w *world) expires(t *testing.T) (left time.Duration) {
	t.Helper()
	left = -1
	if err := w.engine.Inspect(t.Context(), func(i SessionInfo) bool { left = i.Expires; return true }); err != nil {
		t.Fatal(err)
	}
	return left
}

// TestWritesMoveTheServersTimer: a server that says nothing more is not late while it is given something, in HTTP as in TCP.
func TestWritesMoveTheServersTimer(t *testing.T) {
	for _, tcp := range []bool{true, false} {
		got, answer := make(chan byte), "HTTP/1.1 100 Continue\r\n\r\n"
		server := listen(t, func(c net.Conn, r *bufio.Reader) {
			for first := true; ; {
				b, err := r.ReadByte()
				if err != nil {
					return
				}
				if b == '!' {
					if first {
						_, _ = io.WriteString(c, answer)
					}
					first = false
					got <- b
				}
			}
		})
		w := start(t, []netip.AddrPort{server}, func(s *Setup, fe, be *config.Proxy) {
			fe.Timeouts.Client, be.Timeouts.Server = 0, never
			if tcp {
				tcpMode(s, fe, be)
			}
		})
		c := w.dial()
		if !tcp {
			c.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n")
		}
		c.send("!")
		receive(t, got, "a byte at the server")
		if _, err := io.ReadFull(c.r, make([]byte, len(answer))); err != nil {
			t.Fatal(err)
		}
		w.skip(never / 2)
		if left := w.expires(t); left <= 0 || left > never/2 {
			t.Errorf("when half of the time has gone by there are %v left", left)
		}
		c.send("!")
		receive(t, got, "a byte at the server")
		eventually(t, "the time begins anew", func() bool { return w.expires(t) > never/2 })
		c.Close()
	}
}

// TestHalfClosedClientIsNotWaitedFor: nothing more is expected of a client that has closed its side, whose answer may take as long as
// the server may, as with HAProxy 2.6.
func TestHalfClosedClientIsNotWaitedFor(t *testing.T) {
	release := make(chan struct{})
	server := listen(t, func(c net.Conn, r *bufio.Reader) {
		_, _ = io.Copy(io.Discard, r)
		<-release
		_, _ = io.WriteString(c, "late")
	})
	w := start(t, []netip.AddrPort{server}, tcpMode, func(_ *Setup, fe, be *config.Proxy) { fe.Timeouts.Client, be.Timeouts.Server = soon, never })
	c := w.dial()
	c.send("x")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "only the server is waited for", func() bool {
		return w.expires(t) > soon
	})
	close(release)
	if got := c.rest(); got != "late" {
		t.Errorf("got %q", got)
	}
}

// TestTimeOfInspection: it is a time of waiting to the log, and ends when the client's does: then its rules have a last say, and no
// server is asked, as with HAProxy 2.6.
func TestTimeOfInspection(t *testing.T) {
	server := named(t, "a")
	text := `
defaults
    mode tcp
    timeout connect 1m
    timeout client CLIENT
    timeout server 1m
frontend fe
    bind 127.0.0.1:1
    option tcplog
    log 127.0.0.1:1 local0
    tcp-request inspect-delay DELAY
    tcp-request content accept if { req.len gt 9 }
    default_backend be
backend be
    server s ` + server.String() + "\n"
	for _, tc := range []struct {
		client, delay, say, fields string
		least, most                int // of the first field that is not negative, in milliseconds
	}{
		{"100ms", "1h", "x", "be/<NOSRV> -1/-1/%d 0 cR ", 100, 3_500_000},
		{"1h", "1h", "0123456789", "be/s %d/", 0, 3_500_000},
		{"1h", "100ms", "x", "be/s %d/", 100, 3_500_000},
	} {
		lines := make(chan string, 1)
		w := startConfig(t, strings.NewReplacer("CLIENT", tc.client, "DELAY", tc.delay).Replace(text), logging(lines))
		c := w.dial()
		c.send(tc.say)
		if strings.HasPrefix(tc.fields, "be/s") {
			eventually(t, "the server is asked", func() bool { return w.pool.Backends[0].Sessions.Load() == 1 })
			_ = c.CloseWrite()
		}
		c.rest()
		line := nextLine(t, lines)
		var took int
		if _, at, ok := strings.Cut(line, "] fe "); !ok {
			t.Errorf("no line of the frontend: %s", line)
		} else if _, err := fmt.Sscanf(at, tc.fields, &took); err != nil || took < tc.least || took > tc.most {
			t.Errorf("%+v: %d ms, %v: %s", tc, took, err, line)
		}
		c.Close()
	}
}
