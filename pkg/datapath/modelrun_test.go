package datapath

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// modelTimeouts are those of all services of the model, but for that of connecting. They are short enough for a machine that has just booted.
var modelTimeouts = Timeouts{Client: 55 * time.Second, Server: 50 * time.Second, ClientFin: 20 * time.Second, ServerFin: 15 * time.Second}

// modelUptime is what the machine must have been up for, so that all can happen: more than the longest hold.
const modelUptime = holdServerFirst + 5*time.Second

// modelRun plays the program and the model side by side.
type modelRun struct {
	*model
	t *testing.T
	k *kernel
	r *rand.Rand
	d Desired
	c *collector
	// cpu is the one that all packets come by, since the ring is by CPU.
	cpu int
}

// fault is how program and model differ.
type fault struct{ error }

func (x *modelRun) fail(format string, args ...any) { panic(fault{fmt.Errorf(format, args...)}) }

func (x *modelRun) check(err error) {
	if err != nil {
		panic(fault{err})
	}
}

// Whatever comes in whatever order, the program does what the model says: with packets of both families that TCP would send and
// with others, servers that come, go, are full, refuse and do not answer, ICMP errors, places and queues of userspace, time that goes by,
// the collector and the end of sessions. WAGGLE_TEST_SEEDS is how many runs there are, or which: 100-199 are a hundred.
func TestRandomPacketsAgainstTheModel(t *testing.T) {
	first, seeds, err := modelSeeds(os.Getenv("WAGGLE_TEST_SEEDS"))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int)
	for seed := first; seed < first+seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			for name, n := range playModel(t, uint64(seed)) {
				seen[name] += n
			}
		})
	}
	for _, name := range []string{"retry", "retry after the server has left", "redispatch after a refusal", "redispatch after a timeout", "port of a closed flow reopened", "port of a tombstone reopened",
		"half-open flow recycled", "tombstone collected", "half-open flow collected", "client given up", "established flow collected", "closed flow collected", "flow shut down", "ICMP refusal without a retry",
		"no_flow", "stale", "queued", "global_limit", "service_limit", "half_open", "no_server", "servers_full", "no_route", "no_port", "table_full", "fragment", "ip_options",
		"bad_length", "refused", "tombstone"} {
		if seeds >= 10 && seen[name] == 0 && time.Duration(monotonicNow()) > modelUptime {
			t.Errorf("the packets test little: %q never happened; %v", name, seen)
		}
	}
	if seen["session"] < 20*seeds {
		t.Errorf("the packets test little: %v", seen)
	}
	t.Log(seen)
}

// modelSeeds reads the first seed and how many there are of text: N, FIRST-LAST, or nothing.
func modelSeeds(text string) (first, n int, err error) {
	from, to, some := strings.Cut(text, "-")
	switch {
	case text == "":
		return 0, sized(10, 5), nil
	case some:
		var wrong error
		if first, wrong = strconv.Atoi(from); wrong != nil {
			return 0, 0, wrong
		}
		n, err = strconv.Atoi(to)
		n -= first - 1
	default:
		n, err = strconv.Atoi(text)
	}
	if err == nil && (first < 0 || n < 1) {
		err = fmt.Errorf("%q names no seed", text)
	}
	return first, n, err
}

// playModel returns how often what has happened.
func playModel(t *testing.T, seed uint64) map[string]int {
	// A ring that is shorter than there are clients, so that half-open flows are recycled; a table and a range of ports that run full.
	ring, flows, last := 12, 14, uint16(2005)
	if seed%3 == 1 {
		ring, flows, last = 6, 100, 2200
	}
	k := newKernel(t, Options{FlowMax: uint32(flows), HalfOpenRing: uint32(ring)})
	k.obj.settings.PortMin, k.obj.settings.PortMax = 2000, last
	x := &modelRun{model: newModel(ring, flows, 2000, last), t: t, k: k, r: rand.New(rand.NewPCG(seed, 1)), cpu: allowedCPUs(t)[0]}
	x.c = &collector{obj: k.obj, timeouts: x.timeouts, each: x.eachTimeouts}
	x.d = modelDesired(Algorithm(seed % 5))
	x.configure()
	k.must(t, "run", func() (err error) {
		if err := pin(x.cpu); err != nil { // the thread is this call's own
			return err
		}
		at, did := 0, ""
		defer func() {
			switch f := recover().(type) {
			case nil:
			case fault:
				err = fmt.Errorf("step %d: %s: %w", at, did, f.error)
			default:
				panic(f)
			}
		}()
		for at = range 2500 {
			x.step(&did)
			x.checkNumbers()
			if at%50 == 49 {
				x.checkReasons()
			}
			if at%200 == 199 {
				x.checkAll()
			}
		}
		return nil
	})
	for name, n := range x.reasons {
		x.seen[name] += int(n)
	}
	x.seen["session"] += int(k.snapshot(t).Total.Sessions)
	return x.seen
}

// modelDesired is a service for each family with servers of its own.
func modelDesired(a Algorithm) Desired {
	d := bothFamilies()
	for i := range d.Services {
		s := &d.Services[i]
		s.Algorithm, s.Draws, s.Servers, s.Schedule = a, 2, nil, nil
		for n := range 3 {
			addr := netip.MustParseAddr(taskAddr(n))
			if i == 1 {
				addr = netip.MustParseAddr(sixOf(taskAddr(n)))
			}
			s.Servers = append(s.Servers, Server{ID: uint32(101 + 10*i + n), Weight: 1, Addr: netip.AddrPortFrom(addr, taskPort)})
		}
	}
	return d
}

// step does one thing.
func (x *modelRun) step(did *string) {
	x.k.beat()
	if x.stale = x.stale && x.r.IntN(10) > 0; x.stale {
		x.k.obj.settings.Heartbeat = 1
	}
	do := func(name string, f func()) { *did = name; f() }
	switch n := x.r.IntN(1000); {
	case n < 8:
		do("configure", x.reconfigure)
	case n < 20:
		do("places", x.userspace)
	case n < 40:
		do("time", x.age)
	case n < 44:
		do("collect", x.collect)
	case n < 45:
		do("shut down", x.shutdown)
	case n < 49:
		do("no sign of life", func() { x.stale = true })
	case n < 63:
		do("strange packet", x.strange)
	case n < 75:
		do("ICMP error", x.icmp)
	default:
		p, task := x.anyPacket()
		*did = fmt.Sprintf("%+v", p)
		if task {
			x.fromTask(p)
		} else {
			x.fromClient(p)
		}
	}
}

// reconfigure changes some of the desired state.
func (x *modelRun) reconfigure() {
	x.d.GlobalLimit = x.limit(60)
	for i := range x.d.Services {
		s := &x.d.Services[i]
		s.Servers = slices.Clone(s.Servers)
		s.Limit = x.limit(40)
		s.Queued = x.r.IntN(30) == 0
		s.Retries, s.Redispatch = uint32(x.r.IntN(4)), uint32(x.r.IntN(3))
		s.Timeouts.Connect = time.Duration(x.r.IntN(2)) * 40 * time.Second
		for j := range s.Servers {
			v := &s.Servers[j]
			v.Limit, v.Weight = x.limit(6), uint32(1+x.r.IntN(4))
			v.Addr = modelDesired(0).Services[i].Servers[j].Addr
			switch x.r.IntN(12) {
			case 0: // another address
				v.Addr = netip.AddrPortFrom(v.Addr.Addr(), taskPort+1)
			case 1:
				if i == 0 {
					v.Addr = netip.AddrPortFrom(netip.MustParseAddr(unroutable), taskPort)
				}
			}
		}
	}
	x.configure()
}

// limit is none, or one that is reached.
func (x *modelRun) limit(n int) uint32 {
	if x.r.IntN(4) > 0 {
		return 0
	}
	return uint32(1 + x.r.IntN(n))
}

// configure makes schedules of some of the servers and puts all in place.
func (x *modelRun) configure() {
	clear(x.services)
	x.limits = map[gaugeKey]int{{}: int(x.d.GlobalLimit)}
	for i := range x.d.Services {
		s := &x.d.Services[i]
		s.Schedule = nil
		none := x.r.IntN(15) == 0
		for _, v := range s.Servers {
			x.limits[gaugeKey{server: true, id: v.ID}] = int(v.Limit)
			if none || x.r.IntN(8) == 0 { // drained, say
				continue
			}
			slots := 1
			if s.Algorithm == RoundRobin || s.Algorithm == Random || s.Algorithm == Source {
				slots = int(v.Weight)
			}
			s.Schedule = append(s.Schedule, slices.Repeat([]uint32{v.ID}, slots)...)
		}
		x.limits[gaugeKey{id: s.ID}] = int(s.Limit)
		x.services[x.front(i)] = s
	}
	x.k.sync(x.t, x.d)
}

func (x *modelRun) front(service int) netip.AddrPort {
	return []netip.AddrPort{ap(front()), netip.AddrPortFrom(netip.MustParseAddr(frontAddr6), frontPort)}[service]
}

func (x *modelRun) timeouts(service uint32) Timeouts {
	t := modelTimeouts
	for _, s := range x.d.Services {
		if s.ID == service {
			t.Connect, t.retries = s.Timeouts.Connect, s.Retries
		}
	}
	return t
}

func (x *modelRun) eachTimeouts(yield func(Timeouts)) {
	for _, s := range x.d.Services {
		yield(x.timeouts(s.ID))
	}
}

// userspace takes a place, or gives one back, or has a connection wait, or go on.
func (x *modelRun) userspace() {
	keys := slices.Collect(maps.Keys(x.limits))
	slices.SortFunc(keys, func(a, b gaugeKey) int { return int(a.id) - int(b.id) })
	key := keys[x.r.IntN(len(keys))]
	g, index := x.gauge(key), uint32(0)
	if key != (gaugeKey{}) {
		index = x.k.planner.gauges.used[key]
	}
	shared := x.k.obj.places(index)
	switch {
	case (g.waiting > 0 || x.r.IntN(8) == 0) && !key.server && key.id != 0:
		n := 1
		if g.waiting > 0 {
			n = -g.waiting
		}
		g.waiting += n
		shared.Waiting.Add(int64(n))
	case g.user > 0 && x.r.IntN(2) == 0:
		shared.Taken.Add(-1)
		g.user--
	case g.user < 4:
		shared.Taken.Add(1)
		g.user++
	}
}

// age lets time go by.
func (x *modelRun) age() {
	d := []time.Duration{3, 3, 3, 10, 45, 45, 70}[x.r.IntN(7)] * time.Second
	all, err := readMap[lbWgKey, lbWgFlow](x.k.obj.WgFlows)
	x.check(err)
	for key, f := range all {
		f.Seen -= min(f.Seen, uint64(d))
		f.Created -= min(f.Created, uint64(d))
		x.check(x.k.obj.WgFlows.Put(key, f))
	}
	x.clock += d
}
