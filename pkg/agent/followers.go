package agent

import (
	"fmt"
	"slices"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// followers are the servers of a backend whose addresses follow names. Lines that follow the same name for the same
// port share its addresses out between them, as the slots of a template do, since no two servers may have the same
// one; `resolve-opts allow-dup-ip` lets each server choose for itself (HAProxy, section 5.3).
type followers struct {
	sets  []*followerSet
	byKey map[followerKey]*followerSet
}

// followerSet is servers no two of which have the same address.
type followerSet struct {
	line    *config.Server // the first
	servers []*pool.Server
}

// followerKey is what lines must have in common to share addresses out.
type followerKey struct {
	host              string
	port              uint16
	portOffset        int
	resolvers, prefer string
	nets              string
	ignoreWeight      bool
}

func followerKeyOf(line *config.Server) followerKey {
	return followerKey{
		host: line.Host, port: line.Addr.Port(), portOffset: line.PortOffset, resolvers: line.Resolvers, prefer: line.ResolvePrefer,
		nets: fmt.Sprint(line.ResolveNet), ignoreWeight: line.IgnoreWeight,
	}
}

func follows(line *config.Server) bool {
	return line.Resolvers != "" && line.Host != "" && !line.Addr.Addr().IsValid()
}

// taken is how many addresses of the line's name earlier lines have been given.
func (f *followers) taken(line *config.Server) int {
	set := f.byKey[followerKeyOf(line)]
	literal := slices.ContainsFunc(line.InitAddr, func(m config.InitAddr) bool { return m.Method == "ip" })
	if set == nil || !follows(line) || line.AllowDupIP || literal {
		return 0
	}
	return len(set.servers)
}

// add has the line's servers follow its name, if it has one to follow.
func (f *followers) add(line *config.Server, servers []*pool.Server) {
	if !follows(line) {
		return
	}
	if line.AllowDupIP {
		for _, s := range servers {
			f.sets = append(f.sets, &followerSet{line: line, servers: []*pool.Server{s}})
		}
		return
	}
	if f.byKey == nil {
		f.byKey = make(map[followerKey]*followerSet)
	}
	key := followerKeyOf(line)
	set := f.byKey[key]
	if set == nil {
		set = &followerSet{line: line}
		f.byKey[key] = set
		f.sets = append(f.sets, set)
	}
	set.servers = append(set.servers, servers...)
}

// groups makes the pool's groups of them.
func (f *followers) groups(backend *pool.Backend) []resolvedGroup {
	var groups []resolvedGroup
	for _, set := range f.sets {
		groups = append(groups, resolvedGroup{group: backend.AddGroup(set.line.Host, set.servers), line: set.line})
	}
	return groups
}
