package wire

import (
	"io"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// arrivals notes what comes out of a line, and when.
type arrivals struct {
	mu    sync.Mutex
	began time.Time
	what  []byte
	when  []time.Duration
}

func (a *arrivals) Write(data []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.what, a.when = append(a.what, data[0]), append(a.when, time.Since(a.began))
	return len(data), nil
}

// carry sends frames 0 to n-1, one each millisecond, through a line with faults, and returns what came out within a minute.
func carry(t *testing.T, n int, seed uint64, f Faults) (a *arrivals, counts Counts) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		in, feed := io.Pipe()
		a = &arrivals{began: time.Now()}
		var faults atomic.Pointer[Faults]
		faults.Store(&f)
		l := newLine(in, a, &faults, newDice(seed, 0))
		var running sync.WaitGroup
		running.Go(l.read)
		running.Go(l.write)
		for i := range n {
			_, _ = feed.Write([]byte{byte(i)})
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Minute)
		_ = feed.Close()
		running.Wait()
		counts = l.counted()
	})
	return a, counts
}

func TestGoodWireChangesNothing(t *testing.T) {
	a, counts := carry(t, 200, 1, Faults{})
	for i, b := range a.what {
		if int(b) != i || a.when[i] != time.Duration(i)*time.Millisecond {
			t.Fatalf("frame %d arrives as number %d after %s", b, i, a.when[i])
		}
	}
	if counts != (Counts{Carried: 200}) {
		t.Errorf("%+v", counts)
	}
}

func TestDelayKeepsTheOrder(t *testing.T) {
	a, _ := carry(t, 200, 1, Faults{Delay: 30 * time.Millisecond})
	if len(a.what) != 200 || !slices.IsSorted(a.what) {
		t.Errorf("%d frames, in order: %v", len(a.what), slices.IsSorted(a.what))
	}
	for i, when := range a.when {
		if want := time.Duration(i)*time.Millisecond + 30*time.Millisecond; when != want {
			t.Fatalf("frame %d after %s, want %s", i, when, want)
		}
	}
}

func TestJitterReorders(t *testing.T) {
	a, counts := carry(t, 200, 1, Faults{Delay: 5 * time.Millisecond, Jitter: 20 * time.Millisecond})
	if len(a.what) != 200 || slices.IsSorted(a.what) || counts.Carried != 200 {
		t.Errorf("%d frames, in order: %v", len(a.what), slices.IsSorted(a.what))
	}
	for i, b := range a.what {
		if late := a.when[i] - time.Duration(b)*time.Millisecond; late < 5*time.Millisecond || late > 25*time.Millisecond {
			t.Fatalf("frame %d was under way for %s", b, late)
		}
	}
}

// What is lost and doubled has the shares asked for, and is the same for the same seed.
func TestLossAndDoublesRepeat(t *testing.T) {
	f := Faults{Loss: 0.1, Duplicate: 0.2}
	first, counts := carry(t, 250, 7, f)
	again, _ := carry(t, 250, 7, f)
	other, _ := carry(t, 250, 8, f)
	if !slices.Equal(first.what, again.what) || slices.Equal(first.what, other.what) {
		t.Error("a seed does not decide what happens")
	}
	if int(counts.Carried) != len(first.what) || counts.Carried+counts.Lost-counts.Doubled != 250 {
		t.Errorf("%+v of 250 frames, %d came", counts, len(first.what))
	}
	var lost, doubled float64
	d := newDice(1, 1)
	const throws = 100_000
	for range throws {
		switch n, _ := d.throw(f); n {
		case 0:
			lost++
		case 2:
			doubled++
		}
	}
	if math.Abs(lost/throws-0.1) > 0.01 || math.Abs(doubled/throws-0.18) > 0.01 { // of the nine tenths that are not lost
		t.Errorf("lost %v, doubled %v", lost/throws, doubled/throws)
	}
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var faults atomic.Pointer[Faults]
		faults.Store(&Faults{Delay: time.Second})
		l := newLine(nil, io.Discard, &faults, newDice(1, 0))
		for range mostWaiting + 10 {
			l.take([]byte{1})
		}
		if len(l.waiting) != mostWaiting || l.counted().Overrun != 10 {
			t.Errorf("%d wait, %+v", len(l.waiting), l.counted())
		}
	})
}
