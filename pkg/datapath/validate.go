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
		if other, ok := binds[s.Bind]; ok {
			errs = append(errs, fmt.Errorf("service %d: bind %s: service %d has it", s.ID, s.Bind, other))
		}
		binds[s.Bind] = s.ID
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
	if !s.Bind.IsValid() || s.Bind.Addr().Is4In6() || s.Bind.Port() == 0 {
		bad("bind %s: not an address and port", s.Bind)
	}
	if len(s.Schedule) > MaxSchedule {
		bad("schedule of %d slots: at most %d", len(s.Schedule), MaxSchedule)
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
	}
	for _, id := range s.Schedule {
		if !known[id] {
			bad("schedule names server %d, which is not among the servers", id)
			break
		}
	}
	return errors.Join(errs...)
}
