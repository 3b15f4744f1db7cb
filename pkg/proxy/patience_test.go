package proxy

import (
	"testing"
	"time"
)

// patience bounds every wait of these tests; none of them passes by using it up.
const patience = 30 * time.Second

// Timeouts that no test waits for: the one passes when the test sets the loops' clocks forward by it, the other not even then. So
// it does not matter how long a machine that is busy takes until then.
const (
	soon  = time.Minute
	never = 24 * time.Hour
)

// eventually waits for what another goroutine is about to do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// receive waits for what another goroutine is about to send, and says what it was if that does not come.
func receive[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain: %s", what)
		panic("not reached")
	}
}

// nextLine is the next of those that [logging] gives.
func nextLine(t testing.TB, lines <-chan string) string {
	t.Helper()
	return receive(t, lines, "a line of the log")
}

// skip sets the clocks of the loops forward. Timers that are due then have fired when it returns.
func (w *world) skip(d time.Duration) {
	w.t.Helper()
	for _, wk := range w.engine.workers {
		w.on(wk, func(wk *worker) { wk.loop.Skip(d) })
		for range 2 { // the first may be run before the timers of its round
			w.on(wk, func(*worker) {})
		}
	}
}

// on runs fn on a worker's loop and waits for it.
func (w *world) on(wk *worker, fn func(*worker)) {
	w.t.Helper()
	done := make(chan struct{})
	if wk.loop.Post(func() { fn(wk); close(done) }) {
		receive(w.t, done, "the loop")
	}
}

// onLoop does so on the first loop.
func (w *world) onLoop(fn func(*worker)) {
	w.t.Helper()
	w.on(w.engine.workers[0], fn)
}
