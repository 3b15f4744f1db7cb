package agent

import (
	"waggle/pkg/datapath"
	"waggle/pkg/pool"
)

// identify has services and servers known to the kernel path by the ids that a process before this one has given to their names, and by
// new ones where it has given none. What was read of these at the start is out of date if that process went on to work with the pins: it
// may have given away ids, for a server that an operator has added or by a reload, that this one has used for others. It is called before
// the kernel path is in use; nothing in the kernel knows an id of ours yet. The caller holds mu.
func (k *kernel) identify(before datapath.Identities) {
	k.before = before
	k.identifyServices()
	k.identifyServers()
}

func (k *kernel) identifyServices() {
	now := k.plan()
	next := &kernelPlan{pool: now.pool, others: now.others, byID: make(map[uint32]*service)}
	last, _ := k.before.Max()
	clear(k.ids)
	k.leaving = nil // they had no flow
	for _, s := range now.services {
		again := &service{frontend: s.frontend, backend: s.backend, verdict: s.verdict, logs: s.logs, index: s.index}
		if again.id = k.before.Service(s.frontend.Name); again.id == 0 {
			last++
			again.id = last
		}
		k.ids[s.frontend.Name] = again.id
		next.services = append(next.services, again)
		next.byID[again.id] = again
	}
	k.current.Store(next)
}

// identifyServers leaves a server its key as its id where it can. Keys of servers that came and went, which others may have later, lead to no
// id of the process before either.
func (k *kernel) identifyServers() {
	p := k.plan().pool
	_, last := k.before.Max()
	last = max(last, p.SkipKeys(0))
	fresh := func() uint32 { last++; return last }
	given := make(map[uint32]bool)
	for _, id := range k.before.Servers() {
		given[id] = true
	}
	names := make(map[uint32]uint32)
	for _, b := range p.Backends {
		for _, s := range b.Servers() {
			names[s.Key] = s.Key
			if id := k.before.Server(b.Name, s.Name); id != 0 {
				names[s.Key] = id
			} else if given[s.Key] {
				names[s.Key] = fresh()
			}
		}
	}
	for id := range given {
		if _, ok := names[id]; !ok {
			names[id] = fresh()
		}
	}
	p.SkipKeys(last)
	k.servers.names.Store(&names)
	k.servers.byID.Store(&map[uint32]*pool.Server{})
	for _, s := range k.plan().services {
		for _, server := range s.backend.Servers() {
			k.servers.add(server)
		}
	}
}
