package datapath

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/balance"
)

// byAlgorithm is oneService with another algorithm. weights has one for each task.
func byAlgorithm(a Algorithm, weights ...int) Desired {
	d := oneService(len(weights))
	s := &d.Services[0]
	s.Algorithm, s.Draws = a, 2
	for i, w := range weights {
		s.Servers[i].Weight = uint32(w)
	}
	var slots []int
	switch a {
	case RoundRobin, Random:
		slots = balance.Schedule(weights, balance.MaxSchedule)
	case Source:
		var members []balance.Member
		for i, v := range s.Servers {
			members = append(members, balance.Member{Key: v.Addr.String(), Weight: weights[i]})
		}
		slots = balance.Maglev(members)
	default:
		return d
	}
	s.Schedule = nil
	for _, i := range slots {
		s.Schedule = append(s.Schedule, s.Servers[i].ID)
	}
	return d
}

// tasks opens n connections, from the given one on, and returns how many each task got.
func (k *kernel) tasks(t *testing.T, first, n int) map[string]int {
	t.Helper()
	got := make(map[string]int)
	for i := range n {
		got[k.open(t, client(first+i)).task.Addr().String()]++
	}
	return got
}

func TestWeightsOfRoundRobin(t *testing.T) {
	k := newKernel(t, Options{HalfOpenRing: 5000})
	k.sync(t, byAlgorithm(RoundRobin, 1, 2, 4))
	got := k.tasks(t, 0, 70)
	if got[taskAddr(0)] != 10 || got[taskAddr(1)] != 20 || got[taskAddr(2)] != 40 {
		t.Errorf("%v, want 10, 20, 40", got)
	}
	// Another weight at run time.
	k.sync(t, byAlgorithm(RoundRobin, 1, 2, 1))
	got = k.tasks(t, 70, 40)
	if got[taskAddr(0)] != 10 || got[taskAddr(1)] != 20 || got[taskAddr(2)] != 10 {
		t.Errorf("%v, want 10, 20, 10", got)
	}
}

func TestLeastConnections(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, byAlgorithm(LeastConn, 1, 3))
	if got := k.tasks(t, 0, 40); got[taskAddr(0)] != 10 || got[taskAddr(1)] != 30 {
		t.Errorf("%v, want 10 and 30", got)
	}
	// What userspace holds counts as well.
	k.loadOf(t, 102).Taken += 30
	if got := k.tasks(t, 40, 10); got[taskAddr(0)] != 10 {
		t.Errorf("%v, want all at the first", got)
	}
	// Each server has its own weight.
	k = newKernel(t, Options{})
	k.sync(t, byAlgorithm(LeastConn, 1, 3, 3, 1))
	if got := k.tasks(t, 0, 80); got[taskAddr(0)] != 10 || got[taskAddr(1)] != 30 || got[taskAddr(2)] != 30 || got[taskAddr(3)] != 10 {
		t.Errorf("%v, want 10, 30, 30 and 10", got)
	}
	// Of equals none is preferred.
	k = newKernel(t, Options{})
	k.sync(t, byAlgorithm(LeastConn, 1, 1, 1))
	for i := range 30 {
		c := k.establish(t, client(i))
		c.fromClient(t, fin|ack, "")
		c.fromTask(t, fin|ack, "")
	}
	for id := uint32(101); id <= 103; id++ {
		if n := k.snapshot(t).Servers[id].Connections; n != 10 {
			t.Errorf("idle server %d got %d of 30", id, n)
		}
	}
}

// The least loaded is found wherever it is in the list, which the program looks at in steps.
func TestLeastConnectionsOfManyServers(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, many(LeastConn, 500))
	for i := range 500 {
		k.loadOf(t, uint32(1000+i)).Taken = 5
	}
	for _, idle := range []int{499, 64, 63, 0, 250} {
		k.loadOf(t, uint32(1000+idle)).Taken = 0
		want := many(LeastConn, 500).Services[0].Servers[idle].Addr
		if got := k.open(t, client(idle)).task; got != want {
			t.Errorf("goes to %s, want the idle one, %s", got, want)
		}
		k.loadOf(t, uint32(1000+idle)).Taken = 5
	}
}

// Nothing is lost at the end of the longest list that is looked through.
func TestLeastConnectionsOfAsManyServersAsCanBe(t *testing.T) {
	k := newKernel(t, Options{})
	d := many(LeastConn, MaxScan)
	k.sync(t, d)
	for i := range MaxScan {
		k.loadOf(t, uint32(1000+i)).Taken = 5
	}
	const last = MaxScan - 1
	k.loadOf(t, 1000+last).Taken = 0
	if got := k.open(t, client(0)).task; got != d.Services[0].Servers[last].Addr {
		t.Errorf("goes to %s, want the last one, which is idle", got)
	}
}

// A SYN looks at 64 slots of a schedule: past more full servers than that only userspace finds the next one.
func TestManyFullServers(t *testing.T) {
	for full, taken := range map[int]bool{63: true, 64: false} {
		k := newKernel(t, Options{})
		d := many(RoundRobin, 100)
		for i := range full {
			d.Services[0].Servers[i].Limit = 1
		}
		k.sync(t, d)
		for i := range full {
			k.loadOf(t, uint32(1000+i)).Taken = 1
		}
		if taken {
			if c := k.open(t, client(0)); c.task != d.Services[0].Servers[full].Addr {
				t.Errorf("past %d full servers: %s", full, c.task)
			}
		} else {
			k.refuse(t, synTo(0), "servers_full")
		}
	}
}

// Between the removal of a limit and that of its mark there is none.
func TestAMarkWithoutALimitIsNone(t *testing.T) {
	for _, a := range []Algorithm{RoundRobin, LeastConn} {
		k := newKernel(t, Options{})
		k.sync(t, byAlgorithm(a, 1, 1))
		for i := range uint32(4) {
			k.obj.load(i).limit(true)
		}
		if got := k.tasks(t, 0, 20); len(got) != 2 {
			t.Errorf("algorithm %d: %v", a, got)
		}
		for i, want := range []uint64{20, 20, 10, 10} {
			if g := k.gauge(uint32(i)); g.Taken != want || g.Open != want {
				t.Errorf("algorithm %d, gauge %d: %+v", a, i, g)
			}
		}
	}
}

func TestFirst(t *testing.T) {
	k := newKernel(t, Options{})
	d := byAlgorithm(First, 1, 1, 1)
	d.Services[0].Servers[0].Limit, d.Services[0].Servers[1].Limit = 3, 2
	k.sync(t, d)
	var got []string
	for i := range 7 {
		got = append(got, k.establish(t, client(i)).task.Addr().String())
	}
	want := []string{taskAddr(0), taskAddr(0), taskAddr(0), taskAddr(1), taskAddr(1), taskAddr(2), taskAddr(2)}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestRandom(t *testing.T) {
	k := newKernel(t, Options{HalfOpenRing: 5000})
	d := byAlgorithm(Random, 1, 3)
	d.Services[0].Draws = 1
	k.sync(t, d)
	if got := k.tasks(t, 0, 2000)[taskAddr(1)]; got < 1400 || got > 1600 {
		t.Errorf("weight 3 of 4 got %d of 2000", got)
	}
	// With two draws loads even out: one draw alone would leave the fullest of 20 far ahead of the mean.
	weights := slices.Repeat([]int{1}, 20)
	most := func(draws uint32) (most int) {
		k := newKernel(t, Options{HalfOpenRing: 5000})
		d := byAlgorithm(Random, weights...)
		d.Services[0].Draws = draws
		k.sync(t, d)
		for _, n := range k.tasks(t, 0, 2000) {
			most = max(most, n)
		}
		return most
	}
	if one, two := most(1), most(2); two > 106 || one < two {
		t.Errorf("the fullest of 20 has %d with two draws and %d with one; the mean is 100", two, one)
	}
}

// Of the servers drawn the one with the least load for its weight is taken.
func TestRandomWeighsLoads(t *testing.T) {
	k := newKernel(t, Options{})
	d := byAlgorithm(Random, 1, 3)
	d.Services[0].Draws = MaxDraws // so that both are among them, but for one time in a hundred
	k.sync(t, d)
	k.loadOf(t, 101).Taken, k.loadOf(t, 102).Taken = 10, 20
	if got := k.tasks(t, 0, 5); got[taskAddr(1)] != 5 {
		t.Errorf("%v, want all at the second, whose load is 20/3 and not 10", got)
	}
}

// A drawn server that is full is passed by.
func TestRandomPassesFullServers(t *testing.T) {
	k := newKernel(t, Options{})
	d := byAlgorithm(Random, 1, 1)
	d.Services[0].Servers[0].Limit = 1
	k.sync(t, d)
	if got := k.tasks(t, 0, 30); got[taskAddr(0)] > 1 {
		t.Errorf("%v, the first has room for one", got)
	}
}

// Both paths send a client to the same server.
func TestSourceAgreesWithUserspace(t *testing.T) {
	k := newKernel(t, Options{HalfOpenRing: 5000})
	d := byAlgorithm(Source, 1, 2, 1, 5)
	k.sync(t, d)
	s := d.Services[0]
	for i := range 500 {
		addr := netip.AddrFrom4([4]byte{byte(1 + i*7%126), byte(i >> 8), byte(i * 13), byte(i)})
		slot := s.Schedule[balance.SourceHash(addr)%uint32(len(s.Schedule))]
		want := s.Servers[slot-101].Addr
		for port := range 2 {
			if got := k.open(t, fmt.Sprintf("%s:%d", addr, 2000+port)).task; got != want {
				t.Fatalf("%s goes to %s, in userspace to %s", addr, got, want)
			}
		}
	}
}

// The same for IPv6, where all of the address counts.
func TestSourceAgreesWithUserspaceOverIPv6(t *testing.T) {
	k := newKernel(t, Options{HalfOpenRing: 5000})
	s := byAlgorithm(Source, 1, 2, 1, 5).Services[0]
	six := sixService(4).Services[0]
	six.Algorithm, six.Schedule = s.Algorithm, s.Schedule
	k.sync(t, Desired{Services: []Service{six}})
	for i := range 500 {
		addr := netip.MustParseAddr("2001:db8:1::10").As16()
		addr[5+i%10] += byte(1 + i/10) // a part of the address that differs from client to client
		from := netip.AddrFrom16(addr)
		slot := six.Schedule[balance.SourceHash(from)%uint32(len(six.Schedule))]
		want := six.Servers[slot-101].Addr
		verdict, out := k.send(t, packet{src: netip.AddrPortFrom(from, 2000), dst: ap("[" + frontAddr6 + "]:8080"), flags: syn, seq: 1})
		if verdict != verdictRedirect {
			t.Fatalf("verdict %d, reasons %v", verdict, k.reasons(t))
		}
		if got := decode(t, out).dst; got != want {
			t.Fatalf("%s goes to %s, in userspace to %s", from, got, want)
		}
	}
}

// A client whose server is full waits for it in userspace and is not sent elsewhere.
func TestSourceWaitsForItsServer(t *testing.T) {
	k := newKernel(t, Options{})
	d := byAlgorithm(Source, 1, 1)
	d.Services[0].Servers[0].Limit, d.Services[0].Servers[1].Limit = 1, 1
	k.sync(t, d)
	k.open(t, "192.0.2.33:4000")
	k.refuse(t, packet{src: ap("192.0.2.33:4001"), dst: ap(front()), flags: syn}, "servers_full")
}

// A server that changes has another entry in wg_targets, and the same load: leastconn still knows of its connections.
func TestAServerThatChangesKeepsItsLoad(t *testing.T) {
	k := newKernel(t, Options{})
	d := byAlgorithm(LeastConn, 1, 1)
	k.sync(t, d)
	k.tasks(t, 0, 8) // four at each
	before := k.tables.schedules[7].slots[1].target
	for change := range 3 { // of its address, each time
		d.Services[0].Servers[1].Addr = netip.AddrPortFrom(netip.MustParseAddr(taskAddr(5+change)), taskPort)
		k.sync(t, d)
		after := k.tables.schedules[7].slots[1].target
		if after == before || int(before)%len(k.obj.gauges) != int(after)%len(k.obj.gauges) {
			t.Fatalf("entry %d, then %d", before, after)
		}
		before = after
	}
	if got := k.tasks(t, 8, 4); got[taskAddr(7)] != 2 || got[taskAddr(0)] != 2 {
		t.Errorf("%v, want 2 and 2: both have as many as before", got)
	}
}

func (k *kernel) indexOf(t testing.TB, server uint32) uint32 {
	t.Helper()
	index, ok := k.planner.gauges.used[gaugeKey{server: true, id: server}]
	if !ok {
		t.Fatalf("server %d has no gauge", server)
	}
	return index
}

// gaugeOf are the current numbers of a server, loadOf is the one that both paths count in.
func (k *kernel) gaugeOf(t testing.TB, server uint32) numbers { return k.gauge(k.indexOf(t, server)) }
func (k *kernel) loadOf(t testing.TB, server uint32) *lbWgLoad {
	return &k.obj.loads[k.indexOf(t, server)]
}

// many is a service over n servers.
func many(a Algorithm, n int) Desired {
	d := byAlgorithm(a, 1)
	s := &d.Services[0]
	s.Servers, s.Schedule = nil, nil
	var members []balance.Member
	for i := range n {
		v := Server{ID: uint32(1000 + i), Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), taskPort)}
		s.Servers = append(s.Servers, v)
		s.Schedule = append(s.Schedule, v.ID)
		members = append(members, balance.Member{Key: v.Addr.String(), Weight: 1})
	}
	if a == Source {
		s.Schedule = nil
		for _, i := range balance.Maglev(members) {
			s.Schedule = append(s.Schedule, s.Servers[i].ID)
		}
	}
	return d
}

// BenchmarkSetup is what setting up a connection costs by algorithm and number of servers: its SYN, and all three packets of its
// handshake; and what a SYN of a flood costs, which is never answered and for which a half-open flow is deleted. The first touch
// of a server's cache lines is in it, and their MACs are known. The numbers of servers take turns, packet by packet, so that whatever else the machine does
// falls upon all alike, and each of them is as often the first one, which finds the caches as this process has left them.
// (static-rr has the schedule of roundrobin.)
func BenchmarkSetup(b *testing.B) {
	for _, algorithm := range []struct {
		name string
		Algorithm
	}{{"roundrobin", RoundRobin}, {"static-rr", RoundRobin}, {"random", Random}, {"source", Source}, {"leastconn", LeastConn}} {
		b.Run(algorithm.name, func(b *testing.B) {
			benchSetup(b, algorithm.Algorithm, []string{"SYN", "handshake"}, func(k *kernel, client netip.AddrPort) []time.Duration {
				first, all := k.timeHandshake(b, client)
				return []time.Duration{first, all}
			})
		})
		b.Run(algorithm.name+"-flood", func(b *testing.B) {
			benchSetup(b, algorithm.Algorithm, []string{"SYN"}, func(k *kernel, client netip.AddrPort) []time.Duration {
				return []time.Duration{k.timeSYN(b, client)}
			})
		})
	}
}

// benchSetup reports the parts that open returns.
func benchSetup(b *testing.B, a Algorithm, parts []string, open func(k *kernel, client netip.AddrPort) []time.Duration) {
	const ring = 2048 // from so many on each SYN takes the place of another one's flow
	numbers := []int{3, 30, 300, 1000}
	var kernels []*kernel
	for _, n := range numbers {
		k := newKernel(b, Options{HalfOpenRing: ring})
		d := many(a, n)
		for i, v := range d.Services[0].Servers { // as they are once there was a connection
			h := hop{loIndex, v.Addr.Addr()}
			k.known = append(k.known, neighbour{hop: h, state: unix.NUD_REACHABLE, mac: [6]byte{2, 0, 0, 1, byte(i >> 8), byte(i)}})
		}
		k.sync(b, d)
		kernels = append(kernels, k)
	}
	runs := make(map[string][]time.Duration)
	unit := func(part string, n int) string { return fmt.Sprintf("ns/%s-of-%d", part, n) }
	kernels[0].pinned(b, func() error { // the rooms are alike
		for i := range ring + b.N {
			if i == ring {
				b.ResetTimer()
				clear(runs)
			}
			client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 4000) // source looks at the address
			for turn := range kernels {
				j := (i + turn) % len(kernels)
				kernels[j].beat()
				for p, took := range open(kernels[j], client) {
					u := unit(parts[p], numbers[j])
					runs[u] = append(runs[u], took)
				}
			}
		}
		return nil
	})
	for u, each := range runs {
		reportMedian(b, each, u)
	}
}

// Instructions do not grow with the number of servers: a run that goes through the whole schedule would show even on
// a busy machine.
func TestSetupCostsTheSameWithManyServers(t *testing.T) {
	for _, a := range []Algorithm{RoundRobin, Random, Source} {
		cost := func(n int) time.Duration {
			k := newKernel(t, Options{HalfOpenRing: 100})
			k.sync(t, many(a, n))
			var each []time.Duration
			k.must(t, "run", func() error {
				for i := range 3000 {
					frame := packet{src: ap(client(i)), dst: ap(front()), flags: syn, seq: 1}.frame(t)
					_, d, err := k.obj.WgIngress.Benchmark(frame, 1, nil)
					if err != nil {
						return err
					}
					each = append(each, d)
				}
				return nil
			})
			slices.Sort(each)
			return each[len(each)/2]
		}
		few, lots := cost(3), cost(1000)
		t.Logf("algorithm %d: %s with 3 servers, %s with 1000 (medians)", a, few, lots)
		if lots > 2*few {
			t.Errorf("algorithm %d: %s with 3 servers, %s with 1000", a, few, lots)
		}
	}
}
