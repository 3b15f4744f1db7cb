package proxy

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"testing"

	"waggle/pkg/config"
	"waggle/pkg/lab/labtest"
)

func TestTCPRelayHalfClose(t *testing.T) {
	w := start(t, []netip.AddrPort{listen(t, func(c net.Conn, r *bufio.Reader) {
		got, _ := io.ReadAll(r) // until the client's FIN
		_, _ = c.Write(append([]byte("got: "), got...))
	})}, tcpMode)
	c := w.dial()
	c.send("hello")
	_ = c.CloseWrite()
	if got := c.rest(); got != "got: hello" {
		t.Errorf("got %q", got)
	}
	eventually(t, "the session is gone", func() bool { return w.engine.Sessions() == 0 })
	fe, srv := w.pool.Frontend("fe").Counters.Sum(), w.pool.Backend("be").Servers()[0].Counters.Sum()
	if fe.BytesIn != 5 || fe.BytesOut != 10 || srv.BytesIn != 5 || srv.BytesOut != 10 || srv.Sessions != 1 {
		t.Errorf("frontend %+v\nserver %+v", fe, srv)
	}
}

func TestTCPRelayBothWays(t *testing.T) {
	down := pattern(large)
	received := make(chan []byte, 1)
	w := start(t, []netip.AddrPort{listen(t, func(c net.Conn, r *bufio.Reader) {
		go func() {
			_, _ = c.Write(down)
			_ = c.(*net.TCPConn).CloseWrite()
		}()
		got, _ := io.ReadAll(r)
		received <- got
	})}, tcpMode)
	up := pattern(large + 7)
	c := w.dial()
	go func() {
		_, _ = c.TCPConn.Write(up)
		_ = c.CloseWrite()
	}()
	sameBytes(t, []byte(c.rest()), down)
	sameBytes(t, <-received, up)
	eventually(t, "the bytes are counted", func() bool {
		sum := w.pool.Backend("be").Counters.Sum()
		return sum.BytesIn == large+7 && sum.BytesOut == large
	})
}

func TestTCPServerSpeaksFirst(t *testing.T) {
	w := start(t, []netip.AddrPort{scriptedGreeting(t, "220 ready\r\n")}, tcpMode)
	c := w.dial()
	if line, err := c.r.ReadString('\n'); line != "220 ready\r\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

func scriptedGreeting(t *testing.T, s string) netip.AddrPort {
	return listen(t, func(c net.Conn, r *bufio.Reader) {
		_, _ = io.WriteString(c, s)
		_, _ = io.Copy(io.Discard, r)
	})
}

func TestTCPWithoutServerClosesAtOnce(t *testing.T) {
	w := start(t, nil, tcpMode)
	if got := w.dial().rest(); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestTCPRefusedIsRetriedElsewhere(t *testing.T) {
	w := start(t, []netip.AddrPort{labtest.ClosedAddr(t), scriptedGreeting(t, "b")}, tcpMode, func(_ *Setup, _, be *config.Proxy) {
		be.Options.Redispatch = true
	})
	c := w.dial()
	if b, err := c.r.ReadByte(); b != 'b' {
		t.Errorf("got %q, %v", b, err)
	}
}

// TestTCPReset passes a server's reset on, so that the client does not take a cut stream for a whole one.
func TestTCPReset(t *testing.T) {
	w := start(t, []netip.AddrPort{listen(t, func(c net.Conn, r *bufio.Reader) {
		_, _ = io.WriteString(c, "part")
		_, _ = r.ReadByte()
		_ = c.(*net.TCPConn).SetLinger(0)
	})}, tcpMode)
	c := w.dial()
	part := make([]byte, 4)
	if _, err := io.ReadFull(c.r, part); err != nil {
		t.Fatal(err)
	}
	c.send("x")
	if _, err := io.ReadAll(c.r); err == nil {
		t.Error("the stream ended as if it were whole")
	}
}

func TestTunnelTimeout(t *testing.T) {
	w := start(t, []netip.AddrPort{scriptedGreeting(t, "x")}, tcpMode, func(_ *Setup, fe, be *config.Proxy) {
		fe.Timeouts.Client, be.Timeouts.Server = soon, never
	})
	c := w.dial()
	if b, err := c.r.ReadByte(); b != 'x' {
		t.Fatalf("got %q, %v", b, err)
	}
	w.skip(soon)
	if got := c.rest(); got != "" {
		t.Errorf("got %q", got)
	}
}
