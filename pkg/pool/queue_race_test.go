package pool

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

// TestNobodyWaitsBesideAFreePlace races those who take a place at once against those who hand places to the queue: when all
// is quiet again, nobody may wait although a place is free. The window is of nanoseconds: with a pause of 50 us between the
// look and the acquire of acquireAwaited the second round failed before it looked again.
func TestNobodyWaitsBesideAFreePlace(t *testing.T) {
	b := newBench(t, BackendOptions{})
	first, second := b.server(nil), b.server(nil)
	first.SetLimit(1)
	second.SetLimit(1)
	end := time.Now().Add(300 * time.Millisecond)
	for round := 0; time.Now().Before(end); round++ {
		if !second.Acquire() {
			t.Fatal("no place")
		}
		granted := make(chan Target, 1)
		w := &Waiter{Grant: func(t Target) bool { granted <- t; return true }}
		var wg sync.WaitGroup
		taken := false
		wg.Go(func() { b.Enqueue(w) })
		wg.Go(func() { second.Release() })
		wg.Go(func() {
			for range round % 64 { // so that it comes at many moments
				runtime.Gosched()
			}
			taken = first.Acquire()
		})
		wg.Wait()
		select {
		case target := <-granted:
			target.Server.Release()
		default:
			t.Fatalf("round %d: it waits, with %d and %d places taken of 1 each", round, first.Sessions.Load(), second.Sessions.Load())
		}
		if taken {
			first.Release()
		}
	}
}
