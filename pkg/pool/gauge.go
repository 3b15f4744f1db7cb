package pool

import "sync/atomic"

// Gauge is a current value, of which userspace and the kernel path each hold a part, and the highest
// total seen. All methods may be called from any goroutine.
//
// Where a limit bounds it, each unit is a place. Places are counted once over both paths if [Gauge.Share]
// says where; what the kernel path holds of them is more than it reports by SetKernel, since a
// connection in its handshake has a place and is no session yet.
type Gauge struct {
	user   atomic.Int64 // places in the lower half, and in the upper one how many of them are only reserved
	shared atomic.Pointer[atomic.Int64]

	kernel, max atomic.Int64
}

// reserved is one place in user that may turn out not to be needed.
const reserved = 1<<32 + 1

// places is the lower half of user, and of what is shared, where the upper half is the kernel path's own.
func places(word int64) int64 { return int64(int32(word)) }

// needed is how many places of user are not only reserved.
func needed(user int64) int64 {
	all := places(user)
	return all - (user-all)>>32
}

// Share has places counted in the lower half of taken, which the kernel path counts in as well. It must be called before
// traffic starts, and taken must stay valid for as long as the gauge is used.
func (g *Gauge) Share(taken *atomic.Int64) {
	taken.Add(places(g.user.Load()))
	g.shared.Store(taken)
}

// Unshare has places counted in userspace's own count alone again; what has been counted elsewhere is taken back there.
// The memory must stay valid for a moment longer, for those who have just looked where to count.
func (g *Gauge) Unshare() {
	if taken := g.shared.Swap(nil); taken != nil {
		taken.Add(-places(g.user.Load()))
	}
}

// Shared says whether places are counted elsewhere, too.
func (g *Gauge) Shared() bool { return g.shared.Load() != nil }

// Add changes the userspace part by n, whatever the limit, and returns the new total of both parts.
func (g *Gauge) Add(n int64) int64 {
	if taken := g.shared.Load(); taken != nil {
		taken.Add(n)
	}
	total := needed(g.user.Add(n)) + g.kernel.Load()
	if n > 0 {
		g.raise(total)
	}
	return total
}

// Enter takes a place for userspace unless limit places are taken; 0 is no limit. It never overshoots, not
// even for a moment: another goroutine could take that for a full server and wait for nothing.
func (g *Gauge) Enter(limit int64) bool {
	if !g.take(limit, 1) {
		return false
	}
	g.raise(g.Load())
	return true
}

// Reserve is Enter for a place that may turn out not to be needed. It is in no total until [Gauge.Confirm]; [Gauge.Cancel] gives it back.
func (g *Gauge) Reserve(limit int64) bool { return g.take(limit, reserved) }

// Confirm says that a place that was reserved is needed.
func (g *Gauge) Confirm() { g.raise(needed(g.user.Add(1-reserved)) + g.kernel.Load()) }

// Cancel says that a place that was reserved is not needed.
func (g *Gauge) Cancel() {
	if taken := g.shared.Load(); taken != nil {
		taken.Add(-1)
	}
	g.user.Add(-reserved)
}

// take adds n to user, one place, unless limit places are taken.
func (g *Gauge) take(limit, n int64) bool {
	if limit <= 0 {
		if taken := g.shared.Load(); taken != nil {
			taken.Add(1)
		}
		g.user.Add(n)
		return true
	}
	shared := g.shared.Load()
	if shared == nil {
		return g.takeOwn(limit, n)
	}
	for {
		taken := shared.Load()
		if places(taken) >= limit {
			return false
		}
		if shared.CompareAndSwap(taken, taken+1) {
			g.user.Add(n)
			return true
		}
	}
}

// takeOwn is take where the kernel path counts for itself.
func (g *Gauge) takeOwn(limit, n int64) bool {
	for {
		user := g.user.Load()
		if places(user)+g.kernel.Load() >= limit {
			return false
		}
		if g.user.CompareAndSwap(user, user+n) {
			return true
		}
	}
}

// Taken returns how many places both paths hold, connections in their handshake included.
func (g *Gauge) Taken() int64 {
	if taken := g.shared.Load(); taken != nil {
		return places(taken.Load())
	}
	return places(g.user.Load()) + g.kernel.Load()
}

// SetKernel replaces the kernel path's part.
func (g *Gauge) SetKernel(n int64) {
	g.kernel.Store(n)
	g.raise(g.User() + n)
}

func (g *Gauge) raise(total int64) {
	for {
		old := g.max.Load()
		if total <= old || g.max.CompareAndSwap(old, total) {
			return
		}
	}
}

// Load returns the total of both parts.
func (g *Gauge) Load() int64 { return g.User() + g.kernel.Load() }

// User returns the userspace part.
func (g *Gauge) User() int64 { return needed(g.user.Load()) }

// Kernel returns the kernel path's part.
func (g *Gauge) Kernel() int64 { return g.kernel.Load() }

// Max returns the highest total seen.
func (g *Gauge) Max() int64 { return g.max.Load() }
