package datapath

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// view is the namespace as it was when it was read.
type view struct {
	links []link
	addrs []netip.Addr
	route func(netip.Addr) (route, bool)
}

// plan is what the maps should hold.
type plan struct {
	services  map[lbWgServiceKey]lbWgService
	servers   map[uint32]lbWgServer
	schedules map[uint32][]lbWgSlot
	// degraded says what the network does not allow.
	degraded []string
}

// planner turns a desired state into map contents; it owns the indices that they refer to.
type planner struct {
	gauges   *indices[gaugeKey]
	counters *indices[pair]
}

func (p *planner) plan(d Desired, v view) (plan, error) {
	out := plan{
		services:  make(map[lbWgServiceKey]lbWgService),
		servers:   make(map[uint32]lbWgServer),
		schedules: make(map[uint32][]lbWgSlot),
	}
	var errs []error
	// Explicit binds come last, so that they win over wildcards.
	services := slices.Clone(d.Services)
	slices.SortStableFunc(services, func(a, b Service) int {
		return cmp.Compare(b2i(b.Bind.Addr().IsUnspecified()), b2i(a.Bind.Addr().IsUnspecified()))
	})
	for _, s := range services {
		errs = append(errs, p.addService(&out, s, v))
	}
	return out, errors.Join(errs...)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (p *planner) addService(out *plan, s Service, v view) error {
	gauge, err := p.gauges.get(gaugeKey{id: s.ID})
	if err != nil {
		return err
	}
	for _, server := range s.Servers {
		if err := p.addServer(out, server, v); err != nil {
			return err
		}
	}
	slots := make([]lbWgSlot, 1, 1+len(s.Schedule))
	slots[0].Server = uint32(len(s.Schedule))
	for _, id := range s.Schedule {
		counter, err := p.counters.get(pair{s.ID, id})
		if err != nil {
			return err
		}
		slots = append(slots, lbWgSlot{Server: id, Counter: counter})
	}
	out.schedules[s.ID] = slots

	value := lbWgService{Id: s.ID, Limit: s.Limit, Gauge: gauge, Name: cName(s.Name)}
	if s.Queued {
		value.Flags |= lbWgServiceFlagWG_QUEUED
	}
	if s.Logged {
		value.Flags |= lbWgServiceFlagWG_LOGGED
	}
	binds := []netip.Addr{s.Bind.Addr()}
	if s.Bind.Addr().IsUnspecified() {
		binds = v.addrs
	}
	for _, addr := range binds {
		out.services[lbWgServiceKey{Addr: addr.As4(), Port: s.Bind.Port()}] = value
	}
	return nil
}

func (p *planner) addServer(out *plan, s Server, v view) error {
	gauge, err := p.gauges.get(gaugeKey{server: true, id: s.ID})
	if err != nil {
		return err
	}
	value := lbWgServer{
		Addr:  s.Addr.Addr().As4(),
		Port:  s.Addr.Port(),
		Limit: s.Limit,
		Gauge: gauge,
		Name:  cName(s.Name),
		State: lbWgServerStateWG_SERVER_NO_ROUTE,
	}
	r, ok := v.route(s.Addr.Addr())
	at := slices.IndexFunc(v.links, func(l link) bool { return l.index == r.ifindex })
	if ok && at >= 0 {
		value.State = lbWgServerStateWG_SERVER_READY
		value.Source = r.source.As4()
		value.Nexthop = r.nexthop.As4()
		value.Ifindex = uint32(r.ifindex)
		value.Mtu = uint16(min(v.links[at].mtu, 65535))
	} else {
		out.degraded = append(out.degraded, fmt.Sprintf("server %s (%s) is not behind an attached interface: its connections go through userspace", s.Name, s.Addr))
	}
	out.servers[s.ID] = value
	return nil
}

// cName cuts name so that it fits, with its final zero.
func cName(name string) (c [32]int8) {
	for i := 0; i < len(name) && i < len(c)-1; i++ {
		c[i] = int8(name[i])
	}
	return c
}
