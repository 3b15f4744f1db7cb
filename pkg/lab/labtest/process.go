package labtest

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// given are the addresses that FreeAddr has given away in this process.
var given sync.Map

// FreeAddr is an address of 127.0.0.1 at which nobody listens, for a program that will. The kernel gives a port that has been closed
// again at random, so that of many some would be equal: no address is given twice.
func FreeAddr(t testing.TB) netip.AddrPort {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := netip.MustParseAddrPort(l.Addr().String())
		_ = l.Close()
		if _, before := given.LoadOrStore(addr, true); !before {
			return addr
		}
	}
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
