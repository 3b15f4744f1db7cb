package wire

import (
	"container/heap"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// mostWaiting bounds the frames under way in one direction; what comes beyond them is lost, as in any queue.
	mostWaiting = 4096
	// longestFrame is more than any MTU of a lab, with headers.
	longestFrame = 2048
)

// Counts are what has happened to frames.
type Counts struct {
	Carried, Lost, Doubled uint64
	// Overrun frames found the queue full.
	Overrun uint64
}

// frame is one under way.
type frame struct {
	due  time.Time
	turn uint64 // of those that are due at once the first one goes first
	data []byte
}

// queue is a heap of frames by the time that they are due.
type queue []frame

func (q queue) Len() int      { return len(q) }
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(frame)) }
func (q queue) Less(i, j int) bool {
	if q[i].due.Equal(q[j].due) {
		return q[i].turn < q[j].turn
	}
	return q[i].due.Before(q[j].due)
}
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	(*q)[len(*q)-1] = frame{}
	*q = (*q)[:len(*q)-1]
	return last
}

// line is one direction of a wire.
type line struct {
	from   io.Reader
	to     io.Writer
	faults *atomic.Pointer[Faults]
	dice   dice // of the goroutine that reads

	mu      sync.Mutex
	waiting queue
	turn    uint64
	counts  Counts
	// sooner tells the goroutine that writes of a frame that is due before the one it waits for.
	sooner chan struct{}
	ended  chan struct{}
}

func newLine(from io.Reader, to io.Writer, faults *atomic.Pointer[Faults], d dice) *line {
	return &line{from: from, to: to, faults: faults, dice: d, sooner: make(chan struct{}, 1), ended: make(chan struct{})}
}

// read takes frames in until the device is closed.
func (l *line) read() {
	defer close(l.ended)
	buf := make([]byte, longestFrame)
	for {
		n, err := l.from.Read(buf)
		if errors.Is(err, os.ErrClosed) || errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			l.take(buf[:n])
		}
	}
}

// take decides about a frame, which is the caller's.
func (l *line) take(data []byte) {
	copies, after := l.dice.throw(*l.faults.Load())
	l.mu.Lock()
	defer l.mu.Unlock()
	switch copies {
	case 0:
		l.counts.Lost++
		return
	case 2:
		l.counts.Doubled++
	}
	if copies == 1 && after[0] == 0 && len(l.waiting) == 0 {
		l.counts.Carried++
		_, _ = l.to.Write(data) // a device that is down takes nothing, as a cable's other end
		return
	}
	now := time.Now()
	for i := range copies {
		if len(l.waiting) >= mostWaiting {
			l.counts.Overrun++
			continue
		}
		l.turn++
		heap.Push(&l.waiting, frame{due: now.Add(after[i]), turn: l.turn, data: append([]byte(nil), data...)})
	}
	select {
	case l.sooner <- struct{}{}:
	default:
	}
}

// write lets frames out when they are due, until read ends.
func (l *line) write() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-l.ended:
			return
		case <-l.sooner:
		case <-timer.C:
		}
		if next := l.release(time.Now()); next >= 0 {
			timer.Reset(next)
		}
	}
}

// release lets out what is due, and returns how long the next frame has to wait; less than 0 if there is none.
func (l *line) release(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) > 0 {
		if rest := l.waiting[0].due.Sub(now); rest > 0 {
			return rest
		}
		l.counts.Carried++
		_, _ = l.to.Write(heap.Pop(&l.waiting).(frame).data)
	}
	return -1
}

func (l *line) counted() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}
