package check

import (
	"net"
	"net/netip"
	"os"
	"testing"

	"waggle/pkg/config"
	"waggle/pkg/lab/labtest"
	"waggle/pkg/pool"
	"waggle/pkg/proxy/sock"
)

// unhurried is a check that waits for a machine that stalls.
var unhurried = config.CheckOptions{Inter: patience}

// direct connects from wherever the system chooses.
var direct = dialFrom(sock.Source{})

// loopbackServer is a server of a pool at a real listener's address.
func loopbackServer(t *testing.T) (*pool.Server, *net.TCPListener) {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	f := newFleet(t)
	return f.server(ln.Addr().String()), ln.(*net.TCPListener)
}

// TestConnectCheckStaysOutOfTheAcceptQueue: the handshake is cut by a RST before its last ACK, so the
// application never sees a check. The kernel keeps the ACK back for a moment only: a check of a machine that stalls in it is seen, and
// others must not be.
func TestConnectCheckStaysOutOfTheAcceptQueue(t *testing.T) {
	s, ln := loopbackServer(t)
	seen := 0
	for range 20 {
		for range 5 {
			Spec{Server: s, Options: unhurried}.run(t.Context(), direct, s.View().Addr)
			if r := s.View().Check; r.Status != pool.CheckL4OK {
				t.Fatalf("check: %v %s", r.Status, r.Info)
			}
		}
		if seen = acceptedBeforeAClient(t, ln); seen == 0 {
			return
		}
	}
	t.Errorf("the connections of %d checks of 5 reached the application", seen)
}

// acceptedBeforeAClient connects, and counts the connections that the application gets before that one.
func acceptedBeforeAClient(t *testing.T, ln net.Listener) (before int) {
	t.Helper()
	client, err := net.Dial("tcp4", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for {
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if c.RemoteAddr().String() == client.LocalAddr().String() {
			return before
		}
		before++
	}
}

func TestConnectCheckOfAClosedPort(t *testing.T) {
	s := newFleet(t).server(labtest.ClosedAddr(t).String())
	Spec{Server: s, Options: unhurried}.run(t.Context(), direct, s.View().Addr)
	if r := s.View().Check; r.Status != pool.CheckL4Con || r.Info != "Connection refused" {
		t.Errorf("got %v %q", r.Status, r.Info)
	}
}

func TestHTTPCheckOverLoopback(t *testing.T) {
	s, ln := loopbackServer(t)
	sent := make(chan string, 1)
	go func() {
		if conn, err := ln.Accept(); err == nil {
			serveOnce(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", sent)
		}
	}()
	Spec{Server: s, Options: unhurried, Check: plainHTTP()}.run(t.Context(), direct, s.View().Addr)
	if r := s.View().Check; r.Status != pool.CheckL7OK || r.Code != 200 || r.For != netip.MustParseAddrPort(ln.Addr().String()) {
		t.Errorf("got %+v", r)
	}
}

// A check comes from where the server's traffic comes from, from a port of its range that is free.
func TestCheckComesFromTheSource(t *testing.T) {
	s, ln := loopbackServer(t)
	low := uint16(21000)
	own := netip.AddrFrom4([4]byte{127, 21, byte(os.Getpid() >> 8), byte(os.Getpid())}) // no other process has its ports
	taken, err := net.DialTCP("tcp4", net.TCPAddrFromAddrPort(netip.AddrPortFrom(own, low)), ln.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	from := sock.Source{Addr: own, Low: low, High: low + 1}
	for range 5 {
		conn, err := dialFrom(from)(t.Context(), s.View().Addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.LocalAddr().String(); got != netip.AddrPortFrom(own, low+1).String() {
			t.Errorf("it comes from %s", got)
		}
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	from.High = low
	if _, err := dialFrom(from)(t.Context(), s.View().Addr); err == nil {
		t.Error("a second connection from the same port")
	}
}
