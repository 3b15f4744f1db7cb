package datapath

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

// timeoutsOf returns the timeouts of a service, the last known ones if it is gone.
func (dp *Datapath) timeoutsOf(service uint32) Timeouts {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	return dp.timeouts[service]
}

// eachTimeouts calls yield for those of every service that has flows, or may get some. yield must not call dp.
func (dp *Datapath) eachTimeouts(yield func(Timeouts)) {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	for _, t := range dp.timeouts {
		yield(t)
	}
}

// retire notes which services and servers have left the desired state. The caller holds mu.
func (dp *Datapath) retire() {
	live := make(map[gaugeKey]bool)
	for _, s := range dp.desired.Services {
		live[gaugeKey{id: s.ID}] = true
		for _, v := range s.Servers {
			live[gaugeKey{server: true, id: v.ID}] = true
		}
	}
	for key := range dp.planner.gauges.used {
		switch _, gone := dp.retired[key]; {
		case live[key], dp.shared[key]:
			delete(dp.retired, key)
		case !gone:
			dp.retired[key] = time.Now()
		}
	}
}

// sweep forgets services and servers that are gone and have no flow left, so that their indices can be used again.
func (dp *Datapath) sweep() {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	if dp.closed {
		return
	}
	var errs []error
	for key, since := range dp.retired {
		index := dp.planner.gauges.used[key]
		var have Counts
		if have.current(dp.obj, index); time.Since(since) < grace || have.Entries > 0 {
			continue
		}
		if err := dp.forget(key); err != nil {
			errs = append(errs, err)
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) }) // what is the same is no news
	dp.report(&dp.forgetting, "kernel path: forgetting a server failed", errors.Join(errs...))
}

// forget gives back the indices of a service or server without flows; what it counted stays in the sums of others.
func (dp *Datapath) forget(key gaugeKey) error {
	for p, index := range dp.planner.counters.used {
		if key.server && p.server != key.id || !key.server && p.service != key.id {
			continue
		}
		c := dp.obj.counter(index)
		dp.obj.clearCounter(index)
		dp.past.add(p, c)
		// Who is killed between these loses what was counted here; nothing is ever counted twice.
		if err := errors.Join(dp.planner.counters.put(p), dp.book.carry(&dp.past, p)); err != nil {
			return err
		}
	}
	backend, index := dp.book.backendOf(key), dp.planner.gauges.used[key]
	dp.obj.load(index).clear()
	dp.obj.gauges[index] = lbWgGauge{}
	dp.planner.targets.forget(index)
	if err := errors.Join(dp.book.forget(key), dp.planner.gauges.put(key)); err != nil {
		return err
	}
	delete(dp.retired, key)
	if !key.server {
		delete(dp.past.services, key.id)
		delete(dp.timeouts, key.id)
		return nil
	}
	sum := dp.past.servers[key.id]
	delete(dp.past.servers, key.id)
	return dp.book.bequeath(backend, sum)
}
