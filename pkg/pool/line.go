package pool

import "container/heap"

// line is those who wait for the same, as a heap in the order in which they are served: a priority may put one before all others
// without a look at each. The backend's waiting.mu guards it.
type line struct {
	heap   waiterHeap
	served uint64 // all that were given a place
}

func (l *line) push(w *Waiter) { heap.Push(&l.heap, w) }

func (l *line) remove(w *Waiter) { heap.Remove(&l.heap, w.at) }

// first is who is served next, nil for nobody.
func (l *line) first() *Waiter {
	if len(l.heap) == 0 {
		return nil
	}
	return l.heap[0]
}

// before says whether w is served before o.
func (w *Waiter) before(o *Waiter) bool {
	switch {
	case w.Priority.Class != o.Priority.Class:
		return w.Priority.Class < o.Priority.Class
	case w.due != o.due:
		return w.due < o.due
	}
	return w.seq < o.seq
}

// waiterHeap implements [heap.Interface].
type waiterHeap []*Waiter

func (h waiterHeap) Len() int           { return len(h) }
func (h waiterHeap) Less(i, j int) bool { return h[i].before(h[j]) }

func (h waiterHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *waiterHeap) Push(x any) {
	w := x.(*Waiter)
	w.at = len(*h)
	*h = append(*h, w)
}

func (h *waiterHeap) Pop() any {
	n := len(*h) - 1
	w := (*h)[n]
	(*h)[n] = nil
	*h = (*h)[:n]
	return w
}
