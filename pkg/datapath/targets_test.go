package datapath

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func mustTarget(t *testing.T, x *targets, server uint32) uint32 {
	t.Helper()
	i, err := x.get(lbWgTarget{Server: server})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// schedulesOf are those of services with one server each, by its target.
func schedulesOf(indices ...uint32) map[uint32][]lbWgSlot {
	schedules := make(map[uint32][]lbWgSlot)
	for service, i := range indices {
		schedules[uint32(service)] = []lbWgSlot{{Target: 1}, {Target: uint16(i)}}
	}
	return schedules
}

// An entry that packets may be reading is neither changed nor given to another server.
func TestTargetsAreUsedAgainOnlyWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTargets(make([]lbWgTarget, 3), make([]lbWgOwnMac, 3)) // room for two
		a, b := mustTarget(t, x, 11), mustTarget(t, x, 12)
		if again := mustTarget(t, x, 11); a == 0 || b == 0 || a == b || again != a {
			t.Fatalf("entries %d, %d and %d", a, b, again)
		}
		full := func(why string) {
			t.Helper()
			if i, err := x.get(lbWgTarget{Server: 13}); err == nil || !strings.Contains(err.Error(), "wg_targets is full") {
				t.Fatalf("entry %d, error %v: %s", i, err, why)
			}
		}
		x.release(schedulesOf(a, b))
		time.Sleep(2 * grace)
		x.release(schedulesOf(a, b))
		full("both are referred to")
		x.release(schedulesOf(a))
		full("b was just referred to")
		time.Sleep(grace / 2)
		x.release(schedulesOf(a))
		full("b was referred to a moment ago")
		x.release(schedulesOf(a, b))
		time.Sleep(grace * 3 / 4)
		x.release(schedulesOf(a))
		full("b was referred to meanwhile")
		time.Sleep(grace)
		x.release(map[uint32][]lbWgSlot{0: {{}}, 1: nil})
		full("a schedule is unknown")
		x.release(schedulesOf(a))
		if i := mustTarget(t, x, 13); i != b || x.mem[b].Server != 13 || x.mem[a].Server != 11 {
			t.Errorf("entry %d of %+v", i, x.mem)
		}
	})
}

func TestTargetsAreRestored(t *testing.T) {
	x := newTargets(make([]lbWgTarget, 5), make([]lbWgOwnMac, 3))
	x.mem[2].Server, x.mem[3].Server = 12, 13
	x.restore()
	if i := mustTarget(t, x, 13); i != 3 {
		t.Errorf("what was there has entry %d", i)
	}
	if i, j := mustTarget(t, x, 14), mustTarget(t, x, 15); i+j != 1+4 {
		t.Errorf("new ones have the entries %d and %d, free were 1 and 4", i, j)
	}
}

// A server that changes, but not its address, has another entry, whose source ports go on where the old one's stop: the server may be in
// TIME_WAIT with those before. Another address knows none of them.
func TestSourcePortsGoOn(t *testing.T) {
	x := newTargets(make([]lbWgTarget, 9), make([]lbWgOwnMac, 3))
	x.port = func() uint32 { return 1000 }
	ports := func(target lbWgTarget) *uint32 {
		t.Helper()
		i, err := x.get(target)
		if err != nil {
			t.Fatal(err)
		}
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
	if i, err := left.get(now); err != nil || left.mem[i].Ports != 1000 {
		t.Errorf("after a take-over: %d, %v", left.mem[i].Ports, err)
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
