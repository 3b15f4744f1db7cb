package proxy

import (
	"waggle/pkg/pool"
	"waggle/pkg/sample"
)

// FrontendNow implements sample.Situation.
func (s *subject) FrontendNow(name string) (now sample.FrontendNow, ok bool) {
	f := s.fe.stats
	if name != "" {
		f = s.fe.plan.pool.Frontend(name)
	}
	if f == nil {
		return now, false
	}
	return sample.FrontendNow{ID: f.ID, Sessions: f.Sessions.Load(), SessionRate: int64(f.SessionRate.Cur()), Requests: int64(f.RequestRate.Cur())}, true
}

// backendNamed is the backend of a name, "" for the one in use; nil if there is none.
func (s *subject) backendNamed(name string) *backend {
	if name == "" {
		return s.be
	}
	return s.fe.plan.backends[name]
}

// BackendNow implements sample.Situation.
func (s *subject) BackendNow(name string) (now sample.BackendNow, ok bool) {
	b := s.backendNamed(name)
	if b == nil {
		return now, false
	}
	p := b.stats
	v := p.View()
	now = sample.BackendNow{ID: p.ID, Sessions: p.Sessions.Load(), SessionRate: int64(p.SessionRate.Cur()), Queue: p.Queue.Load(), Usable: int64(v.Active + v.Backup)}
	for _, t := range p.Snapshot().Targets { // those that would be given a request
		if now.Free >= 0 {
			now.Free = addRoom(now.Free, t.Server.Limit(), t.Server.Sessions.Load())
		}
	}
	for _, srv := range p.Servers() {
		now.Queue += srv.Queue.Load()
		if srv.View().Op == pool.Stopped || now.Slots < 0 {
			continue
		}
		now.Slots = addRoom(now.Slots, srv.Limit(), srv.Sessions.Load())
		if now.Slots >= 0 {
			now.Slots = addRoom(now.Slots, srv.MaxQueue, srv.Queue.Load())
		}
	}
	return now, true
}

// addRoom adds what a limit leaves of room to a sum; -1 where there is no limit.
func addRoom(sum int64, limit int, used int64) int64 {
	if limit == 0 {
		return -1
	}
	return sum + max(int64(limit)-used, 0)
}

// ServerNow implements sample.Situation.
func (s *subject) ServerNow(backend, server string) (now sample.ServerNow, ok bool) {
	srv := s.target.Server
	if server != "" {
		srv = nil
		if b := s.backendNamed(backend); b != nil {
			srv = serverNamed(b.stats, server)
		}
	}
	if srv == nil {
		return now, false
	}
	v := srv.View()
	return sample.ServerNow{
		ID: srv.ID, Sessions: srv.Sessions.Load(), SessionRate: int64(srv.SessionRate.Cur()), Queue: srv.Queue.Load(),
		Free: addRoom(0, srv.Limit(), srv.Sessions.Load()), Weight: int64(v.Weight), Configured: int64(srv.Weight),
		// as HAProxy has it: what nobody checks is up unless it is in maintenance
		Up: !v.Admin.Maint() && (!srv.Check || v.Op != pool.Stopped),
	}, true
}

func serverNamed(b *pool.Backend, name string) *pool.Server {
	for _, srv := range b.Servers() {
		if srv.Name == name {
			return srv
		}
	}
	return nil
}
