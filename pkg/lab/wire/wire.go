package wire

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
)

// Wire carries frames between two TAP devices. Its methods may be called from several goroutines.
type Wire struct {
	ends    [2]*os.File
	lines   [2]*line
	faults  atomic.Pointer[Faults]
	running sync.WaitGroup
}

// Join makes a good wire of two devices, which are the wire's from then on. Equal seeds decide equally about the n-th frame of a
// direction. Close it.
func Join(a, b *os.File, seed uint64) *Wire {
	w := &Wire{ends: [2]*os.File{a, b}}
	w.Set(Faults{})
	w.lines = [2]*line{newLine(a, b, &w.faults, newDice(seed, 0)), newLine(b, a, &w.faults, newDice(seed, 1))}
	for _, l := range w.lines {
		w.running.Go(l.read)
		w.running.Go(l.write)
	}
	return w
}

// Set has the wire do this to the frames that come from now on, in both directions.
func (w *Wire) Set(f Faults) { w.faults.Store(&f) }

// Carrier plugs both ends in, or out. A wire is plugged in at first.
func (w *Wire) Carrier(on bool) error {
	return errors.Join(setCarrier(w.ends[0], on), setCarrier(w.ends[1], on))
}

// Counts adds up both directions since the wire was made.
func (w *Wire) Counts() (sum Counts) {
	for _, l := range w.lines {
		c := l.counted()
		sum.Carried += c.Carried
		sum.Lost += c.Lost
		sum.Doubled += c.Doubled
		sum.Overrun += c.Overrun
	}
	return sum
}

// Close ends the wire and its devices, and waits for its goroutines. Frames under way are lost.
func (w *Wire) Close() error {
	err := errors.Join(w.ends[0].Close(), w.ends[1].Close())
	w.running.Wait()
	return err
}
