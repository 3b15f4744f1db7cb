package agent

import (
	"context"
	"time"
)

// pinsAgain is how often it is looked whether another process has let go of the pins.
const pinsAgain = time.Second

// waitForPins has userspace serve until another process lets go of the pins.
func (k *kernel) waitForPins(err error) {
	k.held = true
	if k.retry != nil {
		return
	}
	k.retry = time.NewTicker(pinsAgain)
	k.log.Warn("all connections take the userspace path until another waggle lets go of the pins", "err", err)
	k.fallback(err.Error(), err.Error())
}

// again tells when to look whether the pins are free; nil: they are not waited for.
func (k *kernel) again() <-chan time.Time {
	if k.retry == nil {
		return nil
	}
	return k.retry.C
}

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
		k.noteShared(err)
		k.sync()
		k.collect()
		k.show(verdicts)
	}
	a.log.Info("the waggle before this one has let go of its pins; the kernel path is in use")
}
