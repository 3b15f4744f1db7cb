package loop

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestTimersFireInOrder compares the heap with a sorted list over random arms, moves and drops.
func TestTimersFireInOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	l := &Loop{now: 1}
	var fired []time.Duration
	list := make([]*Timer, 200)
	due := map[int]time.Duration{}
	for i := range list {
		list[i] = &Timer{Owner: Func(func() {
			fired = append(fired, due[i])
			delete(due, i)
		})}
	}
	for range 20000 {
		i := rng.IntN(len(list))
		switch rng.IntN(6) {
		case 0:
			l.Disarm(list[i])
			delete(due, i)
		case 1:
			l.Drop(list[i])
			delete(due, i)
		case 2:
			l.now += time.Duration(rng.IntN(50))
			fired = fired[:0]
			l.timers.fire(l.now)
			checkFired(t, fired, due, l.now)
		default:
			d := time.Duration(1 + rng.IntN(500))
			l.Arm(list[i], d)
			due[i] = l.now + d
		}
		if list[i].Armed() != (due[i] != 0) {
			t.Fatalf("timer %d: armed %v, due %v", i, list[i].Armed(), due[i])
		}
	}
	for _, timer := range list {
		l.Drop(timer)
	}
	if n := len(l.timers.heap); n != 0 {
		t.Errorf("%d timers are left", n)
	}
}

func checkFired(t *testing.T, fired []time.Duration, due map[int]time.Duration, now time.Duration) {
	t.Helper()
	if !slices.IsSorted(fired) {
		t.Fatalf("out of order: %v", fired)
	}
	for _, at := range fired {
		if at > now {
			t.Fatalf("fired at %v, due at %v", now, at)
		}
	}
	for i, at := range due {
		if at <= now {
			t.Fatalf("timer %d was due at %v and has not fired at %v", i, at, now)
		}
	}
}

// TestMovedTimerStaysInPlace: pushing a deadline back must not touch the heap.
func TestMovedTimerStaysInPlace(t *testing.T) {
	l := &Loop{now: 1}
	fired := 0
	timer := &Timer{Owner: Func(func() { fired++ })}
	l.Arm(timer, 10)
	l.Arm(timer, 100)
	if timer.at != 11 {
		t.Errorf("key is %v", timer.at)
	}
	l.timers.fire(50)
	if fired != 0 || !timer.Armed() {
		t.Fatal("fired before its deadline")
	}
	l.timers.fire(101)
	if fired != 1 || timer.Armed() {
		t.Errorf("fired %d times", fired)
	}
}

func TestTimeoutRoundsUp(t *testing.T) {
	l := &Loop{}
	if got := l.timers.timeout(0); got != -1 {
		t.Errorf("without timers %d", got)
	}
	l.Arm(&Timer{}, 1500*time.Microsecond)
	for now, want := range map[time.Duration]int{0: 2, time.Millisecond: 1, 2 * time.Millisecond: 0} {
		if got := l.timers.timeout(now); got != want {
			t.Errorf("at %v: %d, want %d", now, got, want)
		}
	}
}

// TestTimerMayArmItself while it fires.
func TestTimerMayArmItself(t *testing.T) {
	l := &Loop{now: 1}
	n := 0
	timer := &Timer{}
	timer.Owner = Func(func() { n++; l.Arm(timer, 10) })
	l.Arm(timer, 10)
	for range 100 {
		l.now++
		l.timers.fire(l.now)
	}
	if n != 10 {
		t.Errorf("fired %d times in 100, every 10", n)
	}
}
