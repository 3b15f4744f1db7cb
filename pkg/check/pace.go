package check

import (
	"time"

	"waggle/pkg/pool"
)

// spread gives the first checks their times: spread in order over the smallest interval of at least a
// second, or over the server's own if that is longer (HAProxy, check.c, start_checks).
func (c *Checker) spread(now time.Time) {
	smallest := time.Duration(0)
	for _, t := range c.tasks {
		if i := t.pause(); i >= time.Second && (smallest == 0 || i < smallest) {
			smallest = i
		}
	}
	for i, t := range c.tasks {
		if was := c.inherited[inherited{t.Server.Key, t.agent}]; was != nil {
			t.freshUntil = was.freshUntil
			next := was.next(now)
			if latest := now.Add(t.pause()); next.After(latest) { // it is to be checked more often than before
				next = latest
			}
			c.schedule(t, next)
			continue
		}
		over := max(smallest, t.pause())
		if c.opts.MaxSpread > 0 {
			over = min(over, c.opts.MaxSpread)
		}
		delay := over * time.Duration(i) / time.Duration(len(c.tasks))
		c.schedule(t, now.Add(delay))
	}
	c.inherited = nil
}

// interval is the time from the end of a check to the next one (HAProxy, server.c, srv_getinter).
func (c *Checker) interval(t *task, now time.Time) time.Duration {
	share := float64(c.opts.SpreadChecks) / 100 * (1 - 2*c.opts.Rand())
	if t.agent {
		return jittered(t.agentInter(), share)
	}
	v := t.Server.View()
	top := t.Server.Rise + t.Server.Fall - 1
	d := t.inter()
	switch {
	case v.Health >= top:
	case v.Op == pool.Stopped && v.Health == 0:
		d = orDefault(t.Options.DownInter, d)
	default:
		d = orDefault(t.Options.FastInter, d)
	}
	if v.Health < top && now.Before(t.freshUntil) && !c.opts.HAProxyPace {
		d = min(d, freshPace)
	}
	return jittered(d, share)
}

// jittered varies an interval by a share of it.
func jittered(d time.Duration, share float64) time.Duration {
	return d + time.Duration(float64(d)*share)
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return fallback
}
