package agent

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"waggle/pkg/pool"
)

// serverIndex finds the servers that the kernel path knows by their keys. One goroutine at a time changes
// it, any may read it.
type serverIndex struct {
	byKey atomic.Pointer[map[uint32]*pool.Server]
}

// add makes a server known.
func (i *serverIndex) add(s *pool.Server) {
	next := map[uint32]*pool.Server{s.Key: s}
	maps.Copy(next, i.all())
	i.byKey.Store(&next)
}

// remove forgets a server.
func (i *serverIndex) remove(s *pool.Server) {
	next := maps.Clone(i.all())
	delete(next, s.Key)
	i.byKey.Store(&next)
}

// all returns the servers by key. The map must not be changed.
func (i *serverIndex) all() map[uint32]*pool.Server {
	if m := i.byKey.Load(); m != nil {
		return *m
	}
	return nil
}

// get returns the server with a key, or nil.
func (i *serverIndex) get(key uint32) *pool.Server { return i.all()[key] }

// welcome makes a server known that was added while traffic runs. It has no session yet.
func (k *kernel) welcome(s *pool.Server) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.serves(s.Backend) {
		return nil
	}
	if err := k.shareServer(s.Key, s); err != nil {
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
