package offload

import (
	"net/netip"
	"strings"
	"testing"

	"waggle/pkg/config"
)

func TestFamilies(t *testing.T) {
	const four, six = "192.0.2.1:80", "[2001:db8::1]:80"
	for _, tc := range []struct {
		binds, servers []string
		v6only         bool
		want           string // part of the reason; empty for the kernel
	}{
		{[]string{"0.0.0.0:80"}, []string{four}, false, ""},
		{[]string{"[::]:80"}, []string{four}, false, ""}, // IPv4 clients; the others are userspace's
		{[]string{"[::]:80"}, []string{six, six}, false, ""},
		{[]string{"[::]:80"}, []string{six}, true, ""},
		{[]string{"[2001:db8::9]:80"}, []string{six}, false, ""},
		{[]string{"0.0.0.0:80", "[::]:80"}, []string{six}, true, ""},
		{[]string{"[::]:80"}, []string{four}, true, "its servers are IPv4"},
		{[]string{"[2001:db8::9]:80"}, []string{four}, false, "its servers are IPv4"},
		{[]string{"192.0.2.9:80"}, []string{six}, false, "its servers are IPv6"},
		{[]string{"[::]:80"}, []string{four, six}, false, "both families"},
	} {
		cfg, fe, be := plain()
		fe.Binds, be.Servers = nil, nil
		for _, b := range tc.binds {
			fe.Binds = append(fe.Binds, config.Bind{Addr: netip.MustParseAddrPort(b), V6Only: tc.v6only})
		}
		for _, s := range tc.servers {
			be.Servers = append(be.Servers, config.Server{Name: s, Addr: netip.MustParseAddrPort(s), Weight: 1})
		}
		v := Decide(cfg, fe)
		if tc.want == "" != v.Kernel || !v.Kernel && (len(v.Reasons) != 1 || !strings.Contains(v.Reasons[0].Text, tc.want)) {
			t.Errorf("binds %v, servers %v, v6only %v: %+v, want %q", tc.binds, tc.servers, tc.v6only, v, tc.want)
		}
	}
}
