package sample

import (
	"net/netip"
	"strings"
	"testing"
)

var addrs = []string{
	"1.2.3.4", "255.255.255.255", "0.0.0.0", "::", "::1", "1::", "2001:DB8::1", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:1.2.3.4", "1::3:4:5:6:7:8",
	"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.", "1..2.3", "a.b", "::g", "1:2", "fe80::1%eth0", "12345", ".1.2.3", ":", ":1", "1:", "1::2::3",
	"1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8", "::1.2.3", "1:2:3:4:5:6:7:1.2.3.4", "12345::", "::1:", ":::", "1:2:3:4:5:6:7:8::", "01.2.3.4",
}

// checkAddr compares parseAddr with the standard library, which refuses leading zeros in IPv4 and
// takes zones; we read the former as decimal numbers, as HAProxy does, and refuse the latter.
func checkAddr(t *testing.T, text string) {
	t.Helper()
	got, ok := parseAddr([]byte(text))
	want, err := netip.ParseAddr(text)
	if host, port, cut := strings.Cut(text, ":"); err != nil && ok && cut { // a port behind an IPv4 address
		if p, err2 := netip.ParseAddrPort(host + ":" + strings.TrimLeft(port, "0")); err2 == nil && p.Addr() == got || strings.Trim(port, "0") == "" && port != "" {
			return
		}
	}
	zeros := strings.Contains(text, ".") && err != nil
	if zeros || strings.Contains(text, "%") {
		return
	}
	if ok != (err == nil) || ok && got != want {
		t.Errorf("parseAddr(%q) = %v %v, netip says %v %v", text, got, ok, want, err)
	}
}

func TestParseAddr(t *testing.T) {
	for _, text := range addrs {
		checkAddr(t, text)
	}
	for text, want := range map[string]string{"1.2.3.4:80": "1.2.3.4", "1.2.3.4:0": "1.2.3.4", "1.2.3.4:65535": "1.2.3.4", "::1:80": "::1:80"} {
		if a, _ := parseAddr([]byte(text)); a.String() != want {
			t.Errorf("parseAddr(%q) = %v, want %s", text, a, want)
		}
	}
	for _, bad := range []string{"1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:8x", "1.2.3.4:8:9", "1.2.3.4:-1", ":80", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.", "1..2.3", "fe80::1%eth0", "a.b", "::1.2.3", "1:2:3:4:5:6:7:1.2.3.4"} {
		if a, ok := parseAddr([]byte(bad)); ok {
			t.Errorf("parseAddr(%q) = %v, want none", bad, a)
		}
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, text := range addrs {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { checkAddr(t, text) })
}
