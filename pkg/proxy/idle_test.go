package proxy

import (
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"waggle/pkg/config"
)

// BenchmarkIdleSweep is what a loop spends on a round of sweeping among 16,000 idle connections to one server, which nobody
// has missed; everybody waits meanwhile.
func BenchmarkIdleSweep(b *testing.B) {
	benchmarkIdle(b, func(w *worker, _ []*link) { w.sweepIdle() })
}

// TestSweepLetsOthersGo: a sweep closes a bounded number of connections in one go, the oldest, and the rest a moment later.
// What is taken meanwhile is not closed for that, and what it leaves is as much as in one piece.
func TestSweepLetsOthersGo(t *testing.T) {
	w := idleWorker(t, 2)
	links := w.fillIdle(t, 4*sweepAtOnce)
	w.sweepIdle() // learns what there is
	w.sweepIdle()
	if got, want := w.idle.total, 3*sweepAtOnce; got != want {
		t.Fatalf("%d are left after one go, want %d", got, want)
	}
	for n, l := range links {
		if gone, want := l.list == nil, n < 2*sweepAtOnce && n%2 == 0; gone != want {
			t.Fatalf("connection %d: closed %v, want %v", n, gone, want)
		}
	}
	if left := w.loop.Left(&w.idle.sweep); left > sweepPause {
		t.Fatalf("the next go is in %v", left)
	}
	second := links[1].target
	for range 3 * sweepAtOnce / 2 {
		l := w.idle.take(second, 0, nil)
		if l == nil {
			t.Fatal("none is there")
		}
		l.close()
	}
	w.sweepIdle()
	if left := w.loop.Left(&w.idle.sweep); left < sweepEvery/2 {
		t.Errorf("the next sweep is in %v", left)
	}
	if got, want := w.idle.total, sweepAtOnce; got != want {
		t.Errorf("%d are left, want %d of the first server", got, want)
	}
	for want := sweepAtOnce; want > 1; { // and so on
		w.sweepIdle()
		if want /= 2; w.idle.total != want {
			t.Fatalf("%d are left, want %d", w.idle.total, want)
		}
	}
}

// BenchmarkIdleEnd is what 1,000 idle connections cost that a server ends, the oldest first, among 16,000.
func BenchmarkIdleEnd(b *testing.B) {
	benchmarkIdle(b, func(_ *worker, links []*link) {
		for _, l := range links[:1000] {
			l.hup = true
			l.advance()
		}
	})
}

// BenchmarkIdlePurge looks after a change of state which of 16,000 idle connections to 1,000 servers may be kept: all.
func BenchmarkIdlePurge(b *testing.B) {
	w := idleWorker(b, 1000)
	w.fillIdle(b, 16000)
	for b.Loop() {
		w.purge()
	}
}

func benchmarkIdle(b *testing.B, act func(*worker, []*link)) {
	w := idleWorker(b, 1)
	for b.Loop() {
		b.StopTimer()
		w.idle.closeAll()
		links := w.fillIdle(b, 16000)
		w.idle.byServer[links[0].server.Key].low = len(links)
		b.StartTimer()
		act(w, links)
	}
}

// idleWorker returns a worker whose loop does not run, and that has a backend of usable servers.
func idleWorker(tb testing.TB, servers int) *worker {
	tb.Helper()
	be := &config.Proxy{Kind: config.Backend, Name: "be", HTTP: true}
	for i := range servers {
		be.Servers = append(be.Servers, config.Server{Name: fmt.Sprint("s", i), Addr: netip.MustParseAddrPort("127.0.0.1:1"), Weight: 1})
	}
	cfg := &config.Config{Proxies: []*config.Proxy{be}}
	e, err := New(Setup{Config: cfg, Pool: buildPool(cfg, 1), Loops: 1})
	if err != nil {
		tb.Fatal(err)
	}
	w := e.workers[0]
	tb.Cleanup(func() {
		w.idle.closeAll()
		e.closeUnstarted()
	})
	return w
}

// fillIdle makes n idle connections, spread evenly over the servers, the oldest first. Their sockets lead nowhere.
func (w *worker) fillIdle(tb testing.TB, n int) []*link {
	tb.Helper()
	targets := w.e.plan.Load().backends["be"].stats.Snapshot().Targets
	links := make([]*link, n)
	for i := range links {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			tb.Fatal(err)
		}
		l := w.newLink()
		if err := l.open(w, fd, 0, l); err != nil {
			tb.Fatal(err)
		}
		l.target = targets[i%len(targets)]
		l.server = l.target.Server
		w.idle.put(l)
		links[i] = l
	}
	return links
}
