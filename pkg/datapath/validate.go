package datapath

import (
	"errors"
	"fmt"
	"net/netip"
)

// validate refuses what the kernel path cannot express, all of it at once.
func (d Desired) validate() error {
	var errs []error
	binds := make(map[netip.AddrPort]uint32)
	for _, s := range d.Services {
		errs = append(errs, s.validate())
		for _, b := range s.Binds {
			if other, ok := binds[b.AddrPort]; ok && other != s.ID {
				errs = append(errs, fmt.Errorf("service %d: bind %s: service %d has it", s.ID, b.AddrPort, other))
			}
			binds[b.AddrPort] = s.ID
		}
	}
	return errors.Join(errs...)
}

func (s Service) validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("service %d: "+format, append([]any{s.ID}, args...)...))
	}
	if s.ID == 0 {
		bad("id is zero")
	}
	if len(s.Binds) == 0 {
		bad("no bind")
	}
	for _, b := range s.Binds {
		if !b.IsValid() || b.Addr().Is4In6() || b.Port() == 0 {
			bad("bind %s: not an address and port", b.AddrPort)
		}
	}
	if limit := s.Algorithm.slots(); len(s.Schedule) > limit {
		bad("schedule of %d slots: at most %d", len(s.Schedule), limit)
	}
	if s.Algorithm == Random && (s.Draws < 1 || s.Draws > MaxDraws) {
		bad("%d draws: 1 to %d", s.Draws, MaxDraws)
	}
	known := make(map[uint32]bool, len(s.Servers))
	for _, v := range s.Servers {
		known[v.ID] = true
		if v.ID == 0 {
			bad("server %q: id is zero", v.Name)
		}
		if !v.Addr.IsValid() || v.Addr.Addr().Is4In6() || v.Addr.Addr().Zone() != "" || v.Addr.Port() == 0 {
			bad("server %d: %s: not an address and port", v.ID, v.Addr)
		}
		if len(v.Sources) > MaxSources {
			bad("server %d: %d source addresses: at most %d", v.ID, len(v.Sources), MaxSources)
		}
		for _, source := range v.Sources {
			if source.Is4() != v.Addr.Addr().Is4() || source.Is4In6() || source.Zone() != "" || source.IsUnspecified() {
				bad("server %d: source %s: not an address for connections to %s", v.ID, source, v.Addr)
			}
		}
	}
	for _, id := range s.Schedule {
		if !known[id] {
			bad("schedule names server %d, which is not among the servers", id)
			break
		}
	}
	return errors.Join(errs...)
}

// slots is the longest schedule that the algorithm can have.
func (a Algorithm) slots() int {
	if a == LeastConn || a == First {
		return MaxScan
	}
	return MaxSchedule
}
