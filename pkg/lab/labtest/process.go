package labtest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// FreeAddr is an address of 127.0.0.1 at which nobody listens, for a program that will. Until the test ends no other test, of whichever
// process, is given it, and no connection or listener gets it by chance: the kernel gives those ports of a range that this one is not of.
func FreeAddr(t testing.TB) netip.AddrPort {
	t.Helper()
	low, high := assignablePorts(t)
	for range 10_000 {
		port := low + rand.IntN(high-low)
		release, err := reservePort(port)
		if err != nil {
			continue
		}
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))
		l, err := net.Listen("tcp", addr.String())
		if err != nil { // a program that asks nobody has it
			release()
			continue
		}
		_ = l.Close()
		t.Cleanup(release)
		return addr
	}
	t.Fatalf("no port from %d to %d is free", low, high-1)
	return netip.AddrPort{}
}

// assignablePorts is a range, the end not included, of ports that need no privilege and that the kernel gives to nobody by itself. Where
// it may give nearly all, they are among those.
func assignablePorts(t testing.TB) (low, high int) {
	t.Helper()
	const first, last, enough = 10_000, 1<<16 - 1, 2_000
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Fatal(err)
	}
	var from, to int
	if _, err := fmt.Sscan(string(text), &from, &to); err != nil {
		t.Fatal(err)
	}
	switch {
	case from-first >= enough:
		return first, from
	case last-to >= enough:
		return max(first, to+1), last + 1
	}
	return first, last + 1
}

// reservePort takes a name that stands for the port: a process that ends, however it does, gives it back.
func reservePort(port int) (release func(), err error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("@waggle-test-port-%d", port)}); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return func() { _ = unix.Close(fd) }, nil
}

// ClosedAddr is an address of 127.0.0.1 at which nobody listens, nor can until the test ends.
func ClosedAddr(t testing.TB) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	loopback := netip.MustParseAddr("127.0.0.1")
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: loopback.As4()}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return netip.AddrPortFrom(loopback, uint16(name.(*unix.SockaddrInet4).Port))
}

// Transcript is what a process has said so far. It may be read meanwhile.
type Transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write adds to it.
func (s *Transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *Transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
