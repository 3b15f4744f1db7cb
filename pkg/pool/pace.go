package pool

import (
	"sync"
	"sync/atomic"
	"time"
)

// Pace bounds how many come in a second. What came in the second before counts by as much of it as lies less than a second back,
// as in HAProxy, so that no second gets much more than the limit wherever it begins. Its methods may be called from any goroutine.
type Pace struct {
	limit atomic.Int64 // 0 = none

	mu        sync.Mutex
	second    int64 // which one came is of, in Unix seconds
	came, was int64 // in it, and in the one before
}

// Limit returns how many may come in a second, 0 for any number.
func (p *Pace) Limit() int { return int(p.limit.Load()) }

// SetLimit changes that.
func (p *Pace) SetLimit(n int) { p.limit.Store(int64(n)) }

// Bounded says whether there is a limit, without which nothing is counted.
func (p *Pace) Bounded() bool { return p.limit.Load() > 0 }

// Reserve counts one that comes now, unless it is one too many.
func (p *Pace) Reserve(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.allows(now) {
		return false
	}
	p.came++
	return true
}

// Cancel says that one that was counted has not come.
func (p *Pace) Cancel() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.came = max(0, p.came-1)
}

// Allows says whether Reserve has a chance.
func (p *Pace) Allows(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.allows(now)
}

// allows says whether another one may come; mu is held.
func (p *Pace) allows(now time.Time) bool {
	if s := now.Unix(); s != p.second {
		p.was = 0
		if s == p.second+1 {
			p.was = p.came
		}
		p.second, p.came = s, 0
	}
	left := int64(time.Second) - int64(now.Nanosecond())
	limit := p.limit.Load()
	return limit == 0 || p.came+p.was*left/int64(time.Second) < limit
}
