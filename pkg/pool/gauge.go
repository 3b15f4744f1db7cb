package pool

import "sync/atomic"

// Gauge is a current value, of which userspace and the kernel path each hold a part, and the highest
// total seen. All methods may be called from any goroutine.
//
// Where a limit bounds it, each unit is a place. Places are counted once over both paths if [Gauge.Share]
// says where; what the kernel path holds of them is more than it reports by SetKernel, since a
// connection in its handshake has a place and is no session yet.
type Gauge struct {
	user, kernel, max atomic.Int64
	shared            atomic.Pointer[atomic.Int64]
}

// places is the lower half of what is shared: the upper half is the kernel path's own.
func places(shared int64) int64 { return int64(int32(shared)) }

// Share has places counted in the lower half of taken, which the kernel path counts in as well. It must be called before
// traffic starts, and taken must stay valid for as long as the gauge is used.
func (g *Gauge) Share(taken *atomic.Int64) {
	taken.Add(g.user.Load())
	g.shared.Store(taken)
}

// Unshare has places counted in userspace's own count alone again; what has been counted elsewhere is taken back there.
// The memory must stay valid for a moment longer, for those who have just looked where to count.
func (g *Gauge) Unshare() {
	if taken := g.shared.Swap(nil); taken != nil {
		taken.Add(-g.user.Load())
	}
}

// Shared says whether places are counted elsewhere, too.
func (g *Gauge) Shared() bool { return g.shared.Load() != nil }

// Add changes the userspace part by n, whatever the limit, and returns the new total of both parts.
func (g *Gauge) Add(n int64) int64 {
	if taken := g.shared.Load(); taken != nil {
		taken.Add(n)
	}
	total := g.user.Add(n) + g.kernel.Load()
	if n > 0 {
		g.raise(total)
	}
	return total
}

// Enter takes a place for userspace unless limit places are taken; 0 is no limit. It never overshoots, not
// even for a moment: another goroutine could take that for a full server and wait for nothing.
func (g *Gauge) Enter(limit int64) bool {
	if !g.Reserve(limit) {
		return false
	}
	g.Peak()
	return true
}

// Peak takes the present total for the highest one if it is.
func (g *Gauge) Peak() { g.raise(g.Load()) }

// Reserve is Enter for a place that may turn out not to be needed: it shows in the highest total only after [Gauge.Peak].
func (g *Gauge) Reserve(limit int64) bool {
	if limit <= 0 {
		if taken := g.shared.Load(); taken != nil {
			taken.Add(1)
		}
		g.user.Add(1)
		return true
	}
	shared := g.shared.Load()
	if shared == nil {
		return g.reserveOwn(limit)
	}
	for {
		taken := shared.Load()
		if places(taken) >= limit {
			return false
		}
		if shared.CompareAndSwap(taken, taken+1) {
			g.user.Add(1)
			return true
		}
	}
}

// reserveOwn is Reserve where the kernel path counts for itself.
func (g *Gauge) reserveOwn(limit int64) bool {
	for {
		taken := g.user.Load()
		if taken+g.kernel.Load() >= limit {
			return false
		}
		if g.user.CompareAndSwap(taken, taken+1) {
			return true
		}
	}
}

// Taken returns how many places both paths hold, connections in their handshake included.
func (g *Gauge) Taken() int64 {
	if taken := g.shared.Load(); taken != nil {
		return places(taken.Load())
	}
	return g.Load()
}

// SetKernel replaces the kernel path's part.
func (g *Gauge) SetKernel(n int64) {
	g.kernel.Store(n)
	g.raise(g.user.Load() + n)
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
func (g *Gauge) Load() int64 { return g.user.Load() + g.kernel.Load() }

// User returns the userspace part.
func (g *Gauge) User() int64 { return g.user.Load() }

// Kernel returns the kernel path's part.
func (g *Gauge) Kernel() int64 { return g.kernel.Load() }

// Max returns the highest total seen.
func (g *Gauge) Max() int64 { return g.max.Load() }
