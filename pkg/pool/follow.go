package pool

import "slices"

// Name returns the name that discovery finds the server by: the configuration's FQDN, or what an operator has put in its
// place; "" for none.
func (s *Server) name() string {
	if s.state.name != "" {
		return s.state.name
	}
	return s.FQDN
}

// Followed says whether discovery decides on the server's address.
func (s *Server) Followed() bool {
	s.Backend.mu.Lock()
	defer s.Backend.mu.Unlock()
	return s.grouped
}

// Follow has a server be found by another name, as `set server fqdn` does, until the configuration names another one. It
// joins a group of its backend that is found by that name, or begins one of its own if join is nil. It stays where it is
// until the new name has been resolved. by is who wants it, for the log; "" says nothing. Follow returns the server's
// group and the one that it has left, which may be empty now.
func (s *Server) Follow(fqdn string, join *Group, by string) (now, left *Group) {
	s.Backend.commit(func(c *change) {
		left = s.Backend.groupOf(s)
		if left == nil || left == join {
			now = left
			return
		}
		left.servers = slices.DeleteFunc(slices.Clone(left.servers), func(o *Server) bool { return o == s })
		if len(left.servers) == 0 {
			s.Backend.groups = slices.DeleteFunc(slices.Clone(s.Backend.groups), func(g *Group) bool { return g == left })
		}
		now = join
		if now == nil {
			now = &Group{Backend: s.Backend, FQDN: fqdn}
			s.Backend.groups = append(slices.Clip(s.Backend.groups), now)
		}
		now.servers = append(slices.Clip(now.servers), s)
		slices.SortFunc(now.servers, func(a, b *Server) int { return a.ID - b.ID })
		if by != "" {
			c.event(EventAddress, Notice, s, "%s changed its FQDN from %s to %s by '%s'.", s.path(), s.name(), fqdn, by)
		}
		s.state.name = fqdn
		if fqdn == s.FQDN {
			s.state.name = ""
		}
	})
	return now, left
}

// groupOf returns the group that a server is in. The caller holds b.mu.
func (b *Backend) groupOf(s *Server) *Group {
	for _, g := range b.groups {
		if slices.Contains(g.servers, s) {
			return g
		}
	}
	return nil
}

// Same says whether two servers are one and the same, of different configurations perhaps.
func (s *Server) Same(o *Server) bool { return s.serverLife == o.serverLife }
