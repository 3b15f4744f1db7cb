package wire

import (
	"math/rand/v2"
	"time"
)

// Faults are what a wire does to frames. The zero value is a good wire.
type Faults struct {
	// Loss and Duplicate are probabilities, of each frame by itself.
	Loss, Duplicate float64
	// Delay is added to each frame.
	Delay time.Duration
	// Jitter is the most that is added by chance to each frame on top, all amounts being as likely. Frames overtake each other by it.
	Jitter time.Duration
}

// dice decide about the frames of one direction, the same for the same seed.
type dice struct{ *rand.Rand }

func newDice(seed, direction uint64) dice { return dice{rand.New(rand.NewPCG(seed, direction))} }

// throw returns when copies of a frame arrive, counted from now: none of a frame that is lost.
func (d dice) throw(f Faults) (copies int, after [2]time.Duration) {
	// As many draws for each frame, so that what happens to one does not depend on what happened to others.
	lost, doubled := d.Float64() < f.Loss, d.Float64() < f.Duplicate
	for i := range after {
		after[i] = f.Delay + time.Duration(d.Float64()*float64(f.Jitter))
	}
	switch {
	case lost:
		return 0, after
	case doubled:
		return 2, after
	}
	return 1, after
}
