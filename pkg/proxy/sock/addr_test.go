package sock

import (
	"net/netip"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestAddressesHaveNoZone(t *testing.T) {
	want := netip.MustParseAddrPort("[fe80::1]:80")
	var r rawAddr
	r.set(want)
	(*unix.RawSockaddrInet6)(unsafe.Pointer(&r.any)).Scope_id = 2 // as the kernel says of a link-local peer
	if got := r.addrPort(); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
