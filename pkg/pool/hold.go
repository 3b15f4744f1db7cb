package pool

import (
	"slices"
	"sync"
	"sync/atomic"
)

// holds are the listeners of the process whose accept queue waits for a place, and the flags by which the kernel path knows.
type holds struct {
	mu    sync.Mutex
	n     atomic.Int64 // those that wait for a place of the process; written under mu
	flags []*atomic.Int64
}

// Hold changes by n the number of listeners whose accept queue waits for a place of the process. While it is not 0 the kernel
// path takes no connection, of whichever frontend: those in the queue came first.
func (p *poolLife) Hold(n int64) {
	h := &p.holds
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n.Add(n)
	for _, f := range h.flags {
		f.Add(n)
	}
}

// Held returns the number of listeners whose accept queue waits for a place of the process.
func (p *poolLife) Held() int64 { return p.holds.n.Load() }

// Hold changes by n the number of listeners whose accept queue waits for a place of the frontend, or of the address. While it is
// not 0 the kernel path takes no connection of the frontend.
func (f *Frontend) Hold(n int64) {
	h := &f.pool.holds
	h.mu.Lock()
	defer h.mu.Unlock()
	f.held.Add(n)
	if f.flag != nil {
		f.flag.Add(n)
	}
}

// Held returns the number of listeners whose accept queue waits for a place of the frontend.
func (f *Frontend) Held() int64 { return f.held.Load() }

// ShareHold has both kinds of Hold count in flag, too; nil ends that. Flag must stay valid for as long as the frontend uses it.
func (f *Frontend) ShareHold(flag *atomic.Int64) {
	h := &f.pool.holds
	h.mu.Lock()
	defer h.mu.Unlock()
	n := f.held.Load() + h.n.Load()
	if f.flag != nil {
		f.flag.Add(-n)
		h.flags = slices.DeleteFunc(h.flags, func(o *atomic.Int64) bool { return o == f.flag })
	}
	if flag != nil {
		flag.Add(n)
		h.flags = append(h.flags, flag)
	}
	f.flag = flag
}
