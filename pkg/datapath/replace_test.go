package datapath

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
)

// The servers of a service are replaced as a whole: whenever a SYN comes, it meets the old ones or the new ones.
func TestServersAreReplacedAtOnce(t *testing.T) {
	k := newKernel(t, Options{HalfOpenRing: 5000})
	all := oneService(6)
	some := func(from, to int) Desired {
		d := oneService(6)
		s := &d.Services[0]
		s.Servers, s.Schedule = slices.Clone(all.Services[0].Servers[from:to]), slices.Clone(all.Services[0].Schedule[from:to])
		return d
	}
	k.sync(t, some(0, 3))
	done := make(chan struct{})
	sent := 0
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			k.sendFrom(t, sent%50000, 100)
			sent += 100
		}
	})
	for i := range sized(200, 20) {
		k.sync(t, some(3*(1-i%2), 3*(1-i%2)+3))
	}
	close(done)
	wg.Wait()
	for reason, n := range k.reasons(t) {
		if n > 0 {
			t.Errorf("%d of %d SYNs were left to the socket: %s", n, sent, reason)
		}
	}
	if used := k.snapshot(t).Servers; len(used) != 6 || used[101].Connections == 0 || used[106].Connections == 0 {
		t.Errorf("%+v", used)
	}
}

// A schedule for which memory is lacking is none: the one before may lead to tasks that are gone.
func TestAScheduleThatCannotBeWrittenLeavesNoOldOne(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	k.open(t, client(0))
	d := oneService(2)
	d.Services[0].Servers, d.Services[0].Schedule = d.Services[0].Servers[1:], d.Services[0].Schedule[1:]
	p, err := k.planner.plan(d, k.view())
	if err != nil {
		t.Fatal(err)
	}
	inner := k.obj.inner
	k.obj.inner = inner.Copy()
	k.obj.inner.Type = ebpf.UnspecifiedMap
	k.tables.obj = k.obj
	if err := k.tables.apply(p); err == nil || !strings.Contains(err.Error(), "schedule of service 7") {
		t.Errorf("error %v", err)
	}
	k.refuse(t, synTo(1), "no_server")
	k.obj.inner = inner
	k.sync(t, d)
	if c := k.open(t, client(2)); c.task.Addr().String() != taskAddr(1) {
		t.Errorf("to %s", c.task)
	}
}

// A service for which there is no room does not keep the others from following their tasks.
func TestOneServiceWithoutRoomHoldsNoOther(t *testing.T) {
	top := newTopology(t, 2)
	dp := openIn(t, top.lb, Options{})
	dp.planner.counters.max = 3 // two of them
	d := oneService(2)
	first, second := d.Services[0], d.Services[0]
	second.ID, second.Name, second.Binds = 8, "second", binds(frontAddr+":8443")
	first.Schedule = []uint32{101}
	if err := dp.Sync(Desired{Services: []Service{first, second}}); err == nil || !strings.Contains(err.Error(), "service 8: wg_counters is full") {
		t.Errorf("error %v", err)
	}
	first.Schedule = []uint32{101, 101}
	err := dp.Sync(Desired{Services: []Service{first, second}})
	if err == nil || errors.Is(err, errClosed) {
		t.Errorf("error %v", err)
	}
	dp.mu.Lock()
	s := dp.tables.schedules[7]
	dp.mu.Unlock()
	if s == nil || len(s.slots) != 2 {
		t.Errorf("service 7 has the schedule %+v, want two slots", s)
	}
	if fronts, err := dp.Fronts(8); err != nil || len(fronts) != 0 {
		t.Errorf("service 8 is at %v (%v)", fronts, err)
	}
	if s := dp.Status(); !s.says("all connections to second go through userspace") {
		t.Errorf("degraded: %q", s.Degraded)
	}
}
