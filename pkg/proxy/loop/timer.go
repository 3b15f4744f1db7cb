package loop

import (
	"math"
	"time"
)

// Timer fires once at its deadline. It belongs to one loop and is used again and again: moving the
// deadline of a connection that lives costs a store, since a timer that comes up early is only put back.
// The zero value, with Owner set, is ready.
type Timer struct {
	Owner    Expirer
	deadline time.Duration // when it is due, 0 = not armed
	at       time.Duration // its key in the heap, never later than deadline while armed
	pos      int           // 1 + index in the heap, 0 = not in it
}

// Expirer is told on the loop when the deadline of a timer of its own has passed.
type Expirer interface{ Expired(*Timer) }

// Func is what is done when a timer fires.
type Func func()

// Expired implements Expirer.
func (f Func) Expired(*Timer) { f() }

// Armed says whether the timer is going to fire.
func (t *Timer) Armed() bool { return t.deadline != 0 }

// Left returns the time until t fires, negative if it is not armed.
func (l *Loop) Left(t *Timer) time.Duration {
	if !t.Armed() {
		return -1
	}
	return max(0, t.deadline-l.now)
}

// Arm has t fire after d, which replaces what was set before. Zero or less disarms it, since 0 is how a
// configuration says that there is no such timeout.
func (l *Loop) Arm(t *Timer, d time.Duration) {
	if d <= 0 {
		t.deadline = 0
		return
	}
	t.deadline = l.now + d
	switch {
	case t.pos == 0:
		t.at = t.deadline
		l.timers.push(t)
	case t.deadline < t.at:
		t.at = t.deadline
		l.timers.up(t.pos - 1)
	}
}

// Disarm stops t; it may stay in the heap until it would have been due.
func (l *Loop) Disarm(t *Timer) { t.deadline = 0 }

// Drop disarms t and forgets it at once: for an owner that goes away.
func (l *Loop) Drop(t *Timer) {
	t.deadline = 0
	if t.pos != 0 {
		l.timers.remove(t.pos - 1)
	}
}

// timers is a binary heap by Timer.at.
type timers struct{ heap []*Timer }

// timeout is how long epoll may sleep, in milliseconds, rounded up so that the timer is due when it wakes;
// -1 without timers.
func (h *timers) timeout(now time.Duration) int {
	if len(h.heap) == 0 {
		return -1
	}
	d := h.heap[0].at - now
	if d <= 0 {
		return 0
	}
	return int(min((d+time.Millisecond-1)/time.Millisecond, math.MaxInt32))
}

// fire calls the timers that are due. Those that were moved meanwhile go back into the heap.
func (h *timers) fire(now time.Duration) {
	for len(h.heap) > 0 && h.heap[0].at <= now {
		t := h.heap[0]
		switch {
		case t.deadline == 0:
			h.remove(0)
		case t.deadline > t.at:
			t.at = t.deadline
			h.down(0)
		default:
			h.remove(0)
			t.deadline = 0
			t.Owner.Expired(t)
		}
	}
}

func (h *timers) push(t *Timer) {
	h.heap = append(h.heap, t)
	t.pos = len(h.heap)
	h.up(t.pos - 1)
}

func (h *timers) remove(i int) {
	t, last := h.heap[i], len(h.heap)-1
	h.swap(i, last)
	h.heap[last] = nil
	h.heap = h.heap[:last]
	t.pos = 0
	if i < last {
		h.down(i)
		h.up(i)
	}
}

func (h *timers) swap(i, j int) {
	h.heap[i], h.heap[j] = h.heap[j], h.heap[i]
	h.heap[i].pos, h.heap[j].pos = i+1, j+1
}

func (h *timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if h.heap[parent].at <= h.heap[i].at {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *timers) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(h.heap) {
			return
		}
		if c+1 < len(h.heap) && h.heap[c+1].at < h.heap[c].at {
			c++
		}
		if h.heap[i].at <= h.heap[c].at {
			return
		}
		h.swap(i, c)
		i = c
	}
}
