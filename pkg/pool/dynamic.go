package pool

import (
	"errors"
	"slices"
)

// The reasons for which a server cannot be added or removed, in the words of HAProxy's Runtime API.
var (
	ErrServerExists = errors.New("Already exists a server with the same name in backend.")                                       //nolint:staticcheck // HAProxy's words
	ErrServerID     = errors.New("A server of the backend has this id already.")                                                 //nolint:staticcheck // shown as a sentence
	ErrNotInMaint   = errors.New("Only servers in maintenance mode can be deleted.")                                             //nolint:staticcheck // HAProxy's words
	ErrReferenced   = errors.New("This server cannot be removed at runtime due to other configuration elements pointing to it.") //nolint:staticcheck // HAProxy's words
	ErrServerInUse  = errors.New("Server still has connections attached to it, cannot remove it.")                               //nolint:staticcheck // HAProxy's words
	ErrServerGone   = errors.New("No such server.")                                                                              //nolint:staticcheck // HAProxy's words
)

// AddDynamic adds a server while traffic runs. It starts in forced maintenance, so that an operator says
// when it takes sessions, and with its checks off. id is its number; 0 takes the lowest that is free.
func (b *Backend) AddDynamic(o ServerOptions, id int) (*Server, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.servers {
		switch {
		case s.Name == o.Name:
			return nil, ErrServerExists
		case s.ID == id:
			return nil, ErrServerID
		}
	}
	if id == 0 {
		id = b.freeID()
	}
	s := b.newServer(o, id, b.pool.takeKey())
	s.state.admin |= ForcedMaint
	s.state.op = Stopped
	s.state.unchecked = true
	b.servers = append(b.servers, s)
	return s, nil
}

// Former returns a server that a process before this one had, and that this backend has no more. It is for its last
// sessions to be counted at; no new one comes to it.
func (b *Backend) Former(name string) *Server {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := DefaultServerOptions()
	o.Name, o.Disabled = name, true
	return b.newServer(o, 0, b.pool.takeKey())
}

func (b *Backend) freeID() int {
	id := 1
	for slices.ContainsFunc(b.servers, func(s *Server) bool { return s.ID == id }) {
		id++
	}
	return id
}

// Same returns the server of p that is the same as s, of another configuration perhaps; nil if there is none.
func (p *Pool) Same(s *Server) *Server {
	b := p.Backend(s.Backend.Name)
	if b == nil || b.Identity() != s.Backend.Identity() {
		return nil
	}
	all := b.Servers()
	if i := slices.IndexFunc(all, func(o *Server) bool { return o.serverLife == s.serverLife }); i >= 0 {
		return all[i]
	}
	return nil
}

// RemoveDynamic takes a server out of its backend for good: one in maintenance, without sessions or kept
// connections, whose address is not discovery's and which no other server tracks. Both paths have forgotten it then.
func (s *Server) RemoveDynamic() error {
	b := s.Backend
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := s.removable(); err != nil {
		return err
	}
	i := slices.Index(b.servers, s)
	if i < 0 {
		return ErrServerGone
	}
	b.servers = slices.Concat(b.servers[:i], b.servers[i+1:])
	return nil
}

// Removable says why a server cannot be removed now; nil if it can.
func (s *Server) Removable() error {
	s.Backend.mu.Lock()
	defer s.Backend.mu.Unlock()
	return s.removable()
}

func (s *Server) removable() error {
	switch {
	case s.grouped || len(s.trailed) > 0:
		return ErrReferenced
	case !s.state.admin.Maint():
		return ErrNotInMaint
	case s.Sessions.Load() > 0 || s.Idle.Load() > 0 || s.Queue.Load() > 0:
		return ErrServerInUse
	}
	return nil
}
