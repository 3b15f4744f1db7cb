package datapath

import (
	"sync"
	"sync/atomic"
	"testing"
)

// placesTaken is what userspace sees of a limit, as pool.Gauge reads it.
func placesTaken(shared *atomic.Int64) int64 { return int64(int32(shared.Load())) }

// One limit over both paths: SYNs on one CPU and a userspace that takes places and gives them back on another fill it to
// the last place and never beyond.
func TestPlacesAreExactOverBothPaths(t *testing.T) {
	for what, limit := range map[string]func(d *Desired, n uint32){
		"process":  func(d *Desired, n uint32) { d.GlobalLimit = n },
		"frontend": func(d *Desired, n uint32) { d.Services[0].Limit = n },
		"server":   func(d *Desired, n uint32) { d.Services[0].Servers[0].Limit = n },
	} {
		t.Run(what, func(t *testing.T) {
			const places = 1000
			k := newKernel(t, Options{HalfOpenRing: 5000})
			d := oneService(1)
			limit(&d, places)
			k.sync(t, d)
			index := map[string]uint32{
				"process": 0, "frontend": k.planner.gauges.used[gaugeKey{id: 7}], "server": k.planner.gauges.used[gaugeKey{server: true, id: 101}],
			}[what]
			taken := k.obj.places(index).Taken
			var user, over atomic.Int64
			var wg sync.WaitGroup
			stop := make(chan struct{})
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if n := taken.Load(); int64(int32(n)) > places {
						over.Add(1)
					} else if int64(int32(n)) < places && taken.CompareAndSwap(n, n+1) {
						if user.Add(1) > 300 { // keeps some
							user.Add(-1)
							taken.Add(-1)
						}
					}
				}
			})
			k.connectFrom(t, 0, 2*places)
			k.must(t, "knock", func() error { // a refusal must not be seen as a place taken, not even for a moment
				_, _, err := k.obj.WgIngress.Benchmark(synTo(2*places).frame(t), 200_000, nil)
				return err
			})
			close(stop)
			wg.Wait()
			k.connectFrom(t, 2*places+1, 10) // for the place that userspace may have given back last
			open := int64(k.gauge(index).Open)
			if over.Load() != 0 || placesTaken(taken) != open+user.Load() || placesTaken(taken) != places {
				t.Errorf("%d taken of %d, %d in the kernel, %d in userspace, seen above the limit %d times",
					placesTaken(taken), places, open, user.Load(), over.Load())
			}
		})
	}
}

// The last place is fought for: whoever sees that it is free may find it taken a moment later. The SYN of each turn takes a place and
// gives it back, since there is no server.
func TestTheLastPlaceIsTakenOnce(t *testing.T) {
	for what, limit := range map[string]func(d *Desired){
		"process":  func(d *Desired) { d.GlobalLimit = 1 },
		"frontend": func(d *Desired) { d.Services[0].Limit = 1 },
	} {
		k := newKernel(t, Options{})
		d := oneService(1)
		limit(&d)
		d.Services[0].Schedule = nil
		k.sync(t, d)
		taken := k.obj.places(map[string]uint32{"process": 0, "frontend": k.planner.gauges.used[gaugeKey{id: 7}]}[what]).Taken
		// Until they have met often enough, which takes two CPUs at the same time.
		var over int
		var fought atomic.Int64
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 50 {
				k.must(t, "knock", func() error {
					_, _, err := k.obj.WgIngress.Benchmark(synTo(0).frame(t), sized(100_000, 1000), nil)
					return err
				})
				if fought.Load() > int64(sized(100_000, 100)) {
					return
				}
			}
		}()
		for knocking := true; knocking; {
			select {
			case <-done:
				knocking = false
			default:
			}
			if n := taken.Load(); int32(n) != 0 || !taken.CompareAndSwap(n, n+1) {
				fought.Add(1)
				continue
			}
			for range 20 {
				if placesTaken(taken) != 1 {
					over++
				}
			}
			taken.Add(-1)
		}
		if over != 0 || placesTaken(taken) != 0 {
			t.Errorf("%s: the last place was taken twice: seen %d times, and %d are taken in the end", what, over, placesTaken(taken))
		}
	}
}

// connectFrom opens connections of the clients from first on, n of them, and finishes the handshake of those that are taken.
func (k *kernel) connectFrom(t *testing.T, first, n int) {
	t.Helper()
	for i := first; i < first+n; i++ {
		verdict, out := k.send(t, synTo(i))
		if verdict != verdictRedirect {
			continue
		}
		got := decode(t, out)
		k.send(t, packet{src: got.dst, dst: got.src, flags: syn | ack, seq: 5000, ack: 2})
		k.send(t, packet{src: ap(client(i)), dst: ap(front()), flags: ack, seq: 2, ack: 5001})
	}
}

// While connections wait in userspace none passes them, from the very next packet on.
func TestWaitingConnectionsComeFirst(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	before := k.establish(t, client(0))
	waiting := k.obj.places(k.planner.gauges.used[gaugeKey{id: 7}]).Waiting
	waiting.Add(1)
	k.refuse(t, synTo(1), "queued")
	before.fromClient(t, ack, "not a new one")
	waiting.Add(1)
	waiting.Add(-1)
	k.refuse(t, synTo(2), "queued")
	waiting.Add(-1)
	k.open(t, client(3))
}

// Several binds of a frontend share its limit.
func TestBindsShareALimit(t *testing.T) {
	k := newKernel(t, Options{})
	d := oneService(1)
	d.Services[0].Binds = append(d.Services[0].Binds, binds(frontAddr+":8443")...)
	d.Services[0].Limit = 2
	k.sync(t, d)
	k.establish(t, client(0))
	other := packet{src: ap(client(1)), dst: ap(frontAddr + ":8443"), flags: syn, seq: 1}
	if verdict, _ := k.send(t, other); verdict != verdictRedirect {
		t.Fatalf("the second bind: verdict %d, reasons %v", verdict, k.reasons(t))
	}
	k.refuse(t, synTo(2), "service_limit")
	other.src = ap(client(3))
	k.refuse(t, other, "service_limit")
	if s := k.snapshot(t).Services[7]; s.Connections != 2 || s.HalfOpen != 1 {
		t.Errorf("%+v", s)
	}
}

// The places that others have pointers into stay where they are, and their memory stays valid after Close.
func TestSharedPlacesStay(t *testing.T) {
	top := newTopology(t, 1)
	dp := openIn(t, top.lb, Options{})
	server, err := dp.ServerPlaces(101, "", "")
	if err != nil {
		t.Fatal(err)
	}
	service, err := dp.ServicePlaces(7, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []Desired{oneService(1), {}} {
		if err := dp.Sync(d); err != nil {
			t.Fatal(err)
		}
		dp.sweep()
	}
	dp.mu.Lock()
	if len(dp.retired) != 0 {
		t.Errorf("retired: %v", dp.retired)
	}
	dp.mu.Unlock()
	// One that is given back and wanted again at once, as when an operator adds a server behind one that is gone, stays, too.
	dp.UnshareServer(101)
	if server, err = dp.ServerPlaces(101, "", ""); err != nil {
		t.Fatal(err)
	}
	dp.forgetRetired()
	if another, err := dp.ServerPlaces(103, "", ""); err != nil || another.Taken == server.Taken {
		t.Errorf("two servers have the same places (%v)", err)
	}
	server.Taken.Add(2)
	service.Taken.Add(2)
	dp.ProcessPlaces().Taken.Add(2)
	if err := dp.Close(); err != nil {
		t.Fatal(err)
	}
	if n := server.Taken.Add(-1); n != 1 {
		t.Errorf("%d places taken, want 1", n)
	}
	if _, err := dp.ServerPlaces(102, "", ""); err == nil {
		t.Error("places of a closed datapath")
	}
}
