package check

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/config"
	"waggle/pkg/lab/require"
	"waggle/pkg/pool"
)

// TestTwoThousandServers has 2000 servers checked each second: however late the machine is with them, they cost no more
// goroutines than may run at a time, all get their checks, and none is taken for down.
func TestTwoThousandServers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds of real time")
	}
	require.NoRace(t, "2000 checks a second take more than all of a CPU")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() { // until it is closed
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	const servers = 2000
	p := pool.New(1)
	b := p.AddBackend(pool.BackendOptions{Name: "b"})
	const maxRunning = 100
	c := New(Options{Pool: p, MaxRunning: maxRunning})
	for range servers {
		o := pool.DefaultServerOptions()
		o.Name, o.Check, o.Addr = "s", true, netip.MustParseAddrPort(ln.Addr().String())
		c.Add(Spec{Server: b.AddServer(o), Options: config.CheckOptions{Enabled: true, Inter: time.Second}})
	}
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	cpu := cpuTime(t)
	go func() { c.Run(ctx); close(done) }()
	most, stall := 0, time.Duration(0)
	start := time.Now()
	for c.Totals().Started < 2*servers && time.Since(start) < 2*patience { // each is checked twice
		most = max(most, runtime.NumGoroutine()-before)
		slept := time.Now()
		time.Sleep(2 * time.Millisecond)
		stall = max(stall, time.Since(slept))
	}
	cpu, took := cpuTime(t)-cpu, time.Since(start)
	cancel()
	<-done
	totals := c.Totals()
	t.Logf("%d checks of %d servers in %v: at most %d goroutines, %v of CPU (%v a check), %d late",
		totals.Started, servers, took.Round(time.Millisecond), most, cpu.Round(time.Millisecond), cpu/time.Duration(max(1, totals.Started)), totals.Late)
	// A check that runs has its own goroutine and those by which package net ends a connect with its context. A machine with
	// nothing to spare shows three for each; others may not have left the run queue yet.
	if most > 5*maxRunning {
		t.Errorf("%d goroutines for %d servers", most, servers)
	}
	if totals.Started < 2*servers {
		t.Errorf("only %d checks in %v", totals.Started, took)
	}
	for _, s := range b.Servers() {
		v := s.View()
		if v.Check.Status == pool.CheckL4Tout && stall > 500*time.Millisecond {
			continue // the machine stood still for most of the time that a check has
		}
		if v.Status != "UP" {
			t.Fatalf("%s: %+v; the machine stood still for at most %v", v.Status, v.Check, stall)
		}
	}
}

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
