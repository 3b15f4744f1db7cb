package pool

import (
	"sync/atomic"
	"time"
)

// latencyBounds are the upper bounds of the buckets of a histogram, in microseconds; the last bucket has none.
var latencyBounds = [...]uint64{1e3, 2500, 5e3, 10e3, 25e3, 50e3, 100e3, 250e3, 500e3, 1e6, 2500e3, 5e6, 10e6}

// LatencyBounds returns the upper bounds of the buckets of all histograms: from 1 ms to 10 s. There are as many for
// everything, so that what a histogram costs is known: 120 bytes.
func LatencyBounds() []time.Duration {
	all := make([]time.Duration, len(latencyBounds))
	for i, us := range latencyBounds {
		all[i] = time.Duration(us) * time.Microsecond
	}
	return all
}

// Histogram counts times by how long they were. One goroutine adds, any may read.
type Histogram struct {
	buckets [len(latencyBounds) + 1]atomic.Uint64
	sum     atomic.Uint64 // us
}

// Add counts a time in microseconds.
func (h *Histogram) Add(us uint64) {
	i := 0
	for i < len(latencyBounds) && us > latencyBounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(us)
}

// Latency is what one event loop has measured of the requests, or TCP sessions, of a backend. It shares no cache line with
// that of another loop.
type Latency struct {
	Connect  Histogram // of new connections to servers
	Response Histogram // from the request to the response's head
	Total    Histogram // of the whole

	_ [64]byte
}

// Latencies are those of a backend, by event loop. They never go back, so that rates can be made of them.
type Latencies struct{ shards []Latency }

func newLatencies(writers int) Latencies { return Latencies{shards: make([]Latency, writers)} }

// Shard returns that of writer i, as [Counters.Shard] does.
func (l *Latencies) Shard(i int) *Latency { return &l.shards[i] }

// Spread is a histogram at one moment.
type Spread struct {
	Buckets []uint64 // by LatencyBounds, each with those before it
	Count   uint64
	Sum     time.Duration
}

// Connect sums up over all loops.
func (l *Latencies) Connect() Spread {
	return l.spread(func(s *Latency) *Histogram { return &s.Connect })
}

// Response sums up over all loops.
func (l *Latencies) Response() Spread {
	return l.spread(func(s *Latency) *Histogram { return &s.Response })
}

// Total sums up over all loops.
func (l *Latencies) Total() Spread {
	return l.spread(func(s *Latency) *Histogram { return &s.Total })
}

func (l *Latencies) spread(which func(*Latency) *Histogram) Spread {
	var counts [len(latencyBounds) + 1]uint64
	out := Spread{Buckets: make([]uint64, len(latencyBounds))}
	for i := range l.shards {
		h := which(&l.shards[i])
		for b := range h.buckets {
			counts[b] += h.buckets[b].Load()
		}
		out.Sum += time.Duration(h.sum.Load()) * time.Microsecond
	}
	for b, n := range counts {
		out.Count += n
		if b < len(out.Buckets) {
			out.Buckets[b] = out.Count
		}
	}
	return out
}
