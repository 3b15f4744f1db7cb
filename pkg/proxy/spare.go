package proxy

import "time"

// spare is what a loop keeps for later use, last in first out. The zero value is empty.
type spare[T any] struct {
	list []T
	low  int // fewest since the last sweep: nobody has missed these
}

const (
	fewSpare    = 16          // that stay
	sweepAtOnce = 512         // of a kind, which bounds how long a sweep takes: a millisecond or two
	tidyEvery   = time.Second // while there is more than that
)

func (s *spare[T]) put(v T) { s.list = append(s.list, v) }

func (s *spare[T]) take() (v T, ok bool) {
	n := len(s.list) - 1
	if n < 0 {
		return v, false
	}
	v = s.list[n]
	var none T
	s.list[n] = none
	s.list = s.list[:n]
	s.low = min(s.low, n)
	return v, true
}

// sweep hands out the oldest half of those that nobody has missed since the last time.
func (s *spare[T]) sweep(drop func(T)) {
	if n := min((s.low+1)/2, len(s.list)-fewSpare, sweepAtOnce); n > 0 {
		for _, v := range s.list[:n] {
			drop(v)
		}
		rest := copy(s.list, s.list[n:])
		clear(s.list[rest:])
		s.list = s.list[:rest]
	}
	s.low = len(s.list)
}

// plenty says whether a sweep may find something.
func (s *spare[T]) plenty() bool { return len(s.list) > fewSpare }

// tidySoon sees to it that memory which a crowd has needed is given back.
func (w *worker) tidySoon() {
	if !w.tidying.Armed() && (w.buffers.free.plenty() || w.transactions.plenty() || w.ended.plenty()) {
		w.loop.Arm(&w.tidying, tidyEvery)
	}
}

func (w *worker) tidy() {
	w.buffers.sweep()
	w.transactions.sweep(func(*transaction) {}) // the collector takes them
	w.ended.sweep(func(*session) {})
	w.tidySoon()
}
