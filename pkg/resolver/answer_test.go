package resolver

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// message builds a reply to "web. A" from records in zone file form.
func message(t testing.TB, records ...string) *dns.Msg {
	t.Helper()
	reply := new(dns.Msg).SetReply(new(dns.Msg).SetQuestion("web.", dns.TypeA))
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			t.Fatal(err)
		}
		reply.Answer = append(reply.Answer, rr)
	}
	return reply
}

func TestRead(t *testing.T) {
	loop := []string{"web. CNAME b.", "b. CNAME web."}
	var long []string
	for i := range maxChain + 1 {
		long = append(long, fmt.Sprintf("%s CNAME n%d.", map[bool]string{true: "web.", false: fmt.Sprintf("n%d.", i-1)}[i == 0], i))
	}
	long = append(long, fmt.Sprintf("n%d. A 10.0.0.1", maxChain))

	for _, tc := range []struct {
		name    string
		records []string
		limit   int
		want    string
		over    int
		chained bool
		err     error
	}{
		{name: "no records", want: "[]"},
		{name: "a set, whatever the order", records: []string{"web. A 10.0.0.9", "web. A 10.0.0.10", "web. A 10.0.0.9"}, want: "[10.0.0.9 10.0.0.10]"},
		{name: "other owners and types do not count", records: []string{"api. A 10.0.0.9", "web. AAAA fd00::1", "web. TXT x", "web. A 10.0.0.1"}, want: "[10.0.0.1]"},
		{name: "other classes do not count", records: []string{"web. CH A 10.0.0.9"}, want: "[]"},
		{name: "names compare without case", records: []string{"WEB. A 10.0.0.1"}, want: "[10.0.0.1]"},
		{name: "no server can be there", records: []string{"web. A 0.0.0.0", "web. A 224.0.0.1", "web. A 10.0.0.1"}, want: "[10.0.0.1]"},
		{name: "CNAME chain in any order", records: []string{"c. A 10.0.0.1", "b. CNAME C.", "web. CNAME b.", "web. A 10.0.0.66"}, want: "[10.0.0.1]", chained: true},
		{name: "CNAME without its end", records: []string{"web. CNAME b."}, err: errChain, want: "[]"},
		{name: "CNAME loop", records: loop, err: errChain, want: "[]"},
		{name: "CNAME chain too long", records: long, err: errChain, want: "[]"},
		{name: "over the limit, the lowest stay", records: []string{"web. A 10.0.0.3", "web. A 10.0.0.1", "web. A 10.0.0.2"}, limit: 2, want: "[10.0.0.1 10.0.0.2]", over: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.limit == 0 {
				tc.limit = maxRecords
			}
			got, err := read(message(t, tc.records...), "web.", dns.TypeA, tc.limit)
			if !errors.Is(err, tc.err) || fmt.Sprint(got.addrs) != tc.want || got.over != tc.over || got.chained != tc.chained {
				t.Errorf("got %+v, %v; want %s, over %d, chained %v, %v", got, err, tc.want, tc.over, tc.chained, tc.err)
			}
		})
	}
}

func TestAnswersOnlyTheQuery(t *testing.T) {
	query := new(dns.Msg).SetQuestion("web.", dns.TypeA)
	for _, tc := range []struct {
		name string
		edit func(*dns.Msg)
		want bool
	}{
		{"the reply", func(*dns.Msg) {}, true},
		{"in another case", func(m *dns.Msg) { m.Question[0].Name = "wEb." }, true},
		{"another id", func(m *dns.Msg) { m.Id++ }, false},
		{"a query", func(m *dns.Msg) { m.Response = false }, false},
		{"another operation", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }, false},
		{"another name", func(m *dns.Msg) { m.Question[0].Name = "api." }, false},
		{"another type", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA }, false},
		{"another class", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, false},
		{"two questions", func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, false},
		{"no question", func(m *dns.Msg) { m.Question = nil }, false},
		{"FORMERR without question", func(m *dns.Msg) { m.Question, m.Rcode = nil, dns.RcodeFormatError }, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reply := new(dns.Msg).SetReply(query)
			tc.edit(reply)
			if got := answers(query, reply); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestBetter(t *testing.T) {
	// From what counts least to what counts most.
	order := []outcome{
		{}, {status: statusTimeout}, {status: statusOther}, {status: statusRefused}, {status: statusNX},
		{status: statusValid}, {status: statusValid, addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}},
	}
	for i := range order {
		for j := range i {
			for _, got := range []outcome{better(order[i], order[j]), better(order[j], order[i])} {
				if got.status != order[i].status || got.found() != order[i].found() {
					t.Errorf("of %v and %v: got %v", order[i], order[j], got)
				}
			}
		}
	}
}

// FuzzAnswer feeds datagrams to all that looks at one. Whatever is accepted must be ours and bounded.
func FuzzAnswer(f *testing.F) {
	query := new(dns.Msg).SetQuestion("web.", dns.TypeA)
	query.Id = 0x1234
	for _, records := range [][]string{
		nil, {"web. A 10.0.0.1", "web. A 10.0.0.2"}, {"web. CNAME b.", "b. A 10.0.0.1"}, {"web. CNAME web."}, {"web. AAAA fd00::1"},
	} {
		m := message(f, records...)
		m.Id = query.Id
		packed, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
		f.Add(packed[:len(packed)-1])
	}
	f.Add([]byte{0x12, 0x34})
	f.Fuzz(func(t *testing.T, datagram []byte) {
		reply, _, ok := accept(datagram, Query{Msg: query, Size: minPayload})
		if !ok {
			return
		}
		if len(datagram) > minPayload || reply.Id != query.Id {
			t.Fatalf("accepted %d bytes with id %#x", len(datagram), reply.Id)
		}
		if targets, _, _, err := readService(reply, "web."); err != nil && len(targets) > 0 || len(targets) > maxTargets {
			t.Fatalf("%d targets beside %v", len(targets), err)
		}
		const limit = 3
		got, err := read(reply, "web.", dns.TypeA, limit)
		if err != nil && len(got.addrs) > 0 {
			t.Fatalf("addresses beside %v", err)
		}
		if len(got.addrs) > limit || !slices.IsSortedFunc(got.addrs, netip.Addr.Compare) {
			t.Fatalf("not a bounded set: %v", got.addrs)
		}
		text := reply.String()
		for _, a := range got.addrs {
			if !a.Is4() || !usable(a) || !strings.Contains(text, a.String()) {
				t.Fatalf("%v is not in the answer:\n%s", a, text)
			}
		}
	})
}

func TestReadService(t *testing.T) {
	reply := message(t, "web. SRV 0 5 80 B.", "web. SRV 0 6 80 a.", "web. SRV 1 7 81 a.", "web. SRV 0 9 80 b.", "web. SRV 0 0 0 c.", "web. SRV 0 0 80 .",
		"other. SRV 0 0 80 d.", "web. A 10.0.0.1")
	reply.Extra = message(t, "A. A 10.0.0.2", "a. A 10.0.0.1", "a. A 0.0.0.0", "b. CNAME a.").Answer
	got, over, chained, err := readService(reply, "web.")
	var texts []string
	for _, x := range got {
		texts = append(texts, fmt.Sprint(x.host, x.port, " ", x.weight, x.addrs))
	}
	want := "[a.80 6 [10.0.0.1 10.0.0.2] a.81 7 [10.0.0.1 10.0.0.2] b.80 9 []]"
	if fmt.Sprint(texts) != want || over != 0 || chained || err != nil {
		t.Errorf("got %v, %d, %v, %v; want %s", texts, over, chained, err, want)
	}

	var many []string
	for i := range maxTargets + 3 {
		many = append(many, fmt.Sprintf("web. SRV 0 0 80 n%d.", i))
	}
	if got, over, _, _ := readService(message(t, many...), "web."); len(got) != maxTargets || over != 3 {
		t.Errorf("%d targets, %d over", len(got), over)
	}
	if got, _, chained, _ := readService(message(t, "web. CNAME x.", "x. SRV 0 0 80 a."), "web."); len(got) != 1 || !chained {
		t.Errorf("through a CNAME: %v, %v", got, chained)
	}
}
