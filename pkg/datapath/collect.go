package datapath

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
)

const (
	collectEvery = time.Second
	// collectShare bounds the collector's part of one CPU: after a pass it rests this many times as long as the pass took.
	collectShare = 20
	// orphanPasses is how many passes there are to one that also looks for reverse entries without a forward one.
	// None should ever be found.
	orphanPasses = 60
	orphanAge    = 30 * time.Second
)

// skbContext is the start of struct __sk_buff, as far as BPF_PROG_RUN takes it.
type skbContext struct {
	_              [9]uint32
	IngressIfindex uint32
	Ifindex        uint32
	_              uint32
	Cb             [5]uint32
}

// collector forgets flows whose time is over.
type collector struct {
	obj   *object
	ports uint32 // size of the range of source ports
	// timeouts of a service, also of one that is gone but has flows.
	timeouts func(service uint32) Timeouts
	passes   int
	// pending is the number of entries of obj.doomed that are filled.
	pending uint32
	deleted int
}

// run makes passes until ctx ends; after is called behind each.
func (c *collector) run(ctx context.Context, failed func(error), after func()) {
	timer := time.NewTimer(collectEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		start := time.Now()
		if _, err := c.pass(monotonicNow()); err != nil {
			failed(err)
		}
		after()
		timer.Reset(max(collectEvery, collectShare*time.Since(start)))
	}
}

// pass looks at every flow once and returns how many it deleted. now is monotonicNow's clock.
func (c *collector) pass(now uint64) (deleted int, err error) {
	c.passes++
	c.deleted = 0
	orphans := c.passes%orphanPasses == 0
	var flushErr error
	err = eachEntry(c.obj.WgFlows, func(key lbWgKey, f lbWgFlow) bool {
		doomed, ok := c.judge(key, f, now, orphans)
		if !ok {
			return true
		}
		c.obj.doomed[c.pending] = doomed
		c.pending++
		if int(c.pending) == len(c.obj.doomed) {
			flushErr = c.flush()
		}
		return flushErr == nil
	})
	if err == nil {
		err = flushErr
	}
	if err == nil {
		err = c.flush()
	}
	c.pending = 0
	return c.deleted, err
}

// judge says whether the entry is to be deleted, with its twin, given that nothing happens to it meanwhile.
func (c *collector) judge(key lbWgKey, f lbWgFlow, now uint64, orphans bool) (lbWgDoomed, bool) {
	doomed := lbWgDoomed{Key: key, State: f.State, Generation: f.Generation, Seen: f.Seen}
	if f.Dir == dirReverse {
		if !orphans || idle(now, f.Created) < orphanAge {
			return doomed, false
		}
		_, paired := twin(c.obj.WgFlows, f)
		doomed.Orphan = 1
		return doomed, !paired
	}
	t := c.timeouts(f.Service)
	if idle(now, f.Seen) < shortestLife(f, t) {
		return doomed, false
	}
	rev, ok := twin(c.obj.WgFlows, f)
	if !ok {
		rev = lbWgFlow{Seen: f.Seen}
	}
	doomed.TwinSeen = rev.Seen
	return doomed, idle(now, max(f.Seen, rev.Seen)) >= lifetime(f, rev, t, c.busy(f))
}

// busy is the share of the source ports towards the flow's server that is taken.
func (c *collector) busy(f lbWgFlow) float64 {
	return float64(atomic.LoadUint64(&c.obj.gauges[f.ServerGauge].Entries)) / float64(c.ports)
}

func idle(now, since uint64) time.Duration {
	if since >= now {
		return 0
	}
	return time.Duration(now - since)
}

// flush has the kernel delete what is pending.
func (c *collector) flush() error {
	if c.pending == 0 {
		return nil
	}
	deleted, err := c.obj.WgCollect.Run(&ebpf.RunOptions{
		Data:    make([]byte, 64), // the kernel wants a frame; the program does not look at it
		Context: skbContext{Cb: [5]uint32{c.pending}},
	})
	c.pending = 0
	if err != nil {
		return fmt.Errorf("delete flows: %w", err)
	}
	c.deleted += int(deleted)
	return nil
}
