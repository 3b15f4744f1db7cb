package datapath

import (
	"net/netip"
	"testing"
)

// A SYN from an address that nobody can have is left to the stack, which throws it away: no task sees it, and no entry is made.
func TestMartianSYNsAreLeftToTheStack(t *testing.T) {
	for _, c := range []struct {
		from    string
		martian bool
	}{
		{"0.0.0.0", true}, {"0.1.2.3", true}, {"127.0.0.1", true}, {"224.0.0.1", true}, {"240.0.0.1", true}, {"255.255.255.255", true}, {frontAddr, true},
		{"::", true}, {"::1", true}, {"ff02::1", true}, {frontAddr6, true},
		{"1.2.3.4", false}, {"10.0.0.1", false}, {"126.0.0.1", false}, {"128.0.0.1", false}, {"223.255.255.255", false}, {"2001:db8::1", false}, {"fd00::1", false}, {"0:0:1::1", false}, {"::1:0:1", false},
	} {
		k := newKernel(t, Options{})
		s := newScene(k, netip.MustParseAddr(c.from).Is6(), 0)
		k.sync(t, bothFamilies())
		from := netip.AddrPortFrom(netip.MustParseAddr(c.from), s.ends["client"].Port())
		verdict, _ := k.send(t, packet{src: from, dst: s.ends["front"], flags: syn, seq: 1})
		taken := verdict == verdictRedirect
		if taken == c.martian || k.reasons(t)["martian"] != map[bool]uint64{true: 1}[c.martian] {
			t.Errorf("%s: verdict %d, counted %d", c.from, verdict, k.reasons(t)["martian"])
		}
	}
}
