package runtimeapi

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"waggle/pkg/lab/message"
	"waggle/pkg/pool"
)

// What is written is read again as it was.
func TestServersStateIsReadAsItIsWritten(t *testing.T) { synctest.Test(t, readAsWritten) }

func readAsWritten(t *testing.T) {
	p := pool.New(1)
	be := p.AddBackend(pool.BackendOptions{Name: "web"})
	o := pool.DefaultServerOptions()
	o.Name, o.FQDN, o.Addr, o.Check, o.Weight = "one", "task", netip.MustParseAddrPort("10.0.0.1:80"), true, 4
	one := be.AddServer(o)
	one.ReportCheck(pool.CheckResult{Status: pool.CheckL7OK})
	one.SetDrain(true)
	_ = one.SetWeight(9)
	one.SetChecking(false)
	one.SetCheckTarget(pool.CheckTarget{Addr: netip.MustParseAddr("10.0.0.7"), Port: 99})
	o.Name, o.FQDN, o.Addr, o.Disabled, o.Agent = "two", "_http._tcp.task", netip.AddrPortFrom(netip.Addr{}, 80), true, true
	two := be.AddServer(o)
	two.SetAgentTarget(pool.AgentTarget{Addr: netip.MustParseAddr("2001:db8::7"), Port: 98})
	two.SetAgentChecking(false)
	now := one.View().LastChange.Add(90 * time.Second)

	got, problems, err := ReadServersState(strings.NewReader(stateHeader + stateLine(one, now) + stateLine(two, now)))
	want := []pool.SavedServer{
		{
			Backend: "web", Server: "one", FQDN: "task", Addr: netip.MustParseAddrPort("10.0.0.1:80"), Op: pool.Running, Admin: pool.ForcedDrain,
			Weight: 9, Configured: 4, Since: 90 * time.Second, Check: pool.CheckL7OK, Health: 4, Watched: true, CheckOff: true,
			CheckTarget: pool.CheckTarget{Addr: netip.MustParseAddr("10.0.0.7"), Port: 99},
		},
		{
			Backend: "web", Server: "two", FQDN: "_http._tcp.task", Addr: netip.AddrPortFrom(netip.Addr{}, 80), Op: pool.Stopped,
			Admin: pool.ForcedMaint | pool.ConfigMaint | pool.ResolutionMaint, Weight: 4, Configured: 4, Since: 90 * time.Second,
			Check: pool.CheckInit, Health: 2, Watched: true, AgentOff: true, AgentTarget: pool.AgentTarget{Addr: netip.MustParseAddr("2001:db8::7"), Port: 98},
		},
	}
	if err != nil || problems != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %q\ngot  %+v\nwant %+v", err, problems, got, want)
	}
}

func TestLinesThatAreNoServersState(t *testing.T) {
	good := "4 web 1 one 10.0.0.1 2 0 4 4 90 6 3 4 6 0 0 0 - 80 - 0 0 - - 0"
	with := func(i int, value string) string {
		words := strings.Fields(good)
		words[i] = value
		return strings.Join(words, " ")
	}
	for _, tc := range []struct{ line, want string }{
		{"garbage", "line 3: 1 columns, at least 20 are expected"},
		{with(4, "/run/s"), `line 3: srv_addr is "/run/s"`},
		{with(4, "100::%/run/s"), `line 3: srv_addr is "100::%/run/s"`}, // the form of a unix socket's
		{with(5, "4"), `line 3: srv_op_state is "4"`},
		{with(6, "-1"), `line 3: srv_admin_state is "-1"`},
		{with(7, "257"), `line 3: srv_uweight is "257"`},
		{with(8, "many"), `line 3: srv_iweight is "many"`},
		{with(9, "99999999999999999999"), `line 3: srv_time_since_last_change is "99999999999999999999"`},
		{with(10, "30"), `line 3: srv_check_status is "30"`},
		{with(11, "5"), `line 3: srv_check_result is "5"`},
		{with(18, "65536"), `line 3: srv_port is "65536"`},
		{with(21, "x"), `line 3: srv_check_port is "x"`},
	} {
		got, problems, err := ReadServersState(strings.NewReader("1\n# columns\n" + tc.line + "\n\n" + good + "\n"))
		if err != nil || len(problems) != 1 || problems[0] != tc.want || len(got) != 1 || got[0].Server != "one" {
			t.Errorf("%s: %v %q, %d servers; want %q", tc.line, err, problems, len(got), tc.want)
		}
		message.Shown(t, tc.want)
	}
	const unknownVersion = "it does not begin with a version that is known, which is 1"
	for _, text := range []string{"", "2\n" + good, good} {
		if got, _, err := ReadServersState(strings.NewReader(text)); err == nil || got != nil || err.Error() != unknownVersion {
			t.Errorf("%q: %v, error %v", text, got, err)
		}
		message.Shown(t, unknownVersion)
	}
	short := strings.Join(strings.Fields(good)[:stateFields], " ") // as before HAProxy 2.4
	if got, problems, err := ReadServersState(strings.NewReader("1\n" + short)); err != nil || problems != nil || len(got) != 1 {
		t.Errorf("a short line: %v %q %v", got, problems, err)
	}
}

func FuzzReadServersState(f *testing.F) {
	f.Add("1\n4 web 1 one 10.0.0.1 2 0 4 4 90 6 3 4 6 0 0 0 - 80 - 0 0 - - 0\n")
	f.Fuzz(func(_ *testing.T, text string) { _, _, _ = ReadServersState(strings.NewReader(text)) })
}
