package pool

import (
	"net/netip"
	"slices"
)

// Target is a server that may be given new sessions, with what is needed to reach it.
type Target struct {
	Server *Server
	Addr   netip.AddrPort
	Weight int // 1..256
	// Effective is what dynamic algorithms weigh the server by: Weight times WeightScale, less while it starts slowly.
	Effective int
}

// Known is a server that has an address, for those who come for this server and no other (cookie persistence,
// use-server).
type Known struct {
	Target
	// Up says that it may take them: it is neither down nor in maintenance. It may be draining, or have no weight.
	Up bool
}

// Snapshot is the set of servers that balancing may choose from, in configuration order. It is
// immutable; a change of state publishes another one with a higher version.
type Snapshot struct {
	Version uint64
	Targets []Target
	Known   []Known // apart from servers that have left DNS
}

// Find gives what is known of a server; ok is false if it has no address, or has left DNS.
func (s *Snapshot) Find(server *Server) (k Known, ok bool) {
	for i := range s.Known {
		if s.Known[i].Server == server {
			return s.Known[i], true
		}
	}
	return Known{}, false
}

// Snapshot returns the servers to balance over now. It takes no lock.
func (b *Backend) Snapshot() *Snapshot { return b.snapshot.Load() }

// publish computes the snapshot: the usable servers; failing those the backup servers (the first one
// only, unless `option allbackups`); failing those the servers that have left DNS but are still held,
// as a last resort. It reports whether anything changed.
func (b *Backend) publish() bool {
	targets := b.collect(func(s *Server) bool { return !s.Backup && !s.state.leaving })
	if len(targets) == 0 {
		targets = b.collect(func(s *Server) bool { return s.Backup && !s.state.leaving })
		if len(targets) > 1 && !b.allBackups {
			targets = targets[:1]
		}
	}
	if len(targets) == 0 {
		targets = b.collect(func(s *Server) bool { return s.state.leaving })
	}
	known := b.known()
	old := b.snapshot.Load()
	if old != nil && slices.Equal(old.Targets, targets) && slices.Equal(old.Known, known) {
		return false
	}
	version := uint64(1)
	if old != nil {
		version = old.Version + 1
	}
	b.snapshot.Store(&Snapshot{Version: version, Targets: targets, Known: known})
	return true
}

func (b *Backend) collect(keep func(*Server) bool) []Target {
	var targets []Target
	for _, s := range b.servers {
		if s.usable() && keep(s) {
			targets = append(targets, Target{Server: s, Addr: s.state.addr, Weight: s.state.weight, Effective: s.effective()})
		}
	}
	return targets
}

func (b *Backend) known() []Known {
	var all []Known
	for _, s := range b.servers {
		st := &s.state
		if !st.addr.Addr().IsValid() || st.leaving {
			continue
		}
		t := Target{Server: s, Addr: st.addr, Weight: st.weight, Effective: s.effective()}
		all = append(all, Known{Target: t, Up: !st.admin.Maint() && st.op != Stopped})
	}
	return all
}
