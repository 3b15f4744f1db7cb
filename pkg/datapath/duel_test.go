package datapath

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// duel is a connection that two CPUs are at: one stands still somewhere on its way through the program, while the other one goes all the
// way. The frontend has two servers and retries.
type duel struct {
	t     *testing.T
	k     *kernel
	still standstill
	c     *collector
	cpus  [2]int // that stops, and that goes on

	client, front, back, task netip.AddrPort
	clientSeq, taskSeq        uint32                // next byte of each end
	left                      map[uint32]lbWgServer // servers that have
}

// Whatever two CPUs are at in the same connection, and wherever one is when the other does all of its own: every flow has both entries, the
// numbers are those of the table, and when all has ended nothing is left. WAGGLE_TEST_DUELS=K/N is which of all meetings there are: every
// N'th from the K'th on. 0/1 are all of them, which take some minutes.
func TestDuels(t *testing.T) {
	cpus := allowedCPUs(t)
	if len(cpus) < 2 {
		require.Skip(t, "needs two CPUs")
	}
	// Each side needs Go's leave to run at once, while the other one does: with one processor of Go's it would wait for longer than a standstill.
	was := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(max(was, 4))
	defer runtime.GOMAXPROCS(was)
	for name, lastPort := range map[string]uint16{"many ports": 2999, "one port": 2000} {
		o := Options{FlowMax: 64, HalfOpenRing: 1}
		k := newKernel(t, o)
		k.obj.settings.PortMin, k.obj.settings.PortMax = 2000, lastPort
		k.sync(t, duelDesired())
		d := &duel{t: t, k: k, still: newStandstill(t, k, o), c: k.collector(Timeouts{}), cpus: [2]int{cpus[1], cpus[0]}}
		k.must(t, name, func() error { return d.meetAll(name) })
	}
}

// meetAll has two CPUs meet in many ways.
func (d *duel) meetAll(ports string) (err error) {
	what := ""
	defer func() {
		switch f := recover().(type) {
		case nil:
		case fault:
			err = fmt.Errorf("%s: %w", what, f.error)
		default:
			panic(f)
		}
	}()
	d.check(pinAhead(d.cpus[1]))
	rival := d.newRival()
	defer close(rival.do)
	part, parts := 0, 211
	if which := os.Getenv("WAGGLE_TEST_DUELS"); which != "" {
		_, err := fmt.Sscanf(which, "%d/%d", &part, &parts)
		d.check(err)
	}
	always := slices.Concat(lostDuels, narrowDuels)
	met, n := 0, -1
	for _, stage := range duelStages {
		for _, stops := range duelActs {
			for _, goesOn := range duelActs {
				tries := 3
				if slices.Contains(always, [3]string{stage.name, stops.name, goesOn.name}) {
					tries = 50
				}
				if n++; n%parts != part && tries == 3 {
					continue
				}
				what = fmt.Sprintf("%s: %s, while %s stands still: %s", ports, stage.name, stops.name, goesOn.name)
				if err := faultOf(func() { met += d.meet(stage.steps, stops.do, goesOn.do, rival, tries, &what) }); err != nil {
					d.t.Errorf("%s: %v", what, err)
					d.clear()
				}
			}
		}
	}
	if met == 0 {
		d.t.Errorf("%s: the two CPUs never met", ports)
	}
	d.t.Logf("%s: they have met %d times", ports, met)
	return nil
}

// rival is the thread of the CPU that stops.
type rival struct {
	do   chan func()
	done chan error
}

func (d *duel) newRival() rival {
	r := rival{make(chan func()), make(chan error)}
	go d.k.do(func() error { // in a thread of its own
		failed := pinAhead(d.cpus[0])
		for f := range r.do {
			r.done <- errors.Join(failed, faultOf(f))
		}
		return nil
	})
	return r
}

// faultOf calls f and returns what it has failed with.
func faultOf(f func()) (err error) {
	defer func() {
		switch f := recover().(type) {
		case nil:
		case fault:
			err = f.error
		default:
			panic(f)
		}
	}()
	f()
	return nil
}

// meet has one CPU stop at each of its steps in turn, and returns how often the other one was in between. On a busy machine that may take
// several tries.
func (d *duel) meet(stage []func(*duel), stops, goesOn func(*duel), rival rival, tries int, what *string) (met int) {
	pair := *what
	for step, vain := 1, 0; ; {
		*what = fmt.Sprintf("%s: step %d", pair, step)
		d.begin(stage)
		a, b := *d, *d // each with the numbers of before
		before := d.attempts()
		d.still.arm(d.cpus[0], step)
		rival.do <- func() { stops(&a) }
		ended, between, err := false, false, error(nil)
		for !ended && !d.still.stopped() {
			select {
			case err = <-rival.done:
				ended = true
			default:
			}
		}
		if ended && !d.still.stopped() { // there are no more steps
			d.still.arm(-1, 0)
			d.check(err)
			d.end()
			if a.left != nil {
				d.left = a.left
			}
			return met
		}
		if !ended { // else it has gone on by itself before this CPU saw it
			wrong := faultOf(func() { goesOn(&b) })
			between = d.still.goOn()
			err = errors.Join(wrong, <-rival.done)
		}
		d.check(err)
		d.agree()
		if now := d.attempts(); now.generation == before.generation && now.counted-before.counted != uint64(before.left-now.left) {
			d.fail("%d attempts were counted, of %d one has %d left", now.counted-before.counted, before.left, now.left)
		}
		d.end()
		for _, side := range []*duel{&a, &b} {
			if side.left != nil {
				d.left = side.left
			}
		}
		if between {
			met++
		} else if vain++; vain < tries { // this machine was busy with something else
			continue
		}
		step, vain = step+1, 0
	}
}

// begin brings a new connection to a stage.
func (d *duel) begin(stage []func(*duel)) {
	d.k.beat()
	d.client, d.front, d.clientSeq, d.taskSeq = ap(client(duelist)), ap(front()), 1001, 5001
	d.task, d.back = ap(taskAddr(0)+":9000"), ap(backAddr+":2000") // until the client's SYN has gone elsewhere
	d.serversComeBack()
	for i := range d.k.obj.targets {
		d.k.obj.targets[i].Ports = 0
	}
	for _, step := range stage {
		step(d)
	}
}

// clear makes what a failure has left good again.
func (d *duel) clear() {
	for key := range d.entries() {
		d.check(d.k.obj.WgFlows.Delete(key))
	}
	for i := range d.k.obj.loads {
		d.k.obj.loads[i].Taken, d.k.obj.loads[i].Open = 0, 0
		d.k.obj.gauges[i].Held, d.k.obj.gauges[i].Established = 0, 0
	}
}

// agree compares the table with itself and the numbers with the table.
func (d *duel) agree() {
	want := make(map[uint32]numbers)
	all := d.entries()
	for key, f := range all {
		indices := []uint32{f.ServerGauge}
		twin, ok := all[lbWgKey{Saddr: f.Daddr, Daddr: f.Saddr, Sport: f.Dport, Dport: f.Sport}]
		if f.Dir != dirTombstone && (!ok || twin.Generation != f.Generation || twin.Dir == f.Dir) {
			d.fail("%+v: %+v has no other half", key, f)
		}
		switch {
		case f.Dir == dirReverse:
			continue
		case f.Dir == dirForward:
			indices = append(indices, 0, f.ServiceGauge)
		}
		for _, i := range indices {
			n := want[i]
			n.Entries++
			if f.Dir == dirForward && f.State != lbWgStateWG_CLOSED {
				n.Open++
				n.Taken++
			}
			if f.State == lbWgStateWG_ESTABLISHED {
				n.Established++
			}
			want[i] = n
		}
		if f.State == lbWgStateWG_DEAD {
			d.fail("%+v: %+v is left dead", key, f)
		}
	}
	for i := range uint32(8) {
		if got := d.k.gauge(i); got != want[i] {
			d.fail("the numbers of %d are %+v, of the table %+v: %+v", i, got, want[i], all)
		}
	}
}

// attempts are those that the connection has, and those of all connections that have failed.
type attempts struct {
	generation uint64 // 0: there is no such connection
	left       uint32
	counted    uint64
}

func (d *duel) attempts() (n attempts) {
	if f, ok := d.entries()[keyOf(d.client, d.front)]; ok {
		n.generation, n.left = f.Generation, f.Retries
	}
	for _, cpu := range d.cpus {
		for _, c := range d.k.obj.counters[cpu*counterMax:][:8] {
			n.counted += c.Retries + c.Redispatches
		}
	}
	return n
}

// end has the collector delete all, and demands that nothing is left.
func (d *duel) end() {
	for _, passes := range []int{0, orphanPasses - 1} {
		d.c.passes = passes
		n, err := d.c.pass(monotonicNow() + uint64(24*time.Hour))
		d.check(err)
		if passes > 0 && n > 0 {
			d.fail("%d orphans", n)
		}
	}
	if n := len(d.entries()); n > 0 {
		d.fail("%d entries are left", n)
	}
	for i := range uint32(8) {
		if g := d.k.gauge(i); g != (numbers{}) {
			d.fail("gauge %d: %+v is left", i, g)
		}
	}
}

func (d *duel) fail(format string, args ...any) { d.check(fmt.Errorf(format, args...)) }

func (d *duel) check(err error) {
	if err != nil {
		panic(fault{err})
	}
}

// allowedCPUs are those that this process may run on.
func allowedCPUs(t testing.TB) (cpus []int) {
	t.Helper()
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		t.Fatal(err)
	}
	for cpu := range len(allowed) * 64 {
		if allowed.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// pinAhead does what pin does, and has the thread go before those of others: a standstill lasts some milliseconds, in which both CPUs have
// to be had.
func pinAhead(cpu int) error {
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20) // who may not takes more tries
	return pin(cpu)
}

// pin keeps the calling thread on a CPU.
func pin(cpu int) error {
	var only unix.CPUSet
	only.Set(cpu)
	return unix.SchedSetaffinity(0, &only)
}
