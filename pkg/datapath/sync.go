package datapath

import (
	"cmp"
	"errors"
	"fmt"
	"sync/atomic"
)

// follow plans the desired state and makes the maps hold it.
func (t *tables) follow(p *planner, d Desired, v view) (plan, error) {
	planned, planErr := p.plan(d, v)
	err := errors.Join(planErr, t.apply(planned))
	if errors.Is(planErr, errEntriesInUse) { // by schedules that are none any more, since their services are left out
		planned, planErr = p.plan(d, v)
		err = errors.Join(planErr, t.apply(planned))
	}
	return planned, err
}

// apply makes the maps hold the plan. What is referred to is written before what refers to it and deleted after it, so a SYN
// never meets an id without its entry, whenever it comes. What cannot be written is left out, and the rest is done all the same: of
// a server what its schedule leads to, and its first source address; of a service all, so that its SYNs fall through. The next call tries
// again.
func (t *tables) apply(p plan) error {
	var errs []error
	oldServers, err := readMap[uint32, lbWgServer](t.obj.WgServers)
	errs = append(errs, err)
	oldServices, err := readMap[lbWgServiceKey, lbWgService](t.obj.WgServices)
	errs = append(errs, err)

	for _, port := range p.ports {
		t.obj.ports.add(port, port)
	}
	for index, limit := range p.limits {
		atomic.StoreUint64(&t.obj.gauges[index].Limit, limit)
		t.obj.load(index).limit(limit > 0)
	}
	errs = append(errs,
		t.applyWays(p),
		putChanged(t.obj.WgServers, oldServers, p.servers),
		t.putSchedules(p.schedules),
		putChanged(t.obj.WgServices, oldServices, p.services),
		deleteAbsent(t.obj.WgServices, oldServices, p.services),
		t.dropSchedules(p.schedules),
		deleteAbsent(t.obj.WgServers, oldServers, p.servers),
	)
	t.targets.release(t.schedules)
	return errors.Join(errs...)
}

// tables writes the maps that hold the desired state.
type tables struct {
	obj     *object
	targets *targets // the planner's
	// schedules is what wg_sched holds: an inner map is never changed, only replaced.
	schedules map[uint32]*schedule
	routes    mirror[lbWgRouteKey, lbWgRoute]
	neighs    mirror[lbWgNeighKey, uint32]
}

func newTables(obj *object, t *targets) tables {
	return tables{
		obj: obj, targets: t, schedules: make(map[uint32]*schedule),
		routes: mirror[lbWgRouteKey, lbWgRoute]{m: obj.WgRoutes}, neighs: mirror[lbWgNeighKey, uint32]{m: obj.WgNeighs},
	}
}

// applyWays writes the routes and the on-link neighbours. Identities of ways are not used twice, so what is old here when it fails, or
// before it is done, leads packets through the kernel's own routing. That holds as long as no address meets a wider prefix than
// the one that is its own, which a flow would remember: the narrower ones come first.
func (t *tables) applyWays(p plan) error {
	err := t.routes.become(p.routes, func(a, b lbWgRouteKey) int { return cmp.Compare(b.Bits, a.Bits) })
	if err != nil {
		return err
	}
	small := uint32(0)
	for _, r := range p.routes {
		small |= r.Mtu
	}
	atomic.StoreUint32(&t.obj.settings.Small, small)
	return t.neighs.become(p.neighs, nil)
}

func (t *tables) putSchedules(want map[uint32]*schedule) error {
	var errs []error
	for id, s := range want {
		if s.equal(t.schedules[id]) {
			continue
		}
		if err := t.putSchedule(id, s); err != nil {
			errs = append(errs, fmt.Errorf("schedule of service %d: %w", id, err), t.dropSchedule(id))
			continue // the one before may name servers that are gone; without any, SYNs fall through
		}
		t.schedules[id] = s
	}
	return errors.Join(errs...)
}

func (t *tables) dropSchedules(want map[uint32]*schedule) error {
	var errs []error
	for id := range t.schedules {
		if _, ok := want[id]; !ok {
			errs = append(errs, t.dropSchedule(id))
		}
	}
	return errors.Join(errs...)
}

func (t *tables) dropSchedule(id uint32) error {
	if err := ignoreMissing(t.obj.WgSched.Delete(id)); err != nil {
		t.schedules[id] = nil // whatever it was
		return fmt.Errorf("delete the schedule of service %d: %w", id, err)
	}
	delete(t.schedules, id)
	return nil
}
