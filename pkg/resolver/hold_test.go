package resolver

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

func addrs(last ...int) []netip.Addr {
	var out []netip.Addr
	for _, n := range last {
		out = append(out, netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}))
	}
	return out
}

func testHold() config.Hold {
	return config.Hold{NX: 10 * time.Second, Other: 20 * time.Second, Refused: 30 * time.Second, Timeout: 40 * time.Second, Obsolete: 5 * time.Second}
}

// TestHold replays outcomes at seconds and compares what the pool would be told: "1 2~" is address 1,
// and 2 leaving; a cause in brackets when there is none; "keep" for last known good; "-" for nothing.
func TestHold(t *testing.T) {
	type step struct {
		at     int
		status status
		addrs  []int
		want   string
	}
	v, nx, other, ref, tmo := statusValid, statusNX, statusOther, statusRefused, statusTimeout
	for _, tc := range []struct {
		name    string
		haproxy bool
		edit    func(*config.Hold)
		steps   []step
	}{
		{"missing records leave and are forgotten", false, nil, []step{
			{0, v, []int{1, 2}, "1 2"}, {1, v, []int{2}, "1~ 2"}, {4, v, []int{2}, "1~ 2"}, {5, v, []int{2}, "2"},
		}},
		{"HAProxy uses missing records for hold obsolete", true, nil, []step{
			{0, v, []int{1, 2}, "1 2"}, {1, v, []int{2}, "1 2"}, {4, v, []int{2}, "1 2"}, {5, v, []int{2}, "2"},
		}},
		{"hold obsolete 0 forgets at once", false, func(h *config.Hold) { h.Obsolete = 0 }, []step{
			{0, v, []int{1, 2}, "1 2"}, {1, v, []int{2}, "2"}, {2, v, nil, "[No IP for server ]"},
		}},
		{"hold obsolete 0 in HAProxy's mode", true, func(h *config.Hold) { h.Obsolete = 0 }, []step{
			{0, v, []int{1}, "1"}, {1, v, []int{2}, "2"},
		}},
		{"a record that comes back stays", false, nil, []step{
			{0, v, []int{1}, "1"}, {1, v, []int{2}, "1~ 2"}, {2, v, []int{1, 2}, "1 2"}, {6, v, []int{1, 2}, "1 2"},
		}},
		{"hold obsolete counts from the last answer that held it", false, nil, []step{
			{0, v, []int{1, 2}, "1 2"}, {3, v, []int{1, 2}, "1 2"}, {4, v, []int{2}, "1~ 2"}, {7, v, []int{2}, "1~ 2"}, {8, v, []int{2}, "2"},
		}},
		{"leaving records expire while errors come", false, nil, []step{
			{0, v, []int{1, 2}, "1 2"}, {1, v, []int{2}, "1~ 2"}, {4, other, nil, "1~ 2"}, {6, other, nil, "2"},
		}},
		{"in HAProxy's mode they do not", true, nil, []step{
			{0, v, []int{1, 2}, "1 2"}, {1, v, []int{2}, "1 2"}, {6, other, nil, "1 2"}, {7, v, []int{2}, "2"},
		}},
		{"NX takes all after its hold", false, nil, []step{
			{0, v, []int{1}, "1"}, {1, nx, nil, "1"}, {9, nx, nil, "1"}, {10, nx, nil, "[DNS NX status]"}, {11, v, []int{1}, "1"},
		}},
		{"each HAProxy error has its hold", true, nil, []step{
			{0, v, []int{1}, "1"}, {9, nx, nil, "1"}, {19, other, nil, "1"}, {29, ref, nil, "1"}, {39, tmo, nil, "1"}, {40, tmo, nil, "[DNS timeout status]"},
		}},
		{"HAProxy: REFUSED", true, nil, []step{{0, v, []int{1}, "1"}, {30, ref, nil, "[DNS refused status]"}}},
		{"HAProxy: SERVFAIL", true, nil, []step{{0, v, []int{1}, "1"}, {20, other, nil, "[unspecified DNS error]"}}},
		{"failures keep what is healthy", false, nil, []step{
			{0, v, []int{1}, "1"}, {19, other, nil, "1"}, {20, other, nil, "keep [unspecified DNS error]"},
			{21, tmo, nil, "keep [DNS timeout status]"}, {22, v, []int{2}, "2"}, {41, other, nil, "2"}, {42, other, nil, "keep [unspecified DNS error]"},
		}},
		{"a longer hold gives nothing back", false, nil, []step{
			{0, v, []int{1}, "1"}, {20, other, nil, "keep [unspecified DNS error]"}, {21, ref, nil, "keep [DNS refused status]"},
		}},
		{"NX takes all only after its own hold", false, func(h *config.Hold) { h.Other = 3 * time.Second }, []step{
			{0, v, []int{1}, "1"}, {3, other, nil, "keep [unspecified DNS error]"}, {5, nx, nil, "keep [DNS NX status]"}, {10, nx, nil, "[DNS NX status]"},
		}},
		{"nothing to say before the first answer", false, nil, []step{
			{1, tmo, nil, "-"}, {9, nx, nil, "-"}, {10, nx, nil, "[DNS NX status]"},
		}},
		{"HAProxy gives no hold before the first answer", true, nil, []step{{1, nx, nil, "[DNS NX status]"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			start := time.Unix(1000, 0)
			m := memory{hold: testHold(), haproxy: tc.haproxy}
			if tc.edit != nil {
				tc.edit(&m.hold)
			}
			if !tc.haproxy {
				m.lastValid = start
			}
			for _, s := range tc.steps {
				got := describe(m.learn(start.Add(time.Duration(s.at)*time.Second), outcome{status: s.status, addrs: addrs(s.addrs...)}))
				if got != s.want {
					t.Errorf("at %d s, %v %v: got %q, want %q", s.at, s.status, s.addrs, got, s.want)
				}
			}
		})
	}
}

func describe(v verdict) string {
	if v.silent {
		return "-"
	}
	var words []string
	if v.keepHealthy {
		words = append(words, "keep")
	}
	for _, r := range v.records {
		w := fmt.Sprint(r.addr.As4()[3])
		if r.leaving {
			w += "~"
		}
		words = append(words, w)
	}
	if len(v.records) == 0 {
		words = append(words, "["+v.cause.String()+"]")
	}
	return strings.Join(words, " ")
}

// TestAnswersThatChangeTheSet: an address leaves once, and the set changes when it leaves or comes back, not when it is
// forgotten afterwards; in HAProxy's mode, where it is used until then, it is the other way round.
func TestAnswersThatChangeTheSet(t *testing.T) {
	ours, theirs := memory{hold: testHold()}, memory{hold: testHold(), haproxy: true}
	for _, tc := range []struct {
		second  int
		addrs   []int
		want    string
		left    int
		changed bool
		haproxy bool // the set changes in HAProxy's mode
	}{
		{0, []int{1, 2}, "1 2", 0, true, true},
		{1, []int{1, 2}, "1 2", 0, false, false},
		{2, []int{2}, "1~ 2", 1, true, false},
		{3, []int{2}, "1~ 2", 0, false, false},
		{4, []int{1, 2}, "1 2", 0, true, false},
		{5, []int{2}, "1~ 2", 1, true, false},
		{8, []int{2}, "1~ 2", 0, false, false},
		{9, []int{2}, "2", 0, false, true},
		{10, []int{3}, "2~ 3", 1, true, true},
		{15, []int{3}, "3", 0, false, true},
	} {
		now, o := time.Unix(1000+int64(tc.second), 0), outcome{status: statusValid, addrs: addrs(tc.addrs...)}
		if v := ours.learn(now, o); describe(v) != tc.want || v.left != tc.left || v.changed != tc.changed {
			t.Errorf("second %d: %s, %d left, changed %v; want %s, %d, %v", tc.second, describe(v), v.left, v.changed, tc.want, tc.left, tc.changed)
		}
		if v := theirs.learn(now, o); v.left != 0 || v.changed != tc.haproxy {
			t.Errorf("HAProxy's mode, second %d: %s, %d left, changed %v; want none, %v", tc.second, describe(v), v.left, v.changed, tc.haproxy)
		}
	}
}

// TestMemoryIsBounded: a nameserver that names other addresses in every answer.
func TestMemoryIsBounded(t *testing.T) {
	for _, haproxy := range []bool{false, true} {
		m := memory{hold: testHold(), haproxy: haproxy}
		m.hold.Obsolete = time.Hour
		now := time.Unix(1000, 0)
		next := 0
		for range 20 {
			var fresh []int
			for range 1000 {
				next++
				fresh = append(fresh, next)
			}
			now = now.Add(time.Second)
			v := m.learn(now, outcome{status: statusValid, addrs: addrs(fresh...)})
			if len(v.records) > maxRecords {
				t.Fatalf("%d records", len(v.records))
			}
			for _, a := range addrs(fresh...) {
				if !contains(v.records, a) {
					t.Fatalf("%v of the last answer was dropped for an older one", a)
				}
			}
		}
	}
}

func contains(records []known, a netip.Addr) bool {
	for _, r := range records {
		if r.addr == a {
			return true
		}
	}
	return false
}

// TestHoldInvariants: random histories. What the last valid answer held is always among the records
// and not leaving, as long as servers are kept at all; the records are a sorted set.
func TestHoldInvariants(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		m := memory{hold: testHold(), haproxy: rng.IntN(2) == 0, lastValid: time.Unix(1000, 0)}
		now := m.lastValid
		var last []netip.Addr
		for range 100 {
			now = now.Add(time.Duration(1+rng.IntN(4)) * time.Second)
			o := outcome{status: status(1 + rng.IntN(5))}
			if o.status == statusValid {
				for n := range 6 {
					if rng.IntN(2) == 0 {
						o.addrs = append(o.addrs, addrs(n)...)
					}
				}
				last = o.addrs
			}
			v := m.learn(now, o)
			for i, r := range v.records {
				if i > 0 && v.records[i-1].addr.Compare(r.addr) >= 0 {
					t.Fatalf("not a sorted set: %v", v.records)
				}
			}
			if o.status == statusValid {
				for _, a := range last {
					if !contains(v.records, a) {
						t.Fatalf("%v is missing from %v", a, v.records)
					}
				}
			}
			if m.haproxy && strings.Contains(describe(v), "~") {
				t.Fatalf("leaving in HAProxy's mode: %s", describe(v))
			}
			if v.keepHealthy && (m.haproxy || len(v.records) > 0) {
				t.Fatalf("%+v", v)
			}
		}
	}
}

// TestRotatingAnswers: a nameserver that shows three of nine addresses at a time.
func TestRotatingAnswers(t *testing.T) {
	start := time.Unix(1000, 0)
	m := memory{hold: testHold(), lastValid: start}
	part := func(i int) []int { return [][]int{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}[i%3] }
	second := 0
	learn := func(last []int) verdict {
		second++
		return m.learn(start.Add(time.Duration(second)*time.Second), outcome{status: statusValid, addrs: addrs(last...)})
	}
	for i := range 10 {
		learn(part(i))
	}
	left := 0
	for i := 10; i < 200; i++ {
		v := learn(part(i))
		left += v.left
		if got := describe(v); got != "1 2 3 4 5 6 7 8 9" {
			t.Fatalf("answer %d: %s, want the whole set in use", i, got)
		}
	}
	if left > 0 || !m.rotation.on {
		t.Errorf("%d addresses were taken for leaving, rotation %v", left, m.rotation.on)
	}
	// The nameserver shows everything from now on, and soon a missing address is leaving again.
	for range 121 {
		learn([]int{1, 2, 3})
	}
	if got := describe(learn([]int{1, 2})); got != "1 2 3~" {
		t.Errorf("got %s after two quiet minutes", got)
	}
}

func TestLimitNamesTheCause(t *testing.T) {
	m := memory{hold: testHold()}
	for s, want := range map[status]pool.Cause{
		statusNX: pool.CauseDNSNX, statusRefused: pool.CauseDNSRefused, statusOther: pool.CauseDNSOther, statusTimeout: pool.CauseDNSTimeout,
	} {
		if _, got := m.limit(s); got != want {
			t.Errorf("%v: cause %v, want %v", s, got, want)
		}
	}
}
