package agent

import "context"

// takePins has the kernel path serve if the process that had its pins has let go of them. It runs where reloads do.
func (a *Agent) takePins(ctx context.Context) {
	k := a.kernel
	opts := a.datapathOptions()
	opts.PinPatience = -1
	err := k.open(ctx, k.plan(), a.opts.Datapath, opts)
	if k.held {
		return
	}
	k.retry.Stop()
	k.retry = nil
	if err != nil {
		a.log.Error("the kernel path cannot be taken over; connections go on to take the userspace path", "err", err)
		k.fallback(err.Error(), err.Error())
	}
	if k.path() == nil {
		return
	}
	still, cancel := context.WithTimeout(ctx, standstill)
	defer cancel()
	verdicts := a.now().verdicts
	if err := a.engine.StandStill(still, func() { k.begin(verdicts) }); err != nil {
		a.log.Warn("limits hold on each path by itself", "err", err)
		k.sync()
		k.show(verdicts)
	}
	a.log.Info("the waggle before this one has let go of its pins; the kernel path is in use")
}
