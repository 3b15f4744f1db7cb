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
	// sources, if set, tells our addresses that a server may be connected to from, where it is not told which.
	sources func(route) []netip.Addr
	route   func(netip.Addr) (route, bool)
	// local tells of an address that is not among addrs whether packets to it end here all the same.
	local  func(netip.Addr) bool
	routes []tableRoute
	known  []neighbour
}

// plan is what the maps should hold.
type plan struct {
	services  map[lbWgServiceKey]lbWgService
	servers   map[uint32]lbWgServer
	schedules map[uint32]*schedule
	routes    map[lbWgRouteKey]lbWgRoute
	neighs    map[lbWgNeighKey]uint32
	ports     []uint16          // of services
	limits    map[uint32]uint64 // by index into wg_gauges
	// degraded says what the network does not allow.
	degraded []string
}

// planner turns a desired state into map contents; it owns the indices that they refer to.
type planner struct {
	gauges   *indices[gaugeKey]
	counters *indices[pair]
	targets  *targets
	ways     *ways
	routes   []tableRoute      // of the last plan
	sources  map[uint32]uint32 // of the last plan: how many addresses a server is connected to from
}

func newPlanner(obj *object) planner {
	return planner{
		gauges:   newIndices[gaugeKey](lbMapWgGauges, obj.WgGauges.MaxEntries()),
		counters: newIndices[pair](lbMapWgCounters, counterMax),
		targets:  newTargets(obj.targets, obj.own),
		ways:     newWays(obj.ways),
	}
}

// plan leaves out what cannot be planned, which the error is about.
func (p *planner) plan(d Desired, v view) (plan, error) {
	out := plan{
		services:  make(map[lbWgServiceKey]lbWgService),
		servers:   make(map[uint32]lbWgServer),
		schedules: make(map[uint32]*schedule),
		limits:    map[uint32]uint64{0: uint64(d.GlobalLimit)},
	}
	p.planWays(&out, v)
	var errs []error
	var claims []claim
	for _, s := range d.Services {
		value, err := p.addService(&out, s, v)
		if err != nil { // its sockets serve it
			errs = append(errs, fmt.Errorf("service %d: %w", s.ID, err))
			out.degraded = append(out.degraded, fmt.Sprintf("all connections to %s go through userspace: %v", s.Name, err))
			value = lbWgService{}
		}
		for _, b := range s.Binds {
			claims = append(claims, claim{b, s, value})
			out.ports = append(out.ports, b.Port())
		}
	}
	for _, b := range d.Sockets {
		claims = append(claims, claim{Bind: b})
	}
	award(claims, v, out.services)
	p.ways.end(v.known)
	p.targets.follow(p.ways)
	p.sources = make(map[uint32]uint32, len(out.servers))
	for id, server := range out.servers {
		p.sources[id] = server.Sources
	}
	return out, errors.Join(errs...)
}

// planWays lists the neighbours that clients can be reached by: gateways, and whoever is known on-link.
func (p *planner) planWays(out *plan, v view) {
	out.routes = make(map[lbWgRouteKey]lbWgRoute)
	out.neighs = make(map[lbWgNeighKey]uint32)
	p.ways.begin(v.links, !slices.Equal(v.routes, p.routes))
	p.routes = v.routes
	for _, r := range v.routes {
		if r.spare {
			continue
		}
		value := lbWgRoute{Ifindex: uint32(r.hop.ifindex), Mtu: r.mtu}
		if r.hop.addr.IsValid() {
			if value.Way = p.ways.id(r.hop); value.Way == 0 {
				value.Ifindex = 0
			}
		}
		out.routes[routeKey(r.prefix)] = value
	}
	for _, n := range v.known {
		if n.valid() {
			p.addNeighbour(out, n)
		}
	}
}

func (p *planner) addNeighbour(out *plan, n neighbour) {
	if id := p.ways.id(n.hop); id != 0 {
		out.neighs[neighKey(n.hop)] = id
	}
}

func neighKey(h hop) lbWgNeighKey {
	return lbWgNeighKey{Addr: h.addr.As16(), Ifindex: uint32(h.ifindex)}
}

// claim is a service at one of its binds; with the zero value it is that of a socket.
type claim struct {
	Bind
	service Service
	value   lbWgService
}

// award finds out who takes the connections to each address. What is a socket's is in no map.
func award(claims []claim, v view, services map[lbWgServiceKey]lbWgService) {
	// The more explicit binds come last, so that they win: an address over 0.0.0.0 over [::], as for sockets.
	slices.SortStableFunc(claims, func(a, b claim) int { return cmp.Compare(a.precision(), b.precision()) })
	for _, c := range claims {
		for _, addr := range c.addrs(v) {
			key := lbWgServiceKey{Addr: addr.As16(), Port: c.Port()}
			if c.serves(addr) {
				services[key] = c.value
			} else {
				delete(services, key)
			}
		}
	}
}

func (b Bind) precision() int {
	switch addr := b.Addr(); {
	case !addr.IsUnspecified():
		return 2
	case addr.Is4():
		return 1
	}
	return 0
}

// addService plans a service's servers, schedule and limit, and returns its value in wg_services.
func (p *planner) addService(out *plan, s Service, v view) (value lbWgService, err error) {
	gauge, err := p.gauges.get(gaugeKey{id: s.ID})
	if err != nil {
		return value, err
	}
	for _, server := range s.Servers {
		if err := p.addServer(out, server, v); err != nil {
			return value, err
		}
	}
	if out.schedules[s.ID], err = p.schedule(s, out.servers); err != nil {
		delete(out.schedules, s.ID)
		return value, err
	}
	out.limits[gauge] = uint64(s.Limit)
	value = lbWgService{
		Id: s.ID, Gauge: gauge, Retries: s.Retries, Redispatch: s.Redispatch, Connect: uint64(max(0, s.Timeouts.Connect)), Name: cName(s.Name),
	}
	if s.Queued {
		value.Flags |= lbWgServiceFlagWG_QUEUED
	}
	if s.Logged {
		value.Flags |= lbWgServiceFlagWG_LOGGED
	}
	return value, nil
}

// addrs returns the addresses that the bind takes connections on: of this namespace, since packets to all others only pass through.
// A socket may be bound to such a one (net.ipv4.ip_nonlocal_bind), as keepalived's standby does, and gets nothing until it comes.
func (b Bind) addrs(v view) []netip.Addr {
	bind := b.Addr()
	if !bind.IsUnspecified() {
		if !v.has(bind) {
			return nil
		}
		return []netip.Addr{bind}
	}
	return slices.DeleteFunc(slices.Clone(v.addrs), func(addr netip.Addr) bool {
		return bind.Is4() != addr.Is4() && (bind.Is4() || b.V6Only)
	})
}

// has tells whether packets to an address end in this namespace. Most addresses that do are configured, and need no question to the
// kernel; others have a route of type local, such as whole prefixes on lo.
func (v view) has(addr netip.Addr) bool { return slices.Contains(v.addrs, addr) || v.local(addr) }

// serves tells whether the connections to an address are the kernel path's: those that the service's servers can be reached
// from. It does not translate from one family to the other, so the others are userspace's.
func (c claim) serves(addr netip.Addr) bool {
	return c.value.Id != 0 && (len(c.service.Servers) == 0 || c.service.serves(addr.Is4()))
}

// serves tells whether all servers are of one family.
func (s Service) serves(v4 bool) bool {
	return !slices.ContainsFunc(s.Servers, func(v Server) bool { return v.Addr.Addr().Is4() != v4 })
}

func (p *planner) addServer(out *plan, s Server, v view) error {
	gauge, err := p.gauges.get(gaugeKey{server: true, id: s.ID})
	if err != nil {
		return err
	}
	value := lbWgServer{
		Addr:  s.Addr.Addr().As16(),
		Port:  s.Addr.Port(),
		Gauge: gauge,
		Name:  cName(s.Name),
		State: lbWgServerStateWG_SERVER_NO_ROUTE,
	}
	target := lbWgTarget{Server: s.ID, Addr: value.Addr, Port: value.Port}
	r, ok := v.route(s.Addr.Addr())
	at := slices.IndexFunc(v.links, func(l link) bool { return l.index == r.ifindex })
	if ok && at >= 0 {
		value.State = lbWgServerStateWG_SERVER_READY
		sources := v.sourcesOf(s, r)
		if len(sources) == 0 {
			value.State = lbWgServerStateWG_SERVER_NO_ROUTE
			out.degraded = append(out.degraded, fmt.Sprintf("server %s (%s): none of its source addresses is an address of this namespace: its connections go through userspace", s.Name, s.Addr))
		}
		value.Sources = uint32(len(sources))
		for i, source := range sources {
			value.Source[i] = source.As16()
		}
		value.Ifindex = uint32(r.ifindex)
		target.Way = p.ways.id(hop{r.ifindex, r.nexthop})
		target.Mtu, target.Own = uint16(min(v.links[at].mtu, 65535)), p.targets.ownMAC(v.links[at].mac)
		if r.mtu > 0 && r.mtu < uint32(target.Mtu) {
			target.Mtu, target.Small = uint16(r.mtu), 1
		}
	} else {
		out.degraded = append(out.degraded, fmt.Sprintf("server %s (%s) is not behind an attached interface: its connections go through userspace", s.Name, s.Addr))
	}
	out.limits[gauge] = uint64(s.Limit)
	target.Ifindex, target.Sources, target.Source = value.Ifindex, uint8(value.Sources), value.Source[0]
	index, err := p.targets.get(gauge, target)
	if err != nil {
		return err
	}
	value.Target = uint16(index)
	out.servers[s.ID] = value
	return nil
}

// sourcesOf returns the addresses to connect to a server from, MaxSources at most.
func (v view) sourcesOf(s Server, r route) []netip.Addr {
	if len(s.Sources) > 0 {
		return slices.DeleteFunc(slices.Clone(s.Sources), func(a netip.Addr) bool { return !slices.Contains(v.addrs, a) })
	}
	sources := []netip.Addr{r.source}
	if v.sources != nil {
		for _, a := range v.sources(r) {
			if len(sources) < MaxSources && !slices.Contains(sources, a) {
				sources = append(sources, a)
			}
		}
	}
	return sources
}

// cName cuts name so that it fits, with its final zero.
func cName(name string) (c [32]int8) {
	for i := 0; i < len(name) && i < len(c)-1; i++ {
		c[i] = int8(name[i])
	}
	return c
}
