package datapath

import (
	"errors"
	"testing"
)

// gauges that the servers of these tests have.
const testGauges = 5

func testTargets() *targets {
	return newTargets(make([]lbWgTarget, 2*testGauges), make([]lbWgOwnMac, 3))
}

func mustTarget(t *testing.T, x *targets, gauge uint32, target lbWgTarget) uint32 {
	t.Helper()
	i, err := x.get(gauge, target)
	if err != nil {
		t.Fatal(err)
	}
	if i%testGauges != gauge {
		t.Fatalf("entry %d does not lead to gauge %d", i, gauge)
	}
	return i
}

// schedulesOf are those of services with one server each, by its target.
func schedulesOf(indices ...uint32) map[uint32]*schedule {
	schedules := make(map[uint32]*schedule)
	for service, i := range indices {
		schedules[uint32(service)] = &schedule{slots: []slot{{target: uint16(i)}}}
	}
	return schedules
}

// An entry that packets may be reading is not changed, and a server that changes has another one, as soon as no schedule leads to it.
func TestAServerThatChangesHasItsOtherEntry(t *testing.T) {
	x := testTargets()
	first, second, third := lbWgTarget{Server: 11, Mtu: 1500}, lbWgTarget{Server: 11, Mtu: 1450}, lbWgTarget{Server: 11, Mtu: 1400}
	a := mustTarget(t, x, 1, first)
	if again := mustTarget(t, x, 1, first); again != a || mustTarget(t, x, 2, lbWgTarget{Server: 12}) == a {
		t.Fatalf("entry %d, then %d", a, again)
	}
	inUse := func(why string) {
		t.Helper()
		before := x.mem[a]
		if i, err := x.get(1, third); !errors.Is(err, errEntriesInUse) || x.mem[a] != before {
			t.Fatalf("entry %d, error %v: %s", i, err, why)
		}
	}
	b := mustTarget(t, x, 1, second)
	if a == b || x.mem[a].Mtu != 1500 || x.mem[b].Mtu != 1450 {
		t.Fatalf("entries %d and %d of %+v", a, b, x.mem)
	}
	inUse("both are about to be referred to")
	x.release(schedulesOf(a, b))
	inUse("both are referred to")
	x.release(map[uint32]*schedule{0: {}, 1: nil})
	inUse("a schedule is unknown")
	x.release(schedulesOf(b))
	if x.mem[a] != (lbWgTarget{}) || x.mem[b].Mtu != 1450 {
		t.Errorf("once replaced: %+v", x.mem)
	}
	if i := mustTarget(t, x, 1, third); i != a || x.mem[a].Mtu != 1400 || x.mem[b].Mtu != 1450 {
		t.Errorf("the next one has entry %d of %+v", i, x.mem)
	}
}

func TestEntriesOfAServerThatIsNoMore(t *testing.T) {
	x := testTargets()
	a := mustTarget(t, x, 1, lbWgTarget{Server: 11})
	x.forget(1)
	if x.mem[a].Server != 11 {
		t.Error("an entry that is referred to was cleared")
	}
	x.release(schedulesOf())
	if x.forget(1); x.mem[a].Server != 0 {
		t.Error("it is still there")
	}
}

// Nobody knows which entries the schedules of a process before lead to.
func TestTargetsAreRestored(t *testing.T) {
	x := testTargets()
	was := []lbWgTarget{{Server: 12}, {Server: 13}, {Server: 13, Mtu: 1500}}
	x.mem[2], x.mem[3], x.mem[3+testGauges] = was[0], was[1], was[2]
	x.restore()
	if i := mustTarget(t, x, 2, was[0]); i != 2 {
		t.Errorf("what was there has entry %d", i)
	}
	if i := mustTarget(t, x, 2, lbWgTarget{Server: 12, Mtu: 1500}); i != 2+testGauges {
		t.Errorf("what has changed has entry %d", i)
	}
	if i, err := x.get(3, lbWgTarget{Server: 13, Mtu: 1400}); !errors.Is(err, errEntriesInUse) {
		t.Errorf("entry %d, %v", i, err)
	}
}

// A server that changes, but not its address, has another entry, whose source ports go on where the old one's stop: the server may be in
// TIME_WAIT with those before. Another address knows none of them.
func TestSourcePortsGoOn(t *testing.T) {
	x := testTargets()
	x.port = func() uint32 { return 1000 }
	ports := func(target lbWgTarget) *uint32 {
		t.Helper()
		i := mustTarget(t, x, 1, target)
		x.release(schedulesOf(i))
		return &x.mem[i].Ports
	}
	was := lbWgTarget{Server: 11, Port: 80, Mtu: 1500}
	first := ports(was)
	if *first != 1000 {
		t.Errorf("begins with %d", *first)
	}
	*first += 5
	if again := ports(was); again != first {
		t.Error("the same target has another entry once it was used")
	}
	now := was
	now.Mtu = 1450
	if next := ports(now); next == first || *next != 1005 {
		t.Errorf("goes on with %d", *next)
	}
	now.Port = 81
	if other := ports(now); *other != 1000 {
		t.Errorf("another address goes on with %d", *other)
	}
	left := newTargets(x.mem, make([]lbWgOwnMac, 3))
	left.restore()
	now.Mtu = 1400
	if i := mustTarget(t, left, 1, now); left.mem[i].Ports != 1000 {
		t.Errorf("after a take-over: %d", left.mem[i].Ports)
	}
	// A server without a schedule keeps its own; another server at its address and with its gauge has none of them.
	x.release(schedulesOf())
	if again := ports(now); *again != 1000 || now.Server != 11 {
		t.Errorf("after a pause: %d", *again)
	}
	x.port = func() uint32 { return 2000 }
	now.Server = 12
	if other := ports(now); *other != 2000 {
		t.Errorf("another server goes on with %d", *other)
	}
}

func TestMACsOfOurInterfaces(t *testing.T) {
	x := newTargets(nil, make([]lbWgOwnMac, 3)) // room for two
	a, b := x.ownMAC(taskMAC), x.ownMAC(ourMAC)
	if a == 0 || b == 0 || a == b || x.ownMAC(taskMAC) != a || x.own[a].Addr != taskMAC {
		t.Errorf("entries %d and %d of %v", a, b, x.own)
	}
	if x.ownMAC(clientMAC) != 0 {
		t.Error("there was room for a third")
	}
}

// A process that was killed between its writing of an entry and of the schedules has left both entries of a server, of which any may be
// read. Its service then has no schedule for a moment, and with that its entries are free.
func TestAServerWhoseEntriesAreBothInUse(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(2))
	before := k.open(t, client(0))
	x := k.planner.targets
	for _, i := range x.pair(k.indexOf(t, 101)) {
		x.mem[i].Server, x.mem[i].Way = 101, 77
	}
	x.restore()
	if err := k.tables.restore(); err != nil {
		t.Fatal(err)
	}
	d := oneService(2)
	if _, err := k.planner.plan(d, k.view()); !errors.Is(err, errEntriesInUse) {
		t.Fatalf("error %v: both may be read", err)
	}
	k.sync(t, d)
	if got := k.tasks(t, 1, 10); got[taskAddr(0)] != 5 {
		t.Errorf("%v, want 5 and 5", got)
	}
	before.fromTask(t, syn|ack, "")
}
