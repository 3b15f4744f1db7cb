package pool

import (
	"net/netip"
	"slices"
)

// Group is the servers of one backend that share one name to resolve: the slots of a server-template,
// or single servers with `resolvers`.
type Group struct {
	Backend *Backend
	FQDN    string
	servers []*Server        // guarded by Backend.mu; replaced, never changed in place
	surplus []netip.AddrPort // guarded by Backend.mu
}

// Record is one address that discovery knows for a name.
type Record struct {
	Addr netip.Addr
	Port uint16 // from an SRV record; 0 keeps the slot's own port
	// Leaving marks an address that the last valid answer did not hold any more: it takes no new
	// session while another server can, and gives its slot up to a new address.
	Leaving bool
	// Weighted records set their server's weight, 0..256.
	Weighted bool
	Weight   int
	// Preferred addresses (resolve-net) take free slots before others do.
	Preferred bool
}

// Resolution is what discovery knows of a name at one moment.
type Resolution struct {
	Records []Record // a set: order and duplicates have no meaning
	By      string   // who answered, e.g. "docker/dns1"; part of the log line
	// Cause is why there are no records: CauseNoIP after a valid answer, or the DNS error whose hold
	// time has passed.
	Cause Cause
	// KeepHealthy keeps servers in use whose health checks pass, although there are no records:
	// last known good, for errors that say nothing about the tasks.
	KeepHealthy bool
}

// AddGroup declares that servers of b share a name. It must be called before traffic starts.
func (b *Backend) AddGroup(fqdn string, servers []*Server) *Group {
	g := &Group{Backend: b, FQDN: fqdn, servers: servers}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range servers {
		s.grouped = true
	}
	b.groups = append(b.groups, g)
	return g
}

// Groups returns the groups in configuration order, then those that an operator's names have made. The slice must not be changed.
func (b *Backend) Groups() []*Group {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.groups
}

// Servers returns the slots in order. The slice must not be changed.
func (g *Group) Servers() []*Server {
	g.Backend.mu.Lock()
	defer g.Backend.mu.Unlock()
	return g.servers
}

// Surplus returns the addresses that found no slot at the last resolution.
func (g *Group) Surplus() []netip.AddrPort {
	g.Backend.mu.Lock()
	defer g.Backend.mu.Unlock()
	return slices.Clone(g.surplus)
}

// Resolve fills the slots from what discovery knows. A slot whose address is still known keeps it; no
// address takes two slots; new addresses take free slots in order, and when none is free, slots whose
// address is leaving; slots that end up without an address go into maintenance. The outcome does not
// depend on the order of the records.
func (g *Group) Resolve(r Resolution) {
	g.Backend.commit(func(c *change) { g.fill(c, r) })
}

func (g *Group) fill(c *change, r Resolution) {
	if g.Backend.former() {
		return
	}
	records := newRecordSet(r.Records)
	var free, leaving []*Server
	for _, s := range g.servers {
		rec, ok := records.take(s)
		if !ok {
			free = append(free, s)
			continue
		}
		if rec.Leaving {
			leaving = append(leaving, s)
		}
		c.setLeaving(s, rec.Leaving)
		s.weigh(rec)
		c.leaveMaint(s, ResolutionMaint, CauseResolved)
	}
	var surplus []netip.AddrPort
	for rec := range records.rest() {
		if rec.Leaving { // an address on its way out takes no slot anew
			continue
		}
		switch {
		case len(free) > 0:
			c.assign(free[0], rec, r.By)
			free = free[1:]
		case len(leaving) > 0:
			c.assign(leaving[0], rec, r.By)
			leaving = leaving[1:]
		default:
			surplus = append(surplus, netip.AddrPortFrom(rec.Addr, rec.Port))
		}
	}
	for _, s := range free {
		c.vacate(s, r)
	}
	g.reportSurplus(c, surplus)
}

// port is the record's, or the one that the slot has: its line's, unless `set server … addr … port` has given it another,
// which outlives its addresses, as in HAProxy (measured on 2.6).
func (s *Server) port(rec Record) uint16 {
	if rec.Port != 0 {
		return rec.Port
	}
	return s.state.addr.Port()
}

// weigh gives a server the weight of its record, if that has one.
func (s *Server) weigh(rec Record) {
	if rec.Weighted {
		s.state.weight = min(rec.Weight, MaxWeight)
	}
}

// assign gives a slot a new address. A slot that served another address before starts anew: what its
// checks knew was about the old one.
func (c *change) assign(s *Server, rec Record, by string) {
	st := &s.state
	c.readdress(s, netip.AddrPortFrom(rec.Addr, s.port(rec)), by)
	s.weigh(rec)
	if st.admin&ResolutionMaint != 0 {
		c.leaveMaint(s, ResolutionMaint, CauseResolved)
		return
	}
	if !st.admin.Maint() {
		c.startAnew(s)
	}
}

// vacate takes a slot's address away, unless last-known-good applies.
func (c *change) vacate(s *Server, r Resolution) {
	st := &s.state
	if r.KeepHealthy && s.Check && st.addr.Addr().IsValid() && st.op != Stopped {
		return
	}
	c.enterMaint(s, ResolutionMaint, r.Cause)
	st.addr = netip.AddrPortFrom(netip.Addr{}, st.addr.Port())
	st.leaving = false
}

func (c *change) setLeaving(s *Server, leaving bool) {
	st := &s.state
	if st.leaving == leaving {
		return
	}
	st.leaving = leaving
	if leaving {
		c.event(EventLeaving, Notice, s, "Server %s is leaving: %s is gone from DNS, no new session goes there while another server can take it.",
			s.path(), st.addr.Addr())
	}
}

func (g *Group) reportSurplus(c *change, surplus []netip.AddrPort) {
	grew := len(surplus) > len(g.surplus)
	g.surplus = surplus
	if grew {
		c.event(EventSurplus, Warning, nil, "backend %s: '%s' has %d tasks more than the %d slots of its server-template; they get no traffic.",
			g.Backend.Name, g.FQDN, len(surplus), len(g.servers))
	}
}
