package datapath

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		changed := make(chan struct{}, 1)
		var met, refreshed []time.Duration
		start := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			follow(ctx, changed, func() { met = append(met, time.Since(start)) }, func() { refreshed = append(refreshed, time.Since(start)) })
		}()
		// A burst of messages, each within the settling time of the one before, is one change.
		for range 5 {
			changed <- struct{}{}
			time.Sleep(settle / 2)
		}
		time.Sleep(settle)
		synctest.Wait()
		if want := 4*settle/2 + settle; len(refreshed) != 1 || refreshed[0] != want {
			t.Errorf("refreshed at %v, want once at %v", refreshed, want)
		}
		if want := []time.Duration{0, settle / 2, settle, 3 * settle / 2, 2 * settle}; !slices.Equal(met, want) {
			t.Errorf("looked for interfaces at %v, want %v", met, want)
		}
		time.Sleep(resync)
		synctest.Wait()
		if len(refreshed) != 2 || refreshed[1] != resync {
			t.Errorf("refreshed at %v, want again at %v", refreshed, resync)
		}
		// A network that never settles, as where containers come and go all the time, is followed all the same.
		start, refreshed = time.Now(), nil
		for range 100 {
			changed <- struct{}{}
			time.Sleep(settle / 2)
		}
		time.Sleep(settle)
		synctest.Wait()
		if len(refreshed) < 2 || refreshed[0] > restless {
			t.Fatalf("refreshed at %v while it changed for %v, want the first at %v", refreshed, 50*settle, restless)
		}
		refreshed = refreshed[:2]
		// It ends also while it waits for the network to settle.
		changed <- struct{}{}
		synctest.Wait()
		stop()
		<-done
		if len(refreshed) != 2 {
			t.Errorf("refreshed at %v, after the end", refreshed)
		}
	})
}

// While the network goes on changing, new interfaces are looked for at once, and after a while for a tenth of the time at most.
func TestFollowRests(t *testing.T) {
	const tick = 100 * time.Microsecond // between two messages
	synctest.Test(t, func(t *testing.T) {
		for _, took := range []time.Duration{0, time.Millisecond} {
			ctx, stop := context.WithCancel(t.Context())
			changed := make(chan struct{}, 1)
			var met []time.Duration
			start := time.Now()
			done := make(chan struct{})
			go func() {
				defer close(done)
				follow(ctx, changed, func() { met = append(met, time.Since(start)); time.Sleep(took) }, func() {})
			}()
			for time.Since(start) < 2*settle {
				notify(changed)
				time.Sleep(tick)
			}
			stop()
			<-done
			for i, at := range met[1:] {
				want := soonest
				if time.Duration(i+1)*took > unhurried {
					want = max(want, 10*took)
				}
				if gap := at - met[i] - took; gap < want || gap > want+tick {
					t.Errorf("looks that take %v: %v between two, want %v, at %v", took, gap, want, met)
				}
			}
			if len(met) < 10 || took > 0 && time.Duration(len(met))*took <= unhurried {
				t.Errorf("looks that take %v: at %v, too few", took, met)
			}
		}
	})
}

// countingNetwork counts how often the routing table is read.
type countingNetwork struct {
	network
	size, reads int
}

func (n *countingNetwork) routes() ([]tableRoute, error) {
	n.reads++
	return make([]tableRoute, n.size), nil
}

// The routing table is read when the network has changed, and one that is too large not even then.
func TestTheRoutingTableIsReadWhenItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, table := &countingNetwork{size: 3}, &routeTable{}
		look := func(changed bool, reads, size int) {
			t.Helper()
			if changed {
				table.known = false
			}
			if got, err := table.read(n); err != nil || len(got) != size || n.reads != reads {
				t.Errorf("%d routes, read %d times (%v), want %d and %d", len(got), n.reads, err, size, reads)
			}
		}
		look(false, 1, 3)
		look(false, 1, 3)
		look(true, 2, 3)
		n.size = routesMax + 1
		look(true, 3, 0)
		look(true, 3, 0)
		time.Sleep(resync) // the change is not forgotten
		look(false, 4, 0)
		look(true, 4, 0)
		n.size = 5
		time.Sleep(resync)
		look(true, 5, 5)
	})
}
