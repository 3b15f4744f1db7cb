package sock

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const patience = 10 * time.Second

// ready waits until a descriptor can be read or written.
func ready(t *testing.T, fd int, events int16) {
	t.Helper()
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, int(patience/time.Millisecond))
	if err != nil || n != 1 {
		t.Fatalf("poll: %d, %v", n, err)
	}
}

// connected returns both ends of a TCP connection, made by Listen, Connect and Accept.
func connected(t *testing.T, addr string) (client, server int) {
	t.Helper()
	lfd, bound, err := Listen(netip.MustParseAddrPort(addr), ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer Close(lfd)
	if _, _, errno := Accept(lfd); errno != unix.EAGAIN {
		t.Errorf("nobody has come, and accept says %v", errno)
	}
	client, errno := Connect(bound, "", Source{})
	if errno != 0 {
		t.Fatal(errno)
	}
	ready(t, client, unix.POLLOUT)
	if errno := ConnectError(client); errno != 0 {
		t.Fatal(errno)
	}
	ready(t, lfd, unix.POLLIN)
	server, peer, errno := Accept(lfd)
	if errno != 0 {
		t.Fatal(errno)
	}
	if got := LocalAddr(client); got != peer {
		t.Errorf("accept says the peer is %v, it is %v", peer, got)
	}
	if got := LocalAddr(server); got != bound {
		t.Errorf("connected to %v, want %v", got, bound)
	}
	t.Cleanup(func() { Close(client); Close(server) })
	return client, server
}

func TestConnection(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			a, b := connected(t, addr)
			for fd, name := range map[int]string{a: "connected", b: "accepted"} {
				if v, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); v == 0 {
					t.Errorf("no TCP_NODELAY on the %s socket: %v", name, err)
				}
				if flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); flags&unix.O_NONBLOCK == 0 {
					t.Errorf("the %s socket blocks", name)
				}
				if flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
					t.Errorf("the %s socket survives exec", name)
				}
			}
			buf := make([]byte, 10)
			if _, errno := Read(b, buf); errno != unix.EAGAIN {
				t.Errorf("read of nothing: %v", errno)
			}
			if n, errno := Write(a, []byte("hello")); n != 5 || errno != 0 {
				t.Errorf("write: %d, %v", n, errno)
			}
			ready(t, b, unix.POLLIN)
			if n, errno := Read(b, buf); errno != 0 || string(buf[:n]) != "hello" {
				t.Errorf("read %q, %v", buf[:n], errno)
			}
			ShutdownWrite(a)
			ready(t, b, unix.POLLIN)
			if n, errno := Read(b, buf); n != 0 || errno != 0 {
				t.Errorf("at the end: %d, %v", n, errno)
			}
		})
	}
}

func TestResetReachesThePeer(t *testing.T) {
	lfd, bound, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer Close(lfd)
	c, err := net.Dial("tcp", bound.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ready(t, lfd, unix.POLLIN)
	fd, _, errno := Accept(lfd)
	if errno != 0 {
		t.Fatal(errno)
	}
	Reset(fd)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the peer reads %v", err)
	}
}

func TestRefusedConnect(t *testing.T) {
	lfd, bound, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	Close(lfd)
	fd, errno := Connect(bound, "", Source{})
	if errno == 0 {
		defer Close(fd)
		ready(t, fd, unix.POLLOUT)
		errno = ConnectError(fd)
	}
	if errno != unix.ECONNREFUSED {
		t.Errorf("got %v", errno)
	}
}

func TestListenErrors(t *testing.T) {
	_, _, err := Listen(netip.MustParseAddrPort("192.0.2.1:1"), ListenOptions{})
	var call *os.SyscallError
	if !errors.As(err, &call) || call.Syscall != "bind" || !errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Errorf("got %v", err)
	}
}

// TestReusePort: every loop has a socket of its own on one address.
func TestReusePort(t *testing.T) {
	a, bound, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer Close(a)
	b, again, err := Listen(bound, ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer Close(b)
	if again != bound {
		t.Errorf("%v and %v", bound, again)
	}
}

func TestPipe(t *testing.T) {
	from, in := connected(t, "127.0.0.1:0")
	out, to := connected(t, "127.0.0.1:0")
	p, err := NewPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, errno := p.Fill(in, 100); errno != unix.EAGAIN {
		t.Errorf("fill from an empty socket: %v", errno)
	}
	_, _ = Write(from, []byte("hello world"))
	ready(t, in, unix.POLLIN)
	if n, errno := p.Fill(in, 5); n != 5 || errno != 0 || p.Len() != 5 {
		t.Fatalf("fill: %d, %v, inside %d", n, errno, p.Len())
	}
	if n, errno := p.Drain(out, false); n != 5 || errno != 0 || p.Len() != 0 {
		t.Fatalf("drain: %d, %v, inside %d", n, errno, p.Len())
	}
	buf := make([]byte, 20)
	ready(t, to, unix.POLLIN)
	if n, _ := Read(to, buf); string(buf[:n]) != "hello" {
		t.Errorf("got %q", buf[:n])
	}
	ShutdownWrite(from)
	if n, errno := p.Fill(in, 100); n != 6 || errno != 0 {
		t.Errorf("the rest: %d, %v", n, errno)
	}
	ready(t, in, unix.POLLRDHUP)
	if n, errno := p.Fill(in, 100); n != 0 || errno != 0 {
		t.Errorf("the end: %d, %v", n, errno)
	}
	if n, errno := p.Drain(out, false); n != 6 || errno != 0 {
		t.Errorf("drain: %d, %v", n, errno)
	}
}

// TestCongestionOfConnections: what Unpaced names is what a connection gets, and it is not bbr.
func TestCongestionOfConnections(t *testing.T) {
	lfd, bound, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer Close(lfd)
	for _, want := range []string{Unpaced(), "reno"} {
		fd, errno := Connect(bound, want, Source{})
		if errno != 0 {
			t.Fatal(errno)
		}
		got, err := unix.GetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION)
		Close(fd)
		if err != nil || want != "" && got != want || strings.HasPrefix(got, "bbr") {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}
