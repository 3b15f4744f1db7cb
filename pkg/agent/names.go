package agent

import (
	"errors"
	"slices"

	"waggle/pkg/pool"
	"waggle/pkg/resolver"
)

// names is which servers are found by which names, and by the nameservers of which section. It is guarded by Agent.naming
// once the generation is in use.
type names struct {
	by     map[string]*resolver.Resolver // by the name of the section
	groups []resolvedGroup
}

// add has servers be found by their name.
func (n *names) add(g resolvedGroup) {
	n.groups = append(n.groups, g)
	n.by[g.line.Resolvers].Add(g.group, resolver.Want{Prefer: g.line.ResolvePrefer, Nets: g.line.ResolveNet, IgnoreWeight: g.line.IgnoreWeight})
}

// errNotFollowed is about a server that a reload has taken away, or has taken its name from, a moment ago.
var errNotFollowed = errors.New("it is not found by a name any more")

// rename has a server be found by another name, together with those of its backend that are found by the same one in the
// same way: no address takes two of them. by is who wants it, for the log; "" says nothing.
func (n *names) rename(s *pool.Server, fqdn, by string) error {
	i := slices.IndexFunc(n.groups, func(g resolvedGroup) bool {
		return slices.ContainsFunc(g.group.Servers(), func(o *pool.Server) bool { return o.Same(s) })
	})
	if i < 0 {
		return errNotFollowed
	}
	was := n.groups[i]
	line := *was.line
	line.Host = fqdn
	var join *pool.Group
	for _, g := range n.groups {
		if g.group.Backend == was.group.Backend && followerKeyOf(g.line) == followerKeyOf(&line) && !line.AllowDupIP {
			join = g.group
		}
	}
	for _, mine := range was.group.Servers() {
		if mine.Same(s) {
			s = mine
		}
	}
	now, left := s.Follow(fqdn, join, by)
	if now != join {
		n.add(resolvedGroup{group: now, line: &line})
	}
	if left == was.group && len(left.Servers()) == 0 {
		n.by[line.Resolvers].Remove(left)
		n.groups = slices.DeleteFunc(n.groups, func(g resolvedGroup) bool { return g.group == left })
	}
	return nil
}

// keep has the servers that an operator has given names be found by them, too, after the configuration was read anew.
func (n *names) keep() {
	for _, g := range slices.Clone(n.groups) {
		for _, s := range g.group.Servers() {
			if name := s.View().FQDN; name != s.FQDN {
				_ = n.rename(s, name, "") // it is in this group
			}
		}
	}
}
