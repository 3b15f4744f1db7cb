package pool

import "net/netip"

// Listener is an address of a frontend that is counted by itself (`option socket-stats`). Its fields never change; what it
// counts is part of what its frontend counts.
type Listener struct {
	Name  string
	ID    int // within the frontend, from 1 on
	Addr  netip.AddrPort
	Limit int // maxconn of the bind line, 0 = none

	*listenerLife
}

// listenerLife is what the listeners of one name and address have in common over all configurations.
type listenerLife struct {
	Sessions Gauge
	Counters Counters
}

// AddListener adds an address. It must be called before traffic starts.
func (f *Frontend) AddListener(name string, addr netip.AddrPort, limit int) *Listener {
	l := &Listener{Name: name, ID: len(f.Listeners) + 1, Addr: addr, Limit: limit,
		listenerLife: &listenerLife{Counters: newCounters(f.Counters.Len())}}
	f.Listeners = append(f.Listeners, l)
	f.Counters.include(&l.Counters)
	return l
}

// takeListeners has f's listeners go on where those of the configuration before are. The counters of f are those of before.
func (f *Frontend) takeListeners(was *Frontend) {
	for _, l := range f.Listeners {
		known := false
		for _, old := range was.Listeners {
			if old.Name == l.Name && old.Addr == l.Addr {
				l.listenerLife, known = old.listenerLife, true
			}
		}
		if !known {
			f.Counters.include(&l.Counters)
		}
	}
}
