package datapath

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		changed := make(chan struct{}, 1)
		var refreshed []time.Duration
		start := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			follow(ctx, changed, func() { refreshed = append(refreshed, time.Since(start)) })
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
