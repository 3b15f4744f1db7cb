package sock

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// from connects from a source to an address that accepts nobody in particular, and returns where it comes from.
func from(t *testing.T, to string, s Source) (netip.AddrPort, unix.Errno) {
	t.Helper()
	fd, errno := Connect(netip.MustParseAddrPort(to), "", s)
	if errno != 0 {
		return netip.AddrPort{}, errno
	}
	t.Cleanup(func() { Close(fd) })
	ready(t, fd, unix.POLLOUT)
	if errno := ConnectError(fd); errno != 0 {
		return netip.AddrPort{}, errno
	}
	return LocalAddr(fd), 0
}

func listening(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.Addr().String()
}

func TestSource(t *testing.T) {
	to := listening(t)
	addr := netip.MustParseAddr("127.0.0.9")
	for _, tt := range []struct {
		name  string
		s     Source
		want  netip.Addr
		errno unix.Errno
	}{
		{"the system's choice", Source{}, netip.MustParseAddr("127.0.0.1"), 0},
		{"unspecified", Source{Addr: netip.IPv4Unspecified()}, netip.MustParseAddr("127.0.0.1"), 0},
		{"an address", Source{Addr: addr}, addr, 0},
		{"of another host", Source{Addr: netip.MustParseAddr("192.0.2.1")}, addr, unix.EADDRNOTAVAIL},
		{"of the other family", Source{Addr: netip.IPv6Loopback()}, addr, unix.EAFNOSUPPORT},
		{"ports only", Source{Low: 22000, High: 22099}, netip.MustParseAddr("127.0.0.1"), 0},
	} {
		got, errno := from(t, to, tt.s)
		if errno != tt.errno || errno == 0 && (got.Addr() != tt.want || tt.s.Low != 0 && (got.Port() < tt.s.Low || got.Port() > tt.s.High)) {
			t.Errorf("%s: from %s, %v; want %s, %v", tt.name, got, errno, tt.want, tt.errno)
		}
	}
}

// Every port of a range is used, once for each peer, and then there is none.
func TestSourcePorts(t *testing.T) {
	one, other := listening(t), listening(t)
	s := Source{Addr: netip.MustParseAddr("127.0.0.9"), Low: 22100, High: 22119}
	for _, to := range []string{one, other} {
		var ports []uint16
		for range 20 {
			got, errno := from(t, to, s)
			if errno != 0 {
				t.Fatalf("after %d connections: %v", len(ports), errno)
			}
			ports = append(ports, got.Port())
		}
		slices.Sort(ports)
		if ports = slices.Compact(ports); len(ports) != 20 || ports[0] != s.Low || ports[19] != s.High {
			t.Errorf("ports %v", ports)
		}
		if got, errno := from(t, to, s); errno != unix.EADDRNOTAVAIL {
			t.Errorf("one more comes from %s, %v", got, errno)
		}
	}
	if n := len(slices.Collect(Source{Low: 1, High: 65535}.Ports())); n != SourceTries {
		t.Errorf("%d ports are tried, want %d", n, SourceTries)
	}
}

func TestSourceInterface(t *testing.T) {
	require.Root(t)
	to := listening(t)
	if _, errno := from(t, to, Source{Interface: "lo"}); errno != 0 {
		t.Error(errno)
	}
	if _, errno := from(t, to, Source{Interface: "nosuch0"}); errno != unix.ENODEV {
		t.Errorf("by an interface that is not there: %v", errno)
	}
}
