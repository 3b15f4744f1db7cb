package pool

import "net/netip"

// Takeover is a pool that is about to take the place of another one. Between [Pool.TakeOver] and
// [Takeover.Commit] the new pool's objects have what they take over, and nothing of it has changed yet.
type Takeover struct {
	// Added are the new pool's servers that the old one does not have, Removed the old one's that the new one does not.
	Added, Removed []*Server
	commits        []func()
	followers      []*Server // those that track another one
}

// TakeOver prepares p, which nobody has used yet, to take the place of old. Frontends, backends and servers of the same
// name (and, for the former two, the same mode) are the same: their states, counters, queues and sessions go on. Where the
// configuration says something else than before, that is applied by Commit; where it says the same, what was changed at
// run time stays.
//
// The old pool's objects stay valid for those who still use them, and share what lives on with the new ones.
func (p *Pool) TakeOver(old *Pool) *Takeover {
	t := &Takeover{}
	p.poolLife = old.poolLife
	for _, f := range p.Frontends {
		t.frontend(p, f, old.Frontend(f.Name))
	}
	kept := make(map[*backendLife]bool)
	for _, b := range p.Backends {
		for _, s := range b.servers {
			if s.tracks != nil {
				t.followers = append(t.followers, s)
			}
		}
		was := old.Backend(b.Name)
		if was == nil || was.Mode != b.Mode {
			t.add(p, b)
			continue
		}
		kept[was.backendLife] = true
		t.backend(b, was)
	}
	for _, b := range old.Backends {
		if !kept[b.backendLife] {
			t.Removed = append(t.Removed, b.Servers()...)
		}
	}
	return t
}

// Commit makes the changes. Every backend changes at once.
func (t *Takeover) Commit() {
	for _, commit := range t.commits {
		commit()
	}
	for _, s := range t.followers {
		s.follow()
	}
}

func (t *Takeover) frontend(p *Pool, f, was *Frontend) {
	if !f.goesOnWith(was) {
		f.frontendLife.pool = p.poolLife
		return
	}
	f.frontendLife = was.frontendLife
	f.takeListeners(was)
	if f.Switch() == ShutDown { // that was of the configuration before
		t.commits = append(t.commits, func() { f.SetSwitch(SwitchedOn) })
	}
	t.commits = append(t.commits, func() { f.Pace.SetLimit(f.MaxRate) })
	if f.MaxConn != was.MaxConn {
		t.commits = append(t.commits, func() { f.SetLimit(f.MaxConn) })
	}
}

// add makes a backend that is new, with all its servers, part of the process's pool.
func (t *Takeover) add(p *Pool, b *Backend) {
	b.backendLife.pool = p.poolLife
	for _, s := range b.servers {
		s.Key = p.takeKey()
	}
	t.Added = append(t.Added, b.servers...)
	t.commits = append(t.commits, func() { b.commit(func(*change) {}) })
}

// backend has b go on where was is.
func (t *Takeover) backend(b, was *Backend) {
	fresh, servers := b.backendLife, b.servers
	before := make(map[string]*Server)
	for _, s := range was.Servers() {
		before[s.Name] = s
	}
	var changes []func(*change)
	for _, s := range servers {
		old := before[s.Name]
		if old == nil {
			s.Key = was.pool.takeKey()
			t.Added = append(t.Added, s)
			continue
		}
		delete(before, s.Name)
		began := s.state
		s.serverLife = old.serverLife
		changes = append(changes, func(c *change) { c.reconfigure(s, old, began) })
	}
	var gone []*Server
	for _, s := range was.Servers() {
		if before[s.Name] == s {
			gone = append(gone, s)
		}
	}
	t.Removed = append(t.Removed, gone...)
	b.backendLife = was.backendLife
	for _, g := range b.groups {
		g.inherit(was)
	}
	t.commits = append(t.commits, func() {
		b.commit(func(c *change) {
			b.inUse, b.servers, b.allBackups = b, servers, fresh.allBackups
			for _, change := range changes {
				change(c)
			}
		})
		b.scatter(gone...)
		b.drainQueue()
	})
}

// inherit keeps what was said about tasks without a slot from being said again.
func (g *Group) inherit(was *Backend) {
	was.mu.Lock()
	defer was.mu.Unlock()
	for _, old := range was.groups {
		if old.FQDN == g.FQDN && len(old.servers) == len(g.servers) {
			g.surplus = old.surplus
		}
	}
}

// reconfigure applies to a server what its line says otherwise than was's did. began is the state that it would have
// begun with. The rules are those by which HAProxy takes over a server's state from a process before it (server_state.c,
// observed on 2.6): what the new line sets anew wins, what it leaves as it was keeps what was made of it at run time.
func (c *change) reconfigure(s, was *Server, began serverState) {
	st := &s.state
	if s.Weight != was.Weight {
		st.weight = s.Weight
	}
	if s.MaxConn != was.MaxConn {
		st.maxConn = s.MaxConn
	}
	c.recheck(s, was)
	c.reask(s, was)
	if s.FQDN != was.FQDN {
		st.name = ""
	}
	switch {
	case s.FQDN != was.FQDN || s.FQDN == "" && s.Addr.Addr() != was.Addr.Addr():
		c.relocate(s, began.addr)
	case s.FQDN != "" && !s.grouped && began.addr.Addr().IsValid() && began.addr != st.addr: // nobody else looks the name up
		c.relocate(s, began.addr)
	case s.Addr.Port() != was.Addr.Port() && st.addr.Port() == was.Addr.Port():
		c.readdress(s, netip.AddrPortFrom(st.addr.Addr(), s.Addr.Port()), byConfiguration)
	}
	switch {
	case s.Disabled && !was.Disabled:
		c.enterMaint(s, ConfigMaint, CauseConfig)
	case !s.Disabled && was.Disabled:
		c.leaveMaint(s, ConfigMaint, CauseConfig)
	}
	if was.tracks != nil && s.tracks == nil {
		c.leaveMaint(s, InheritedMaint, CauseTracking)
		if st.admin&InheritedDrain != 0 {
			c.drain(s, InheritedDrain, false, "")
		}
	}
	c.revive(s, was)
	s.warm(c.now)
}

// byConfiguration is who changes addresses in a reload, for the log.
const byConfiguration = "configuration"

// relocate gives a server the address that its new line begins with, which may be none for now.
func (c *change) relocate(s *Server, addr netip.AddrPort) {
	st := &s.state
	if !addr.Addr().IsValid() {
		c.enterMaint(s, ResolutionMaint, CauseNoIP)
		st.addr, st.leaving = addr, false
		return
	}
	c.readdress(s, addr, byConfiguration)
	c.leaveMaint(s, ResolutionMaint, CauseAddressChange)
	if !st.admin.Maint() {
		c.startAnew(s)
	}
}

// startAnew forgets what the checks knew: it was about another address.
func (c *change) startAnew(s *Server) {
	c.renew(s)
	if s.state.op == Stopped && s.healthy() {
		c.markUp(s)
		c.event(EventUp, Notice, s, "%sServer %s is UP (%s).", backupWord(s), s.path(), CauseAddressChange)
	}
}

// recheck brings the health into the bounds of the new line.
func (c *change) recheck(s, was *Server) {
	st := &s.state
	switch {
	case s.Check == was.Check && s.Rise == was.Rise && s.Fall == was.Fall:
		return
	case st.admin.Maint():
		return
	case !s.Check:
		st.unchecked = false
		st.health = s.maxHealth()
	case !was.Check:
		st.check, st.checked = CheckResult{Status: CheckInit}, false
		if st.op != Stopped {
			st.health = s.Rise
		}
	case st.op == Stopped:
		st.health = min(st.health, s.Rise-1)
	case st.health >= was.maxHealth():
		st.health = s.maxHealth()
	default:
		st.health = min(max(st.health, s.Rise), s.maxHealth())
	}
}

// reask has the agent asked where the new line says, if it says so anew, and forgets one that is not asked any more.
func (c *change) reask(s, was *Server) {
	st := &s.state
	if s.AgentAt.Addr != was.AgentAt.Addr {
		st.agentAt.Addr = s.AgentAt.Addr
	}
	if s.AgentAt.Port != was.AgentAt.Port {
		st.agentAt.Port = s.AgentAt.Port
	}
	if !s.Agent {
		st.agent, st.agentHealth, st.agentOff = CheckResult{}, 1, false
	}
}

// revive ends an outage of which the new line has nobody left who could say that it is over.
func (c *change) revive(s, was *Server) {
	st := &s.state
	lost := was.Check && !s.Check || was.Agent && !s.Agent || was.tracks != nil && s.tracks == nil
	if !lost || s.checking() || s.tracks != nil || st.admin.Maint() {
		return
	}
	st.health = s.maxHealth()
	if s.healthy() && (st.op == Stopped || st.op == Stopping) {
		c.markUp(s)
		c.event(EventUp, Notice, s, "%sServer %s is UP (%s).", backupWord(s), s.path(), CauseConfig)
	}
}

// Continues says whether f, of a pool that is to take over from old, will be the same as one of old's.
func (f *Frontend) Continues(old *Pool) bool { return f.goesOnWith(old.Frontend(f.Name)) }

func (f *Frontend) goesOnWith(was *Frontend) bool { return was != nil && was.Mode == f.Mode }

// Same says whether two frontends are one and the same, of different configurations perhaps.
func (f *Frontend) Same(o *Frontend) bool { return f.frontendLife == o.frontendLife }

// Identity is equal for backends that are one and the same, of different configurations perhaps.
func (b *Backend) Identity() any { return b.backendLife }
