package check

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

func enabled(o config.CheckOptions) config.CheckOptions {
	o.Enabled = true
	return o
}

func at(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func wantTimes(t *testing.T, got []time.Duration, want ...time.Duration) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("checks at %v, want %v", got, want)
	}
}

const ms = time.Millisecond

func TestRiseAndFallInHAProxysWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		s := f.server("10.0.0.1:80")
		f.run(Options{}, Spec{Server: s, Options: enabled(config.CheckOptions{})})
		steps := []struct {
			do   func()
			want string
		}{
			{func() {}, "UP"}, // one success at the start is enough
			{func() { f.breakServer("10.0.0.1:80", syscall.ECONNREFUSED) }, "UP 2/3"},
			{func() {}, "UP 1/3"},
			{func() {}, "DOWN"},
			{func() { f.repair("10.0.0.1:80") }, "DOWN 1/2"},
			{func() {}, "UP"},
		}
		for i, step := range steps {
			step.do()
			at(2 * time.Second)
			if got := s.View().Status; got != step.want {
				t.Errorf("step %d: status %q, want %q", i, got, step.want)
			}
		}
		want := []string{
			`Server be/s1 is DOWN, reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.`,
			`backend be has no server available!`,
			`Server be/s1 is UP, reason: Layer4 check passed, check duration: 0ms. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.`,
		}
		log := strings.Join(f.lines, "\n")
		for _, w := range want {
			if !strings.Contains(log, w) {
				t.Errorf("not logged: %s\nlog:\n%s", w, log)
			}
		}
		if v := s.View(); v.CheckFailures != 3 || v.Downs != 1 {
			t.Errorf("failures %d, downs %d; want 3, 1", v.CheckFailures, v.Downs)
		}
	})
}

func TestIntervalsFollowTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		s := f.server("10.0.0.1:80")
		f.run(Options{}, Spec{Server: s, Options: enabled(config.CheckOptions{
			Inter: 1000 * ms, FastInter: 100 * ms, DownInter: 5000 * ms,
		})})
		at(500 * ms)
		f.breakServer("10.0.0.1:80", syscall.ECONNREFUSED)
		at(2 * time.Second)
		f.repair("10.0.0.1:80")
		at(6 * time.Second)
		// Up at 0; failing from 1000, three times 100 ms apart; down for 5 s; two successes; up.
		wantTimes(t, f.times("10.0.0.1:80"), 0, 1000*ms, 1100*ms, 1200*ms, 6200*ms, 6300*ms, 7300*ms, 8300*ms)
	})
}

func TestTimeouts(t *testing.T) {
	for _, tc := range []struct {
		name           string
		connect, check time.Duration
		want           time.Duration
	}{
		{"inter bounds the whole check", 300 * ms, 0, 1000 * ms},
		{"timeout check makes timeout connect count", 300 * ms, 5 * time.Second, 300 * ms},
		{"inter is the shorter", 3 * time.Second, 5 * time.Second, 1000 * ms},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				s := f.server("10.0.0.1:80")
				f.breakServer("10.0.0.1:80", nil) // hangs
				f.run(Options{}, Spec{
					Server: s, Options: enabled(config.CheckOptions{Inter: 1000 * ms}),
					ConnectTimeout: tc.connect, CheckTimeout: tc.check,
				})
				at(tc.want - ms)
				if got := s.View().Check.Status; got == pool.CheckL4Tout {
					t.Fatalf("timed out before %v", tc.want)
				}
				at(ms)
				v := s.View()
				if v.Check.Status != pool.CheckL4Tout || v.Check.Duration != tc.want || v.Status != "DOWN" {
					t.Errorf("got %v after %v, status %s; want L4TOUT after %v, DOWN", v.Check.Status, v.Check.Duration, v.Status, tc.want)
				}
			})
		})
	}
}

func TestServersComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		first := f.server("10.0.0.1:80")
		spec := func(s *pool.Server) Spec {
			return Spec{Server: s, Options: enabled(config.CheckOptions{Inter: 1000 * ms})}
		}
		c := f.run(Options{}, spec(first))
		at(500 * ms)
		added := f.server("10.0.0.2:80")
		f.breakServer("10.0.0.2:80", nil) // hangs
		c.Add(spec(added))
		at(ms)
		if v := added.View(); !v.CheckRunning || first.View().CheckRunning {
			t.Error("the check of a server that was added does not run, or the other's still does")
		}
		c.Remove(added)
		at(ms)
		if v := added.View(); v.CheckRunning || v.Checked {
			t.Errorf("the check of a server that was removed still runs, or counts: %+v", v)
		}
		c.Remove(first)
		before := c.Totals().Started
		at(5000 * ms)
		if n := c.Totals().Started; n != before {
			t.Errorf("%d checks after all servers were removed", n-before)
		}
		c.Add(spec(first))
		at(ms)
		if n := c.Totals().Started; n != before+1 {
			t.Errorf("%d checks after one was added again, want 1", n-before)
		}
		first.SetChecking(false)
		at(5000 * ms)
		if n := c.Totals().Started; n != before+1 {
			t.Error("checks that were switched off go on")
		}
	})
}

func TestFirstChecksAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var specs []Spec
		for i := range 4 {
			specs = append(specs, Spec{
				Server:  f.server(fmt.Sprintf("10.0.0.%d:80", i+1)),
				Options: enabled(config.CheckOptions{Inter: []time.Duration{200 * ms, 2000 * ms, 4000 * ms, 200 * ms}[i]}),
			})
		}
		c := f.run(Options{}, specs...)
		at(3500 * ms)
		if n := c.Totals(); n.Late != 0 || n.Started != uint64(len(f.dials)) {
			t.Errorf("%+v after %d checks in time", n, len(f.dials))
		}
		for addr, want := range map[string]time.Duration{
			"10.0.0.1:80": 0,
			"10.0.0.2:80": 500 * ms,  // the smallest interval of at least a second is 2 s
			"10.0.0.3:80": 2000 * ms, // its own is longer
			"10.0.0.4:80": 1500 * ms,
		} {
			if got := f.times(addr); len(got) == 0 || got[0] != want {
				t.Errorf("%s: checks at %v, want the first at %v", addr, got, want)
			}
		}
	})
}

func TestSpreadChecksVaryTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		s := f.server("10.0.0.1:80")
		numbers := []float64{0, 1, 0.5, 0.25}
		next := 0
		f.run(Options{SpreadChecks: 50, Rand: func() float64 { next++; return numbers[(next-1)%len(numbers)] }},
			Spec{Server: s, Options: enabled(config.CheckOptions{Inter: 1000 * ms})})
		at(4 * time.Second)
		wantTimes(t, f.times("10.0.0.1:80"), 0, 1500*ms, 2000*ms, 3000*ms)
	})
}

func TestMaintenanceIsNotChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		s := f.server("10.0.0.1:80")
		f.run(Options{}, Spec{Server: s, Options: enabled(config.CheckOptions{})})
		at(ms)
		s.SetMaint(true, pool.CauseCLI)
		at(9 * time.Second)
		wantTimes(t, f.times("10.0.0.1:80"), 0)
		f.breakServer("10.0.0.1:80", syscall.EHOSTUNREACH)
		s.SetMaint(false, pool.CauseCLI)
		at(0)
		if v := s.View(); v.Status != "DOWN" || v.Check.Info != "No route to host" {
			t.Errorf("after maintenance: %s, %q; want a check at once", v.Status, v.Check.Info)
		}
	})
}

func TestNewAddressIsCheckedAtOnceAndOften(t *testing.T) {
	for _, tc := range []struct {
		name    string
		haproxy bool
		up      time.Duration
	}{
		{"ours", false, 1500 * ms},
		{"HAProxy's pace", true, 4000 * ms},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				s, g := f.slot()
				f.run(Options{HAProxyPace: tc.haproxy}, Spec{Server: s, Options: enabled(config.CheckOptions{})})
				at(700 * ms)
				if n := len(f.times("10.0.1.1:80")); n != 0 {
					t.Fatalf("%d checks without an address", n)
				}
				f.start = time.Now()
				f.breakServer("10.0.1.1:80", syscall.ECONNREFUSED) // in DNS, but not listening yet
				g.Resolve(pool.Resolution{Records: []pool.Record{{Addr: netip.MustParseAddr("10.0.1.1")}}, By: "docker/dns1"})
				at(0)
				if got := s.View().Status; got != "DOWN" {
					t.Errorf("a task that does not listen is %s", got)
				}
				at(600 * ms)
				f.repair("10.0.1.1:80")
				at(tc.up - 600*ms - ms)
				if got := s.View().Status; got == "UP" {
					t.Errorf("%s before %v", got, tc.up)
				}
				at(ms)
				if got := s.View().Status; got != "UP" {
					t.Errorf("%s at %v, checks at %v", got, tc.up, f.times("10.0.1.1:80"))
				}
				n := len(f.times("10.0.1.1:80"))
				at(10 * time.Second)
				if got := len(f.times("10.0.1.1:80")) - n; got != 5 {
					t.Errorf("%d checks in the 10 s after, want 5: the usual interval", got)
				}
			})
		})
	}
}

// TestDeadNewAddressIsNotCheckedOftenForever: the quick pace has an end.
func TestDeadNewAddressIsNotCheckedOftenForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		s, g := f.slot()
		f.breakServer("10.0.1.1:80", syscall.ECONNREFUSED)
		f.run(Options{}, Spec{Server: s, Options: enabled(config.CheckOptions{})})
		g.Resolve(pool.Resolution{Records: []pool.Record{{Addr: netip.MustParseAddr("10.0.1.1")}}, By: "docker/dns1"})
		at(freshWindow + 2*time.Second)
		n := len(f.times("10.0.1.1:80"))
		at(20 * time.Second)
		if got := len(f.times("10.0.1.1:80")) - n; got != 10 {
			t.Errorf("%d checks in 20 s, want 10", got)
		}
	})
}

func TestRunningCheckOfAnOldAddressIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		s, g := f.slot()
		resolve := func(addr string) {
			g.Resolve(pool.Resolution{Records: []pool.Record{{Addr: netip.MustParseAddr(addr)}}, By: "docker/dns1"})
		}
		f.breakServer("10.0.1.1:80", nil) // hangs
		f.run(Options{}, Spec{Server: s, Options: enabled(config.CheckOptions{})})
		resolve("10.0.1.1")
		at(600 * ms)
		if f.running != 1 {
			t.Fatalf("%d checks are running, want one that hangs", f.running)
		}
		resolve("10.0.1.2")
		at(0)
		if v := s.View(); v.Status != "UP" || v.Check.Status != pool.CheckL4OK {
			t.Errorf("new address: %s, %v; want it checked at once", v.Status, v.Check.Status)
		}
		at(1950 * ms) // the old check would have timed out by now
		if v := s.View(); v.Status != "UP" {
			t.Errorf("the old address's check took the new one down: %s", v.Status)
		}
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var specs []Spec
		for i := range 300 {
			addr := fmt.Sprintf("10.0.%d.%d:80", i/200, i%200+1)
			f.breakServer(addr, nil) // all hang
			specs = append(specs, Spec{Server: f.server(addr), Options: enabled(config.CheckOptions{Inter: 1000 * ms})})
		}
		c := f.run(Options{MaxRunning: 20}, specs...)
		at(40 * time.Second)
		if n := c.Totals(); n.Late < 100 || n.Started < 300 {
			t.Errorf("%+v: a shortage of places must show", n)
		}
		if f.most != 20 {
			t.Errorf("%d checks ran at once, want 20", f.most)
		}
		for _, s := range specs {
			if v := s.Server.View(); v.Check.Status != pool.CheckL4Tout {
				t.Fatalf("%s never had its turn", s.Server.Name)
			}
		}
	})
}

func TestCheckAddressAndPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		s := f.server("10.0.0.1:80")
		f.breakServer("10.9.9.9:8080", syscall.ECONNREFUSED)
		f.run(Options{}, Spec{Server: s, Options: enabled(config.CheckOptions{Port: 8080, Addr: netip.MustParseAddr("10.9.9.9")})})
		at(ms)
		if v := s.View(); v.Status != "DOWN" {
			t.Errorf("status %s, want DOWN by the check of 10.9.9.9:8080; dials %v", v.Status, f.dials)
		}
	})
}

func TestLocalTroubleIsNotTheServers(t *testing.T) {
	r := connectFailure(&net.OpError{Err: os.NewSyscallError("socket", syscall.EMFILE)})
	if r.Status != pool.CheckSockErr || r.Info != "Too many open files" {
		t.Errorf("got %v %q", r.Status, r.Info)
	}
}
