package datapath

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A server that was removed and added again before its last flow ended has two ids: a later process finds the one that it got
// last, whichever is higher, and knows of the other one whose it was.
func TestTheLastIDOfANameIsFound(t *testing.T) {
	top, opts := newTopology(t, 1), Options{PinDir: pinDir(t)}
	dp := openIn(t, top.lb, opts)
	long := strings.Repeat("l", 200)
	const servers = 30
	for round := range uint32(2) {
		for n := range uint32(servers) {
			id := 100 + 2*n + (round+n)%2 // the second is the higher one of every other name
			_, err := dp.ServerPlaces(id, long, fmt.Sprintf("%s%d", long, n))
			_, err2 := dp.ServicePlaces(id, fmt.Sprintf("%s%d", long, n))
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(when string) {
		t.Helper()
		ids, err := ReadIdentities(opts.PinDir)
		if err != nil {
			t.Fatal(err)
		}
		for n := range uint32(servers) {
			name, want := fmt.Sprintf("%s%d", long, n), 100+2*n+(1+n)%2
			if server, service := ids.Server(long, name), ids.Service(name); server != want || service != want {
				t.Errorf("%s: %d is server %d and service %d, want %d", when, n, server, service, want)
			}
		}
		var all []uint32
		for _, n := range ids.ServersOf(long) {
			if all = append(all, n.ID); len(n.Name) != 127 {
				t.Errorf("%s: id %d has the name %q", when, n.ID, n.Name)
			}
		}
		slices.Sort(all)
		if len(all) != 2*servers || all[0] != 100 || len(slices.Compact(all)) != 2*servers {
			t.Errorf("%s: ids of the backend: %v", when, all)
		}
	}
	check("before the take-over")
	dp.abandon(t)
	dp = openIn(t, top.lb, opts)
	for n := range uint32(servers) { // as its successor says them again
		if _, err := dp.ServerPlaces(100+2*n+(1+n)%2, long, fmt.Sprintf("%s%d", long, n)); err != nil {
			t.Fatal(err)
		}
	}
	check("after it")
	if err := dp.RetainBackends([]string{"another"}); err != nil {
		t.Fatal(err)
	}
	ids, err := ReadIdentities(opts.PinDir)
	if err != nil {
		t.Fatal(err)
	}
	if _, highest := ids.Max(); ids.Server(long, long+"1") != 0 || len(ids.ServersOf(long)) != 0 || highest != 100+2*servers-1 {
		t.Errorf("the backend is forgotten; its servers %v, the highest id %d", ids.ServersOf(long), highest)
	}
}

// What forgotten servers have counted stays their backend's over take-overs, for as long as that is there.
func TestForgottenServersLeaveTheirCountsToTheirBackend(t *testing.T) {
	top, opts := taskTopology(t, 2), Options{PinDir: pinDir(t)}
	dp := openIn(t, top.lb, opts)
	for n := range uint64(2) {
		for i, name := range []string{"one", "two"} {
			if _, err := dp.ServerPlaces(uint32(101+i), "tasks", name); err != nil {
				t.Fatal(err)
			}
		}
		if err := dp.Sync(oneService(2)); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			k := top.talk(t)
			k.round(t)
			k.Close()
		}
		if err := dp.Sync(Desired{}); err != nil {
			t.Fatal(err)
		}
		dp.UnshareServer(101)
		dp.UnshareServer(102)
		dp.forgetClosed(t)
		before := dp.Bequest("tasks")
		if before.Sessions != 4*(n+1) || before.BytesIn == 0 || len(dp.Counters().Servers) != 0 {
			t.Errorf("round %d: left to the backend: %+v", n, before)
		}
		dp.abandon(t)
		dp = openIn(t, top.lb, opts)
		if after := dp.Bequest("tasks"); after != before {
			t.Errorf("round %d: %+v after the take-over, %+v before", n, after, before)
		}
		if other := dp.Bequest("task"); other != (Counts{}) {
			t.Errorf("another backend has %+v", other)
		}
	}
	if err := dp.RetainBackends(nil); err != nil {
		t.Fatal(err)
	}
	dp.abandon(t)
	dp = openIn(t, top.lb, opts)
	if left := dp.Bequest("tasks"); left != (Counts{}) {
		t.Errorf("a backend that is gone has left %+v to its namesake", left)
	}
}
