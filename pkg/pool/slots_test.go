package pool

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

const free = "- MAINT (resolution)"

func TestSlots(t *testing.T) {
	keep := Resolution{Cause: CauseDNSTimeout, KeepHealthy: true}
	for _, tc := range []struct {
		name  string
		steps []Resolution
		want  string
	}{
		{"before the first answer", nil, free + ", " + free + ", " + free},
		{"fewer records than slots", []Resolution{found(2, 1)}, "10.0.1.1 UP 1/3, 10.0.1.2 UP 1/3, " + free},
		{"the same address twice takes one slot", []Resolution{found(1, 1)}, "10.0.1.1 UP 1/3, " + free + ", " + free},
		{"more records than slots", []Resolution{found(5, 4, 3, 2, 1)}, "10.0.1.1 UP 1/3, 10.0.1.2 UP 1/3, 10.0.1.3 UP 1/3"},
		{"a slot keeps its address", []Resolution{found(2, 3), found(1, 3, 2)}, "10.0.1.2 UP 1/3, 10.0.1.3 UP 1/3, 10.0.1.1 UP 1/3"},
		{"a gone address frees its slot", []Resolution{found(1, 2, 3), found(1, 3, 4)}, "10.0.1.1 UP 1/3, 10.0.1.4 UP 1/3, 10.0.1.3 UP 1/3"},
		{"a surplus address gets the first free slot", []Resolution{found(1, 2, 3, 4), found(1, 3, 4)}, "10.0.1.1 UP 1/3, 10.0.1.4 UP 1/3, 10.0.1.3 UP 1/3"},
		{"leaving keeps its slot while there is room", []Resolution{found(1), found(-1, 2)}, "10.0.1.1~ UP 1/3, 10.0.1.2 UP 1/3, " + free},
		{"leaving gives its slot up when there is none", []Resolution{found(1, 2, 3), found(-1, 2, 3, 4)}, "10.0.1.4 UP 1/3, 10.0.1.2 UP 1/3, 10.0.1.3 UP 1/3"},
		{"a free slot goes before a leaving one", []Resolution{found(1, 2, 3), found(-1, 2, 4)}, "10.0.1.1~ UP 1/3, 10.0.1.2 UP 1/3, 10.0.1.4 UP 1/3"},
		{"leaving takes no slot anew", []Resolution{found(-9, 1)}, "10.0.1.1 UP 1/3, " + free + ", " + free},
		{"leaving can come back", []Resolution{found(1), found(-1), found(1)}, "10.0.1.1 UP 1/3, " + free + ", " + free},
		{"in doubt an address is not leaving", []Resolution{found(1), found(-1, 1)}, "10.0.1.1 UP 1/3, " + free + ", " + free},
		{"an error clears all", []Resolution{found(1, 2), gone(CauseDNSNX)}, free + ", " + free + ", " + free},
		{"last known good", []Resolution{found(1, 2), keep}, "10.0.1.1 UP 1/3, 10.0.1.2 UP 1/3, " + free},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, BackendOptions{})
			g := b.template(3, nil)
			for _, r := range tc.steps {
				g.Resolve(r)
			}
			b.wantStates(tc.want)
		})
	}
}

// TestSlotsInvariants: random resolutions. No address has two slots, a slot whose address is still
// known keeps it, no slot is empty while an address has none, and the order of records is irrelevant.
func TestSlotsInvariants(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	a, b := newBench(t, BackendOptions{}), newBench(t, BackendOptions{})
	ga, gb := a.template(4, nil), b.template(4, nil)
	for range 3000 {
		var last []int
		for n := 1; n <= 8; n++ {
			switch rng.IntN(4) {
			case 0:
				last = append(last, n)
			case 1:
				last = append(last, -n)
			}
		}
		r := found(last...)
		before := addressesOf(a)
		ga.Resolve(r)
		rng.Shuffle(len(r.Records), func(i, j int) { r.Records[i], r.Records[j] = r.Records[j], r.Records[i] })
		gb.Resolve(r)
		if a.states() != b.states() {
			t.Fatalf("order matters for %v:\n%s\n%s", last, a.states(), b.states())
		}
		after := addressesOf(a)
		present := found(last...)
		empty := false
		for i, addr := range after {
			if !addr.IsValid() {
				empty = true
				continue
			}
			if slices.Index(after, addr) != i {
				t.Fatalf("%v has two slots: %s", addr, a.states())
			}
			if !slices.ContainsFunc(present.Records, func(rec Record) bool { return rec.Addr == addr }) {
				t.Fatalf("%v is not known any more: %s", addr, a.states())
			}
			if was := before[i]; was != addr && was.IsValid() &&
				slices.ContainsFunc(present.Records, func(rec Record) bool { return rec.Addr == was && !rec.Leaving }) {
				t.Fatalf("%v lost its slot: %v, %s", was, last, a.states())
			}
		}
		if empty && len(ga.Surplus()) > 0 {
			t.Fatalf("surplus %v beside an empty slot: %s", ga.Surplus(), a.states())
		}
	}
}

func addressesOf(b *bench) []netip.Addr {
	var out []netip.Addr
	for _, s := range b.Servers() {
		out = append(out, s.View().Addr.Addr())
	}
	return out
}

func TestSlotLogLines(t *testing.T) {
	b := newBench(t, BackendOptions{})
	g := b.template(2, nil)
	g.Resolve(gone(CauseDNSNX))
	b.wantLines() // nothing changes for a server that never had an address

	g.Resolve(found(1, 2))
	b.wantLines(
		"be/s1 changed its IP from (none) to 10.0.1.1 by docker/dns1.",
		"Server be/s1 ('web') is UP/READY (resolves again).",
		"Server be/s1 administratively READY thanks to valid DNS answer.",
		"be/s2 changed its IP from (none) to 10.0.1.2 by docker/dns1.",
		"Server be/s2 ('web') is UP/READY (resolves again).",
		"Server be/s2 administratively READY thanks to valid DNS answer.",
		"backend be has a server available again.")
	g.Resolve(found(1, 2))
	b.wantLines()

	b.Servers()[1].Sessions.Add(4)
	g.Resolve(Resolution{Records: found(1).Records, Cause: CauseNoIP})
	b.wantLines("Server be/s2 is going DOWN for maintenance (No IP for server ). 1 active and 0 backup servers left. 4 sessions active, 0 requeued, 0 remaining in queue.")

	b.Servers()[0].failCheck(1)
	b.lines()
	g.Resolve(gone(CauseDNSTimeout))
	b.wantLines("Server be/s1 was DOWN and now enters maintenance (DNS timeout status).")

	g.Resolve(found(1, 2))
	b.lines()
	g.Resolve(found(3, -2, 4))
	b.wantLines(
		"Server be/s2 is leaving: 10.0.1.2 is gone from DNS, no new session goes there while another server can take it.",
		"be/s1 changed its IP from 10.0.1.1 to 10.0.1.3 by docker/dns1.",
		"be/s2 changed its IP from 10.0.1.2 to 10.0.1.4 by docker/dns1.")
}

func TestNewAddressStartsAnew(t *testing.T) {
	b := newBench(t, BackendOptions{})
	g := b.template(1, nil)
	g.Resolve(found(1))
	b.Servers()[0].failCheck(1)
	b.wantStates("10.0.1.1 DOWN")
	b.lines()
	g.Resolve(found(2))
	b.wantStates("10.0.1.2 UP 1/3")
	b.wantLines(
		"be/s1 changed its IP from 10.0.1.1 to 10.0.1.2 by docker/dns1.",
		"Server be/s1 is UP (address changed).",
		"backend be has a server available again.")
	if v := b.Servers()[0].View(); v.Check.Status != CheckInit || v.Checked {
		t.Errorf("check of the old address still shown: %+v", v.Check)
	}
}

func TestLastKnownGoodIsOnlyForServersThatPass(t *testing.T) {
	b := newBench(t, BackendOptions{})
	g := b.template(3, nil)
	plain := b.server(func(o *ServerOptions) { o.Check, o.FQDN, o.Addr = false, "web", netip.AddrPortFrom(netip.Addr{}, 80) })
	g.servers = append(g.servers, plain)
	g.Resolve(found(1, 2, 3, 4))
	b.Servers()[1].failCheck(1)
	g.Resolve(Resolution{Cause: CauseDNSOther, KeepHealthy: true})
	b.wantStates("10.0.1.1 UP 1/3, " + free + ", 10.0.1.3 UP 1/3, " + free)
}

func TestSurplus(t *testing.T) {
	b := newBench(t, BackendOptions{})
	g := b.template(1, nil)
	g.Resolve(found(1, 2, 3))
	if got := g.Surplus(); len(got) != 2 || got[0].Addr().String() != "10.0.1.2" {
		t.Errorf("surplus %v", got)
	}
	const line = "backend be: 'web' has 2 tasks more than the 1 slots of its server-template; they get no traffic."
	if n := count(b.lines(), line); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
	g.Resolve(found(1, 2, 3))
	g.Resolve(found(1))
	if n := len(b.lines()); n != 0 || len(g.Surplus()) != 0 {
		t.Errorf("%d lines and surplus %v after it was gone", n, g.Surplus())
	}
	g.Resolve(found(1, 2, 3))
	if n := count(b.lines(), line); n != 1 {
		t.Errorf("logged %d times when it came back, want once", n)
	}
}

func count(lines []string, want string) int {
	n := 0
	for _, l := range lines {
		if l == want {
			n++
		}
	}
	return n
}

func TestRecordPortAndPreference(t *testing.T) {
	b := newBench(t, BackendOptions{})
	g := b.template(2, nil)
	addr := func(s string) netip.Addr { return netip.MustParseAddr(s) }
	g.Resolve(Resolution{Records: []Record{
		{Addr: addr("10.0.1.1")}, {Addr: addr("10.0.1.1"), Port: 9000}, {Addr: addr("10.0.9.1"), Preferred: true},
	}})
	want := []netip.AddrPort{netip.MustParseAddrPort("10.0.9.1:8000"), netip.MustParseAddrPort("10.0.1.1:8000")}
	for i, s := range b.Servers() {
		if got := s.View().Addr; got != want[i] {
			t.Errorf("slot %d has %v, want %v", i, got, want[i])
		}
	}
	if got := g.Surplus(); len(got) != 1 || got[0].Port() != 9000 {
		t.Errorf("surplus %v", got)
	}
}

func TestDuplicateRecordsTakeOneSlot(t *testing.T) {
	a := netip.MustParseAddr("10.0.1.1")
	for _, records := range [][]Record{
		{{Addr: a, Preferred: true, Leaving: true}, {Addr: a}},
		{{Addr: a}, {Addr: a, Preferred: true, Leaving: true}},
		{{Addr: a, Leaving: true}, {Addr: a}, {Addr: a, Leaving: true}},
	} {
		b := newBench(t, BackendOptions{})
		g := b.template(2, nil)
		for range 2 {
			g.Resolve(Resolution{Records: records})
			b.wantStates("10.0.1.1 UP 1/3, " + free)
		}
	}
}

func TestSlotUnderMaintenanceFollowsItsAddress(t *testing.T) {
	b := newBench(t, BackendOptions{})
	g := b.template(1, nil)
	b.Servers()[0].SetMaint(true, CauseCLI)
	g.Resolve(found(1))
	b.wantStates("10.0.1.1 MAINT")
	g.Resolve(found(2))
	b.wantStates("10.0.1.2 MAINT")
	b.wantTargets("")
	b.Servers()[0].SetMaint(false, CauseCLI)
	b.wantStates("10.0.1.2 UP 1/3")
	g.Resolve(gone(CauseNoIP))
	b.Servers()[0].SetMaint(false, CauseCLI) // an operator cannot conjure up an address
	b.wantStates(free)
}

// TestAPortOutlivesAddresses: what `set server … addr … port` has set stays, whatever DNS says of the address (the timeline
// was measured with HAProxy 2.6).
func TestAPortOutlivesAddresses(t *testing.T) {
	b := newBench(t, BackendOptions{})
	g := b.template(2, nil)
	ports := func() (all []netip.AddrPort) {
		for _, s := range b.Servers() {
			all = append(all, s.View().Addr)
		}
		return all
	}
	line := b.Servers()[1].Addr.Port()
	want := func(when string, first string, second netip.AddrPort) {
		t.Helper()
		if got := ports(); got[0] != netip.MustParseAddrPort(first) || got[1] != second {
			t.Errorf("%s: %v, want %s and %v", when, got, first, second)
		}
	}
	none := netip.AddrPortFrom(netip.Addr{}, line)
	g.Resolve(found(1))
	b.Servers()[0].SetAddr(netip.MustParseAddr("10.0.1.1"), 9999, "test")
	b.lines()
	g.Resolve(found(1))
	b.wantLines()
	want("the same answer", "10.0.1.1:9999", none)
	g.Resolve(found(2))
	want("another address", "10.0.1.2:9999", none)
	g.Resolve(found(2, 3))
	want("a second one", "10.0.1.2:9999", netip.AddrPortFrom(netip.MustParseAddr("10.0.1.3"), line))
	g.Resolve(gone(CauseDNSNX))
	g.Resolve(found(4))
	want("after none", "10.0.1.4:9999", none)
	record := found(4)
	record.Records[0].Port = 81
	g.Resolve(record)
	want("a port from SRV", "10.0.1.4:81", none)
}
