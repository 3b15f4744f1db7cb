package pool

import "sync/atomic"

// TrendLength and TrendStep bound what a trend remembers: TrendLength values, one for each TrendStep
// seconds. That is 388 bytes for each frontend, backend and server.
const (
	TrendLength = 48
	TrendStep   = 5
)

// Trend is the recent past of an object: the highest number of sessions, and the highest rate of them, in
// each step. One goroutine adds, any may read.
type Trend struct {
	sessions, rates [TrendLength]atomic.Uint32
	ticks           atomic.Uint32
}

// add notes the values of one second.
func (t *Trend) add(sessions int64, rate uint64) {
	n := t.ticks.Load()
	slot := n / TrendStep % TrendLength
	s, r := clamp(max(0, sessions)), clamp(rate)
	if n%TrendStep != 0 {
		s, r = max(s, t.sessions[slot].Load()), max(r, t.rates[slot].Load())
	}
	t.sessions[slot].Store(s)
	t.rates[slot].Store(r)
	t.ticks.Store(n + 1)
}

func clamp[T int64 | uint64](n T) uint32 { return uint32(min(uint64(n), 1<<32-1)) }

// Sessions returns the highest numbers of sessions, the oldest first.
func (t *Trend) Sessions() []uint32 { return t.read(&t.sessions) }

// Rates returns the highest rates, in sessions a second, the oldest first.
func (t *Trend) Rates() []uint32 { return t.read(&t.rates) }

func (t *Trend) read(ring *[TrendLength]atomic.Uint32) []uint32 {
	steps := (t.ticks.Load() + TrendStep - 1) / TrendStep // begun ones count
	first := uint32(0)
	if steps > TrendLength {
		first = steps - TrendLength
	}
	out := make([]uint32, 0, TrendLength)
	for i := first; i < steps; i++ {
		out = append(out, ring[i%TrendLength].Load())
	}
	return out
}
