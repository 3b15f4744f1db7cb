package agent

import (
	"slices"
	"time"

	"waggle/pkg/datapath"
	"waggle/pkg/pool"
)

// endRemoved bounds how long the sessions of frontends go on that g has no more: for as long as the `hard-stop-after` of
// their own configuration says, as the process would have that HAProxy leaves behind at a reload. Without one they have
// all the time.
func (a *Agent) endRemoved(old, g *generation) {
	removed := removedFrontends(old.pool, g.pool)
	after := old.cfg.Global.HardStopAfter
	if after <= 0 || len(removed) == 0 {
		return
	}
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.closed:
		return
	}
	var busy []string
	for _, f := range removed {
		if f.Sessions.Load() > 0 {
			busy = append(busy, f.Name)
		}
	}
	if len(busy) == 0 {
		return
	}
	a.log.Warn("hard-stop-after has passed since a reload removed frontends; their remaining sessions are cut", "frontends", busy)
	of := func(f *pool.Frontend) bool { return slices.ContainsFunc(removed, f.Same) }
	a.engine.ShutdownFrontends(of)
	if err := a.kernel.endLeaving(of); err != nil {
		a.log.Warn("sessions of frontends that a reload removed could not be ended", "err", err)
	}
}

// removedFrontends are those that a pool has no more: of their name there is none, or another one.
func removedFrontends(old, now *pool.Pool) []*pool.Frontend {
	var removed []*pool.Frontend
	for _, f := range old.Frontends {
		if is := now.Frontend(f.Name); is == nil || !is.Same(f) {
			removed = append(removed, f)
		}
	}
	return removed
}

// endLeaving ends the flows of frontends that of picks and that the kernel path serves no more.
func (k *kernel) endLeaving(of func(*pool.Frontend) bool) error {
	dp := k.path()
	if dp == nil {
		return nil
	}
	doomed := map[uint32]bool{}
	k.mu.Lock()
	for _, d := range k.leaving {
		if of(d.service.frontend) {
			doomed[d.service.id] = true
		}
	}
	k.mu.Unlock()
	_, err := dp.Shutdown(datapath.EndKilled, func(f datapath.Flow) bool { return doomed[f.Service] })
	return err
}
