package pool

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestHealthIsOneInteger: + is a passed check, - a failed one; the status after each.
func TestHealthIsOneInteger(t *testing.T) {
	for _, tc := range []struct {
		rise, fall int
		checks     string
		want       string
	}{
		{2, 3, "", "UP 1/3"},
		{2, 3, "-", "DOWN"}, // the first failed check takes a new server down
		{2, 3, "+", "UP"},
		{2, 3, "+-", "UP 2/3"},
		{2, 3, "+--", "UP 1/3"},
		{2, 3, "+---", "DOWN"},
		{2, 3, "+--+", "UP"},
		{2, 3, "+---+", "DOWN 1/2"},
		{2, 3, "+---+-", "DOWN"},
		{2, 3, "+---++", "UP"},
		{1, 1, "-", "DOWN"},
		{1, 1, "-+", "UP"},
		{3, 1, "-++", "DOWN 2/3"},
		{3, 1, "-+++", "UP"},
	} {
		t.Run(fmt.Sprintf("rise %d fall %d %s", tc.rise, tc.fall, tc.checks), func(t *testing.T) {
			b := newBench(t, BackendOptions{})
			s := b.server(func(o *ServerOptions) { o.Rise, o.Fall = tc.rise, tc.fall })
			for _, c := range tc.checks {
				if c == '+' {
					s.pass(1)
				} else {
					s.failCheck(1)
				}
			}
			if got := s.View().Status; got != tc.want {
				t.Errorf("status %q, want %q", got, tc.want)
			}
		})
	}
}

func TestCheckLogLines(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(nil)
	b.server(func(o *ServerOptions) { o.Backup = true })
	s.ReportCheck(CheckResult{Status: CheckL7Sts, Code: 503, Info: "Service Unavailable", Duration: 2300 * time.Microsecond})
	s.Queue.Add(2)
	s.pass(2)
	b.wantLines(
		`Server be/s1 is DOWN, reason: Layer7 wrong status, code: 503, info: "Service Unavailable", check duration: 2ms. 0 active and 1 backup servers left. Running on backup. 0 sessions active, 0 requeued, 0 remaining in queue.`,
		`Server be/s1 is UP, reason: Layer4 check passed, check duration: 0ms. 1 active and 1 backup servers online. 0 sessions requeued, 2 total in queue.`)
	b.Servers()[1].failCheck(1)
	b.wantLines(`Backup Server be/s2 is DOWN, reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.`)
}

func TestLogHealthChecks(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(func(o *ServerOptions) { o.LogChecks = true })
	silentTwin := b.server(nil)
	silentTwin.pass(3)
	s.pass(2) // the second changes nothing and is not worth a line
	b.wantLines("Health check for server be/s1 succeeded, reason: Layer4 check passed, check duration: 0ms, status: 3/3 UP.")
	s.failCheck(1)
	b.wantLines(`Health check for server be/s1 failed, reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms, status: 2/3 UP.`)
	s.failCheck(2)
	if got := b.lines(); len(got) != 3 || got[1] != `Health check for server be/s1 failed, reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms, status: 0/2 DOWN.` ||
		got[2] != "Server be/s1 is DOWN. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue." {
		t.Errorf("log: %q", got)
	}
	s.failCheck(2)
	b.wantLines()
	s.ReportCheck(CheckResult{Status: CheckL4Tout}) // failed as before, but for another reason
	b.wantLines("Health check for server be/s1 failed, reason: Layer4 timeout, check duration: 0ms, status: 0/2 DOWN.")
	s.ReportCheck(CheckResult{Status: CheckL7OKC, Code: 404})
	b.wantLines("Health check for server be/s1 conditionally succeeded, reason: Layer7 check conditionally passed, code: 404, check duration: 0ms, status: 1/2 DOWN.")
}

// A listen section is a proxy in HAProxy's lines.
func TestListenIsCalledProxy(t *testing.T) {
	b := newBench(t, BackendOptions{Listen: true})
	s := b.server(nil)
	s.failCheck(3)
	s.pass(2)
	if got := b.lines(); len(got) != 4 || got[1] != "proxy be has no server available!" || got[3] != "proxy be has a server available again." {
		t.Errorf("log: %q", got)
	}
}

func TestChecksThatDoNotCount(t *testing.T) {
	b := newBench(t, BackendOptions{})
	maint := b.server(nil)
	maint.SetMaint(true, CauseCLI)
	unchecked := b.server(func(o *ServerOptions) { o.Check = false })
	moved := b.server(nil)
	old := netip.MustParseAddrPort("10.0.0.99:80")
	for _, s := range []*Server{maint, unchecked} {
		s.failCheck(5)
	}
	moved.ReportCheck(CheckResult{Status: CheckL4Con, For: old})
	b.wantStates("10.0.0.1 MAINT, 10.0.0.2 no check, 10.0.0.3 UP 1/3")
	moved.ReportCheck(CheckResult{Status: CheckL4Con, For: moved.View().Addr})
	b.wantStates("10.0.0.1 MAINT, 10.0.0.2 no check, 10.0.0.3 DOWN")
}

func TestCountsOfChecksAndOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, BackendOptions{})
		s := b.server(nil)
		s.pass(1)
		time.Sleep(10 * time.Second)
		s.failCheck(3) // down
		s.failCheck(2) // these do not count: it was down already
		time.Sleep(7 * time.Second)
		v, bv := s.View(), b.View()
		if v.CheckFailures != 3 || v.Downs != 1 || v.Downtime != 7*time.Second || time.Since(v.LastChange) != 7*time.Second {
			t.Errorf("while down: %+v", v)
		}
		if bv.Up || bv.Downs != 1 || bv.Downtime != 7*time.Second || bv.Active != 0 || bv.Weight != 0 {
			t.Errorf("backend while down: %+v", bv)
		}
		s.pass(2)
		time.Sleep(5 * time.Second)
		v, bv = s.View(), b.View()
		if v.Downtime != 7*time.Second || v.Downs != 1 || time.Since(v.LastChange) != 5*time.Second {
			t.Errorf("when up again: %+v", v)
		}
		if !bv.Up || bv.Downtime != 7*time.Second || bv.Active != 1 || bv.Weight != 1 || time.Since(bv.LastChange) != 5*time.Second {
			t.Errorf("backend when up again: %+v", bv)
		}
		b.wantLines(
			`Server be/s1 is DOWN, reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.`,
			"backend be has no server available!",
			"Server be/s1 is UP, reason: Layer4 check passed, check duration: 0ms. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
			"backend be has a server available again.")
	})
}

func TestCheckStatusesHaveHAProxysCodes(t *testing.T) {
	var codes []string
	for _, s := range CheckStatuses() {
		codes = append(codes, s.String())
		if s.Description() == "" {
			t.Errorf("%v has no description", s)
		}
		if s.Passed() != strings.HasSuffix(strings.TrimSuffix(s.String(), "C"), "OK") {
			t.Errorf("%v: passed %v", s, s.Passed())
		}
	}
	want := "HANA SOCKERR L4OK L4TOUT L4CON L6OK L6TOUT L6RSP L7TOUT L7RSP L7OK L7OKC L7STS PROCERR PROCTOUT PROCOK"
	if got := strings.Join(codes, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
