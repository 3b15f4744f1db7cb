package resolver

import "slices"

// Inherit has names that another resolver knows, which stops, be known to this one: what is believed of them, and when they
// were asked. Counters go on, too. It is called before Run.
func (r *Resolver) Inherit(old *Resolver) {
	for _, ns := range r.nameservers {
		for _, was := range old.nameservers {
			if ns.name == was.name {
				ns.nameserverCounts = was.nameserverCounts
			}
		}
	}
	r.totals = old.totals
	for _, l := range r.names() {
		for _, was := range old.names() {
			if l.name == was.name && slices.Equal(l.types, was.types) {
				l.inherit(was)
			}
		}
	}
}

func (l *lookup) inherit(was *lookup) {
	was.mu.Lock()
	defer was.mu.Unlock()
	hold, haproxy := l.memory.hold, l.memory.haproxy
	l.memory = was.memory
	l.memory.hold, l.memory.haproxy = hold, haproxy
	l.memory.records = slices.Clone(was.memory.records)
	l.last, l.lastEnd, l.refused, l.isVIP = was.last, was.lastEnd, was.refused, was.isVIP
	l.findings, l.noted = was.noted, was.noted
	l.guard.task = l.guard.task || l.inside
}

// Prime fills the slots from what is known already, without asking anybody.
func (r *Resolver) Prime() {
	for _, l := range r.names() {
		l.mu.Lock()
		known := l.memory.asked && len(l.memory.records) > 0
		v := verdict{by: l.memory.by, keepHealthy: l.memory.lost, records: slices.Clone(l.memory.records)}
		l.mu.Unlock()
		if !known {
			continue
		}
		for _, m := range l.groups() {
			m.group.Resolve(m.resolution(v, v.records))
		}
	}
}
