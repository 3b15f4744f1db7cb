package sock

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Connections have the user timeout of the socket that they were accepted from.
func TestUserTimeoutIsInherited(t *testing.T) {
	fd, addr, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), ListenOptions{UserTimeout: 1500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer Close(fd)
	client, errno := Connect(addr, "", Source{})
	if errno != 0 {
		t.Fatal(errno)
	}
	defer Close(client)
	ready(t, fd, unix.POLLIN)
	server, _, errno := Accept(fd)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer Close(server)
	UserTimeout(client, 2*time.Second)
	for socket, want := range map[int]int{server: 1500, client: 2000} {
		if got, err := unix.GetsockoptInt(socket, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); got != want || err != nil {
			t.Errorf("%d ms, %v; want %d", got, err, want)
		}
	}
}
