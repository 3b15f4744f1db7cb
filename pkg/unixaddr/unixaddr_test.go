package unixaddr

import (
	"net/netip"
	"testing"
)

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		name, shown string
		sun         int
	}{
		{"/run/a.sock", "unix@/run/a.sock", 12},
		{"abns@a", "abns@a", 108},
		{"abnsz@ab", "abnsz@ab", 3},
	} {
		a := Of(tt.name)
		name, ok := Name(a.Addr())
		if name != tt.name || !ok || String(a) != tt.shown || len(SunPath(tt.name)) != tt.sun {
			t.Errorf("%s: %q %v %s, %d bytes", tt.name, name, ok, String(a), len(SunPath(tt.name)))
		}
		if a != Of(tt.name) || a == Of(tt.name+"x") || !a.Addr().IsValid() || a.Addr().Is4() {
			t.Errorf("%s does not compare as it should", tt.name)
		}
	}
	for _, other := range []string{"127.0.0.1:80", "[fe80::1%eth0]:80", "[100::]:1"} {
		a := netip.MustParseAddrPort(other)
		if Is(a.Addr()) || String(a) != other {
			t.Errorf("%s is taken for a unix socket's address", other)
		}
	}
	if Is(netip.Addr{}) {
		t.Error("no address is one")
	}
}
