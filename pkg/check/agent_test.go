package check

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// A server in maintenance is not checked, but its agent is asked: it may end the maintenance. What it says reaches
// balancing at once.
func TestAgentIsAskedInMaintenance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		o := pool.DefaultServerOptions()
		o.Name, o.Check, o.Agent, o.Weight, o.Addr = "s1", true, true, 100, netip.MustParseAddrPort("10.0.0.1:80")
		s := f.backend.AddServer(o)
		var words atomic.Value
		var asked atomic.Int32
		words.Store("50%\n")
		dial := func(_ context.Context, addr netip.AddrPort) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				defer server.Close()
				if addr.Port() == 99 {
					asked.Add(1)
					_, _ = server.Write([]byte(words.Load().(string)))
				}
			}()
			return client, nil
		}
		c := New(Options{Pool: f.pool, Dial: dial})
		c.Add(Spec{Server: s, Options: enabled(config.CheckOptions{Inter: time.Second}), Agent: config.AgentOptions{Enabled: true, Port: 99, Inter: 3 * time.Second}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { c.Run(ctx); close(done) }()
		defer func() { cancel(); <-done }()

		at(4600 * ms)
		if got := f.backend.Snapshot().Targets; len(got) != 1 || got[0].Weight != 50 {
			t.Errorf("targets %v, want one of weight 50", got)
		}
		words.Store("maint\n")
		at(3 * time.Second)
		if got := s.View().Status; got != "MAINT" || len(f.backend.Snapshot().Targets) != 0 {
			t.Errorf("status %q, want MAINT", got)
		}
		started := c.Totals().Started
		words.Store("ready up 100%\n")
		at(3 * time.Second)
		if got := f.backend.Snapshot().Targets; len(got) != 1 || got[0].Weight != 100 {
			t.Errorf("targets %v, want one of weight 100", got)
		}
		if n := c.Totals().Started - started; n > 3 {
			t.Errorf("%d checks in 3 s of maintenance, want the agent's", n)
		}
		if n := asked.Load(); n < 3 || n > 4 {
			t.Errorf("asked %d times in 10.6 s at an interval of 3 s", n)
		}
	})
}

// After errors in traffic the next check comes within fastinter.
func TestErrorsInTrafficHurryChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		o := pool.DefaultServerOptions()
		o.Name, o.Check, o.Observe, o.OnError, o.ErrorLimit, o.Addr = "s1", true, pool.ObserveL4, pool.OnErrorFastInter, 2, netip.MustParseAddrPort("10.0.0.1:80")
		s := f.backend.AddServer(o)
		f.run(Options{}, Spec{Server: s, Options: enabled(config.CheckOptions{Inter: 10 * time.Second, FastInter: 500 * ms})})
		at(2 * time.Second)
		s.ReportTraffic(pool.TrafficConnectError)
		at(time.Second)
		s.ReportTraffic(pool.TrafficConnectError)
		at(2 * time.Second)
		wantTimes(t, f.times("10.0.0.1:80"), 0, 3500*ms)
	})
}

func TestMaxSpreadBoundsTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var specs []Spec
		for _, addr := range []string{"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"} {
			specs = append(specs, Spec{Server: f.server(addr), Options: enabled(config.CheckOptions{Inter: time.Minute})})
		}
		f.run(Options{MaxSpread: 2 * time.Second}, specs...)
		at(10 * time.Second)
		wantTimes(t, f.times("10.0.0.4:80"), 1500*ms)
	})
}

// An agent, or a server whose protocol has it speak first, sees the connection at once, although the ACK of a check that
// only connects is kept back.
func TestServerThatSpeaksFirstIsNotKeptWaiting(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("220 up\n"))
			c.Close()
		}
	}()
	addr := netip.MustParseAddrPort(ln.Addr().String())
	o := pool.DefaultServerOptions()
	o.Name, o.Check, o.Agent, o.Addr = "s", true, true, addr
	s := pool.New(1).AddBackend(pool.BackendOptions{Name: "b"}).AddServer(o)
	greeting := &config.CheckExpect{Match: config.MatchString, MinRecv: -1, Data: []byte("220")}
	spec := Spec{
		Server: s, Options: enabled(config.CheckOptions{Inter: patience}), Agent: config.AgentOptions{Enabled: true, Port: int(addr.Port()), Inter: patience},
		Check: &config.HealthCheck{Protocol: config.CheckTCP, Steps: []config.CheckStep{{Expect: greeting}}},
	}
	// An ACK that is kept back comes after 40 ms at the earliest; what is faster did not wait for it, and one is enough to see.
	const prompt = 30 * time.Millisecond
	best := [2]time.Duration{time.Hour, time.Hour}
	for end := time.Now().Add(patience); max(best[0], best[1]) > prompt && time.Now().Before(end); {
		spec.runAgent(t.Context(), direct, addr)
		spec.run(t.Context(), direct, addr)
		v := s.View()
		if v.Agent.Status != pool.CheckL7OK || v.Check.Status != pool.CheckL7OK {
			t.Fatalf("agent %+v, check %+v", v.Agent, v.Check)
		}
		best = [2]time.Duration{min(best[0], v.Agent.Duration), min(best[1], v.Check.Duration)}
	}
	if max(best[0], best[1]) > prompt {
		t.Errorf("the fastest took %v and %v", best[0], best[1])
	}
}
