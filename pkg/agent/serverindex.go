package agent

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"waggle/pkg/pool"
)

// serverIndex finds the servers that the kernel path knows by their ids. One goroutine at a time changes
// it, any may read it.
type serverIndex struct {
	byID atomic.Pointer[map[uint32]*pool.Server]
	// names has the ids of servers, by their keys, that are not the keys themselves; nil: there are none.
	names atomic.Pointer[map[uint32]uint32]
}

// id is what the kernel path knows a server by.
func (i *serverIndex) id(s *pool.Server) uint32 {
	if i != nil {
		if names := i.names.Load(); names != nil {
			if id, ok := (*names)[s.Key]; ok {
				return id
			}
		}
	}
	return s.Key
}

// name has the kernel path know whoever has a key by an id from now on.
func (i *serverIndex) name(key, id uint32) {
	next := map[uint32]uint32{}
	if names := i.names.Load(); names != nil {
		next = maps.Clone(*names)
	}
	next[key] = id
	i.names.Store(&next)
}

// add makes a server known.
func (i *serverIndex) add(s *pool.Server) {
	next := map[uint32]*pool.Server{i.id(s): s}
	maps.Copy(next, i.all())
	i.byID.Store(&next)
}

// remove forgets a server.
func (i *serverIndex) remove(s *pool.Server) {
	next := maps.Clone(i.all())
	delete(next, i.id(s))
	i.byID.Store(&next)
}

// all returns the servers by id. The map must not be changed.
func (i *serverIndex) all() map[uint32]*pool.Server {
	if m := i.byID.Load(); m != nil {
		return *m
	}
	return nil
}

// get returns the server with an id, or nil.
func (i *serverIndex) get(id uint32) *pool.Server { return i.all()[id] }

// welcome makes a server known that was added while traffic runs. It has no session yet.
func (k *kernel) welcome(s *pool.Server) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.serves(s.Backend) {
		return nil
	}
	if err := k.shareServer(s); err != nil {
		return err
	}
	k.servers.add(s)
	return nil
}

// dismiss begins to forget a server that was removed.
func (k *kernel) dismiss(s *pool.Server) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.depart(s, time.Now())
}

// depart begins to forget a server. An operator may remove one while a reload takes it away. The caller holds mu.
func (k *kernel) depart(s *pool.Server, now time.Time) {
	if !slices.ContainsFunc(k.gone, func(d *departed) bool { return d.server == s }) {
		k.gone = append(k.gone, &departed{server: s, since: now})
	}
}

// serves says whether the backend is that of a frontend on the kernel path.
func (k *kernel) serves(b *pool.Backend) bool {
	return slices.ContainsFunc(k.plan().services, func(s *service) bool { return s.backend.Identity() == b.Identity() })
}
