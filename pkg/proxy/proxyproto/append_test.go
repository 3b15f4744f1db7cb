package proxyproto

import (
	"net/netip"
	"strings"
	"testing"
)

func TestAppend(t *testing.T) {
	v4, v4too := netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("198.51.100.2:80")
	v6 := netip.MustParseAddrPort("[2001:db8::1]:443")
	for _, tc := range []struct {
		version  int
		src, dst netip.AddrPort
		want     string
	}{
		{1, v4, v4too, "PROXY TCP4 192.0.2.1 198.51.100.2 1000 80\r\n"},
		{1, v6, v6, "PROXY TCP6 2001:db8::1 2001:db8::1 443 443\r\n"},
		{1, v4, v6, "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1000 443\r\n"},
		{1, netip.MustParseAddrPort("[::ffff:192.0.2.1]:1000"), v4too, "PROXY TCP4 192.0.2.1 198.51.100.2 1000 80\r\n"},
		{2, v4, v4too, "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\x03\xe8\x00\x50"},
		{2, v6, v6, "\r\n\r\n\x00\r\nQUIT\n\x21\x21\x00\x24" + strings.Repeat("\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", 2) + "\x01\xbb\x01\xbb"},
	} {
		if got := string(Append(nil, tc.version, tc.src, tc.dst)); got != tc.want {
			t.Errorf("version %d from %s to %s: %q, want %q", tc.version, tc.src, tc.dst, got, tc.want)
		}
	}
}
