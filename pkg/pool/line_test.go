package pool

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// Classes come before offsets, offsets move the time of arrival, and among equals the first to come is the first served; whoever
// leaves changes nothing for the others.
func TestPriorities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, BackendOptions{})
		s := b.server(limited(1))
		s.Acquire()
		var grants []string
		var left *Waiter
		for i, p := range []Priority{{}, {Class: 5}, {Class: -5}, {Offset: -3 * time.Second}, {Offset: time.Millisecond}, {}, {Class: 5, Offset: -time.Hour}, {}, {}} {
			w := waiter(&grants, fmt.Sprint(i), true)
			w.Priority = p
			b.Enqueue(w)
			if i == 5 {
				left = w
			}
			time.Sleep(time.Second)
		}
		b.Dequeue(left)
		for range 8 {
			s.Release()
		}
		if got := fmt.Sprint(grants); got != "[2 s1 0 s1 3 s1 4 s1 7 s1 8 s1 6 s1 1 s1]" {
			t.Errorf("served in the order %s", got)
		}
	})
}

// What is logged of a wait counts those served from the same queue since, the request itself included.
func TestPassed(t *testing.T) {
	b := newBench(t, BackendOptions{Requeue: true})
	one, two := b.server(limited(1)), b.server(limited(1))
	one.Acquire()
	two.Acquire()
	var grants []string
	var all []*Waiter
	for i, want := range []*Server{nil, nil, one, nil} {
		w := waiter(&grants, fmt.Sprint(i), true)
		if all = append(all, w); want == nil {
			b.Enqueue(w)
		} else {
			b.EnqueueFor(w, want)
		}
	}
	b.Dequeue(all[1]) // nobody has been served
	two.Release()
	one.SetMaint(true, CauseCLI)
	two.Release()
	two.Release()
	if got := fmt.Sprint(grants); got != "[0 s2 2 s2 3 s2]" {
		t.Fatalf("grants %s", got)
	}
	for i, want := range []Passed{{0, 1}, {0, 1}, {1, 1}, {0, 3}} {
		if all[i].Passed != want || all[i].Wanted() != nil {
			t.Errorf("%d: %+v, want %+v", i, all[i].Passed, want)
		}
	}
}

// Without Requeue who wants a server that goes down waits for it, and gets what comes free there; so does who wants one that drains.
func TestWaitersOfAServerThatIsNotChosenFrom(t *testing.T) {
	b := newBench(t, BackendOptions{})
	one, two := b.server(limited(1)), b.server(limited(1))
	one.Acquire()
	two.Acquire()
	var grants []string
	for _, name := range []string{"a", "b", "c"} {
		b.EnqueueFor(waiter(&grants, name, true), one)
	}
	b.Enqueue(waiter(&grants, "any", true))
	one.SetDrain(true)
	one.Release()
	one.SetMaint(true, CauseCLI)
	one.Release()
	if got := fmt.Sprint(grants); got != "[a s1 b s1]" || one.Queue.Load() != 1 || b.Queue.Load() != 1 {
		t.Errorf("grants %s, %d and %d wait", got, one.Queue.Load(), b.Queue.Load())
	}
	two.Release()
	one.Release()
	if got := fmt.Sprint(grants); got != "[a s1 b s1 any s2 c s1]" {
		t.Errorf("grants %s", got)
	}
}
