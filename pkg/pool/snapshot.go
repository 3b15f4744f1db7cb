package pool

import "net/netip"

// Target is a server that may be given new sessions, with what is needed to reach it.
type Target struct {
	Server *Server
	Addr   netip.AddrPort
	Weight int // 1..256
	// Effective is what dynamic algorithms weigh the server by: Weight times WeightScale, less while it starts slowly.
	Effective int
}

// Snapshot is the set of servers that balancing may choose from, in configuration order. It is
// immutable; a change of state publishes another one with a higher version.
type Snapshot struct {
	Version uint64
	Targets []Target
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
		if len(targets) > 1 && !b.AllBackups {
			targets = targets[:1]
		}
	}
	if len(targets) == 0 {
		targets = b.collect(func(s *Server) bool { return s.state.leaving })
	}
	old := b.snapshot.Load()
	if old != nil && sameTargets(old.Targets, targets) {
		return false
	}
	version := uint64(1)
	if old != nil {
		version = old.Version + 1
	}
	b.snapshot.Store(&Snapshot{Version: version, Targets: targets})
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

func sameTargets(a, b []Target) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
