package agent

import (
	"errors"
	"sync/atomic"
	"time"

	"waggle/pkg/offload"
	"waggle/pkg/pool"
)

// kernelPlan is what the kernel path is to do by one configuration. It does not change; another one takes its place.
type kernelPlan struct {
	pool     *pool.Pool
	services []*service
	// byID has the services, and those of configurations before whose flows live on.
	byID map[uint32]*service
	// others are the frontends that are userspace's.
	others []offload.Verdict
}

// service returns the one with an id, nil if there is none (any more).
func (p *kernelPlan) service(id uint32) *service { return p.byID[id] }

// departed is a server that a reload, or an operator, has taken away. Sessions and flows that it had may live on.
type departed struct {
	server *pool.Server
	since  time.Time
	step   farewell
}

// departedFrontend is the same for a frontend that the kernel path serves no more.
type departedFrontend struct {
	service *service
	since   time.Time
	step    farewell
}

// farewell is how far something is that departs. There is a round of [kernel.reap] between two steps, so that whoever has just
// looked where to count has done so.
type farewell int

const (
	inUse    farewell = iota // sessions or flows go on
	unshared                 // userspace counts its places by itself again
	returned                 // the kernel path may forget what it has counted; until then the id is nobody else's
)

// settleTime is how long something stays as it is after it has departed, for those who have just looked it up.
const settleTime = 5 * time.Second

// makePlan lists what the kernel path would serve. A frontend that was there before keeps its id. The caller holds mu.
func (k *kernel) makePlan(p *pool.Pool, verdicts []offload.Verdict, logs *logs) *kernelPlan {
	next := &kernelPlan{pool: p, byID: make(map[uint32]*service)}
	for _, v := range verdicts {
		f := p.Frontend(v.Proxy.Name)
		if !v.Kernel {
			next.others = append(next.others, v)
			continue
		}
		s := &service{id: k.takeID(f), frontend: f, backend: p.Backend(v.Backend.Name), verdict: v, logs: logs, index: k.servers}
		next.services = append(next.services, s)
		next.byID[s.id] = s
	}
	return next
}

// takeID returns the id of a frontend's service, a new one if it has none. One that was removed and is added again is another one,
// even while flows of the former live on, as it is to the pool.
func (k *kernel) takeID(f *pool.Frontend) uint32 {
	if id := k.before.Service(f.Name); id != 0 && k.begins() {
		k.ids[f.Name] = id
		return id
	}
	used := make(map[uint32]bool)
	for _, id := range k.ids {
		used[id] = true
	}
	if !k.begins() {
		now := k.plan()
		if id, ok := k.ids[f.Name]; ok && f.Continues(now.pool) {
			return id
		}
		for id := range now.byID {
			used[id] = true
		}
	}
	id, _ := k.before.Max() // flows may have any of these
	id++
	for used[id] {
		id++
	}
	k.ids[f.Name] = id
	return id
}

// begins tells whether this is the start, when what was before names things. Later on an id may be another frontend's.
func (k *kernel) begins() bool { return k.current.Load() == nil }

// prepare makes ready what a new configuration asks of the kernel path: the plan, and the program if it was of no use so far.
func (k *kernel) prepare(p *pool.Pool, verdicts []offload.Verdict, logs *logs) *kernelPlan {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.makePlan(p, verdicts, logs)
}

// discard forgets the ids that a plan was given which never came to be.
func (k *kernel) discard(p *kernelPlan) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, s := range p.byID {
		if k.plan().service(id) == nil && k.ids[s.frontend.Name] == id {
			delete(k.ids, s.frontend.Name)
		}
	}
}

// swap has a plan take the place of the one before, while userspace stands still. t is what the plan's pool takes over, and
// commits in here, so that both paths change at once.
func (k *kernel) swap(next *kernelPlan, t *pool.Takeover) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	old := k.plan()
	for id, s := range old.byID {
		if next.byID[id] == nil {
			next.byID[id] = s
			if !k.isLeaving(id) {
				k.leaving = append(k.leaving, &departedFrontend{service: s, since: now})
			}
		}
	}
	k.leaving = remain(k.leaving, func(d *departedFrontend) bool { return next.byID[d.service.id] == d.service })
	for _, s := range t.Removed {
		k.depart(s, now)
	}
	t.Commit()
	err := errors.Join(k.retainBackends(old.pool, next.pool), k.share(next))
	k.current.Store(next)
	if k.path() != nil && !k.begun {
		err = errors.Join(err, k.recall())
	}
	return err
}

// retainBackends has the kernel path forget the backends that are gone: what they have counted is not that of another one.
func (k *kernel) retainBackends(old, next *pool.Pool) error {
	if k.path() == nil {
		return nil
	}
	k.retaining = []string{}
	for _, b := range next.Backends {
		if was := old.Backend(b.Name); was != nil && was.Identity() == b.Identity() {
			k.retaining = append(k.retaining, b.Name)
		}
	}
	return k.retain()
}

// retain does what retainBackends could not do so far.
func (k *kernel) retain() error {
	if k.retaining == nil {
		return nil
	}
	err := k.path().RetainBackends(k.retaining)
	if err == nil {
		k.retaining = nil
	}
	return err
}

// recall makes known, at the start, the servers that a process before this one had and whose flows live on: those included that
// the configuration has no more, or has anew, which depart. What others have counted that are forgotten stays their backend's. Only from
// then on growth is counted: what it is that grows would be known to nobody.
func (k *kernel) recall() error {
	k.begun = true
	dp, p, now := k.path(), k.plan().pool, time.Now()
	errs := []error{k.retainBackends(p, p)}
	if !dp.TakenOver() {
		return errors.Join(errs...)
	}
	for _, b := range p.Backends {
		present := make(map[uint32]*pool.Server)
		for _, s := range b.Servers() {
			present[k.servers.id(s)] = s
		}
		for _, n := range k.before.ServersOf(b.Name) {
			s := present[n.ID]
			if s == nil {
				s = b.Former(n.Name)
				k.servers.name(s.Key, n.ID)
				k.depart(s, now)
			}
			k.servers.add(s)
			errs = append(errs, k.shareServer(s))
		}
		addKernel(b.Counters.Shard(pool.KernelShard), dp.Bequest(b.Name))
	}
	return errors.Join(errs...)
}

func (k *kernel) isLeaving(id uint32) bool {
	for _, d := range k.leaving {
		if d.service.id == id {
			return true
		}
	}
	return false
}

func remain[T any](all []T, keep func(T) bool) []T {
	var kept []T
	for _, one := range all {
		if keep(one) {
			kept = append(kept, one)
		}
	}
	return kept
}

// share has both paths count the places of every limit together, and tells the kernel path of queues at once. It is called
// while no traffic runs in userspace.
func (k *kernel) share(p *kernelPlan) error {
	var errs []error
	if dp := k.path(); dp != nil && !p.pool.Process.Conns.Shared() {
		p.pool.Process.Conns.Share(dp.ProcessPlaces().Taken)
	}
	index := make(map[uint32]*pool.Server)
	queues := make(map[*pool.Backend][]*atomic.Int64)
	for _, s := range p.services {
		flag, err := k.shareService(s)
		if err != nil {
			errs = append(errs, err)
		} else if flag != nil {
			queues[s.backend] = append(queues[s.backend], flag)
		}
		for _, server := range s.backend.Servers() {
			index[k.servers.id(server)] = server
		}
	}
	for _, b := range p.pool.Backends {
		b.ShareQueues(queues[b])
		for _, server := range b.Servers() {
			if id := k.servers.id(server); k.servers.get(id) != nil { // flows of before may live on
				index[id] = server
			}
		}
	}
	for _, server := range index {
		errs = append(errs, k.shareServer(server))
	}
	for id, server := range k.servers.all() {
		if index[id] == nil { // it has departed
			index[id] = server
		}
	}
	k.servers.byID.Store(&index)
	return errors.Join(errs...)
}

// reap forgets what has departed and has nothing left: the last session, the last kept connection, the last flow.
func (k *kernel) reap(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gone = remain(k.gone, func(d *departed) bool { return !k.reapServer(d, now) })
	before := len(k.leaving)
	k.leaving = remain(k.leaving, func(d *departedFrontend) bool { return !k.reapFrontend(d, now) })
	if len(k.leaving) < before {
		k.forgetServices()
	}
}

// reapServer takes a server out step by step.
func (k *kernel) reapServer(d *departed, now time.Time) (done bool) {
	s, dp, id := d.server, k.path(), k.servers.id(d.server)
	known := dp != nil && k.servers.get(id) != nil
	_, counted := k.last.Servers[id]
	switch {
	case d.step == inUse:
		if now.Sub(d.since) >= settleTime && s.Sessions.User() == 0 && s.Idle.Load() == 0 && s.Queue.Load() == 0 && k.last.Servers[id].Entries == 0 {
			s.Sessions.Unshare()
			d.step = unshared
		}
		return false
	case d.step == unshared && known:
		dp.UnshareServer(id)
		d.step = returned
		return false
	case d.step == returned && counted:
		return false
	}
	k.servers.remove(s)
	k.plan().pool.Recycle(s)
	return true
}

func (k *kernel) reapFrontend(d *departedFrontend, now time.Time) (done bool) {
	id, f, dp := d.service.id, d.service.frontend, k.path()
	_, counted := k.last.Services[id]
	switch {
	case d.step == inUse:
		if now.Sub(d.since) >= settleTime && k.last.Services[id].Entries == 0 {
			f.Sessions.Unshare()
			f.ShareHold(nil)
			f.Sessions.SetKernel(0)
			d.step = unshared
		}
		return false
	case d.step == unshared && dp != nil:
		dp.UnshareService(id)
		d.step = returned
		return false
	case d.step == returned && counted:
		return false
	}
	if k.ids[f.Name] == id {
		delete(k.ids, f.Name)
	}
	return true
}

// forgetServices publishes the plan without services that are gone for good.
func (k *kernel) forgetServices() {
	next := *k.plan()
	next.byID = make(map[uint32]*service)
	for _, s := range next.services {
		next.byID[s.id] = s
	}
	for _, d := range k.leaving {
		next.byID[d.service.id] = d.service
	}
	k.current.Store(&next)
}

// logsTo says whether sessions that the kernel path still carries will be logged to l.
func (k *kernel) logsTo(l *logs) bool {
	for _, s := range k.plan().byID {
		if s.logs == l {
			return true
		}
	}
	return false
}
