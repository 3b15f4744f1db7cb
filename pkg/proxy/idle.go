package proxy

import (
	"slices"
	"time"

	"waggle/pkg/pool"
	"waggle/pkg/proxy/loop"
)

// link is a connection to a server. It belongs to a session, or lies idle in its loop's store.
type link struct {
	conn
	server *pool.Server
	target pool.Target
	served int // requests that it has carried to their end
	// private is the number of the session whose client alone may use it, because the server takes it for that client; 0 for
	// anybody's.
	private uint64
	w       *worker
	list    *idleList // while it is idle

	name    string // TLS: that the server was asked for
	shaking bool   // the handshake goes on
	failed  error  // how it has ended
}

// idleLinks are a loop's idle server connections, for each server last in first out, so that those that
// are not needed grow old.
type idleLinks struct {
	byServer []*idleList // by pool.Server.Key
	spare    []*link
	sweep    loop.Timer
	total    int
}

type idleList struct {
	links []*link
	low   int // fewest links since the last sweep: nobody missed these
}

// sweepEvery is how often connections that nobody missed are closed, half of them each time, as HAProxy's
// pool-purge-delay does.
const sweepEvery = 5 * time.Second

// keepLinks is how many closed links a loop keeps for their storage.
const keepLinks = 256

func (i *idleLinks) list(s *pool.Server) *idleList {
	for int(s.Key) >= len(i.byServer) {
		i.byServer = append(i.byServer, &idleList{})
	}
	return i.byServer[s.Key]
}

// take returns an idle connection to t that is private to a session, 0 for anybody's, and passes ok; nil if there is
// none. Those that lead to another address than the server has now are closed on the way, and so are those on which the
// server has sent something that nobody asked for: it would be taken for the next response.
func (i *idleLinks) take(t pool.Target, private uint64, ok func(*link) bool) *link {
	list := i.list(t.Server)
	for n := len(list.links) - 1; n >= 0; n-- {
		l := list.links[n]
		if l.target.Addr != t.Addr || l.fill() {
			i.remove(l)
			l.discard()
			continue
		}
		if l.private != private || ok != nil && !ok(l) {
			continue
		}
		i.remove(l)
		return l
	}
	return nil
}

// put makes l idle.
func (i *idleLinks) put(l *link) {
	l.follow()
	list := i.list(l.server)
	list.links = append(list.links, l)
	l.list = list
	l.owner = l
	i.total++
	l.server.Idle.Add(1)
	if !i.sweep.Armed() {
		l.w.loop.Arm(&i.sweep, sweepEvery)
	}
	l.w.tidySoon()
}

func (i *idleLinks) remove(l *link) {
	links := l.list.links
	n := len(links) - 1
	for links[n] != l {
		n--
	}
	l.list.links = slices.Delete(links, n, n+1)
	l.list.low = min(l.list.low, len(l.list.links))
	l.list = nil
	i.total--
	l.server.Idle.Add(-1)
}

// advance implements owner for an idle link: anything that a server does now ends it.
func (l *link) advance() {
	if l.list == nil {
		return
	}
	if l.fill() || l.hup {
		l.w.idle.remove(l)
		l.discard()
	}
}

// discard closes l and keeps its storage.
func (l *link) discard() {
	l.close()
	l.owner, l.server, l.target, l.private = l, nil, pool.Target{}, 0
	if idle := &l.w.idle; len(idle.spare) < keepLinks {
		idle.spare = append(idle.spare, l)
	}
}

func (w *worker) newLink() *link {
	if n := len(w.idle.spare); n > 0 {
		l := w.idle.spare[n-1]
		w.idle.spare = w.idle.spare[:n-1]
		return l
	}
	return &link{w: w}
}

// sweepIdle closes half of the connections that have not been needed since the last time.
func (w *worker) sweepIdle() {
	for _, list := range w.idle.byServer {
		for range (list.low + 1) / 2 {
			l := list.links[0]
			w.idle.remove(l)
			l.discard()
		}
		list.low = len(list.links)
	}
	if w.idle.total > 0 {
		w.loop.Arm(&w.idle.sweep, sweepEvery)
	}
}

// giveUp closes the idle connection that has been kept for longest of a server that has any, for its descriptor; false if there is none.
func (i *idleLinks) giveUp() bool {
	for _, list := range i.byServer {
		if len(list.links) > 0 {
			l := list.links[0]
			i.remove(l)
			l.discard()
			return true
		}
	}
	return false
}

// purge closes the idle connections to addresses that no usable server has any more, and ends the sessions
// on servers that went down with `on-marked-down shutdown-sessions`.
func (w *worker) purge() {
	w.endSessions('D', func(s *pool.Server) bool { return s.ShutdownSessions && s.View().Op == pool.Stopped })
	for _, list := range w.idle.byServer {
		for n := len(list.links) - 1; n >= 0; n-- {
			if l := list.links[n]; !current(l.target) {
				w.idle.remove(l)
				l.discard()
			} else {
				l.follow()
			}
		}
	}
}

// current says whether t's server is usable, at t's address, and spoken to in the same way.
func current(t pool.Target) bool {
	now, ok := refresh(t)
	return ok && now.Server.Wire == t.Server.Wire && (now.Addr == t.Addr || t.Server.MapPort && now.Addr.Addr() == t.Addr.Addr())
}

// refresh returns t as its backend has it now; false if balancing may not choose it any more.
func refresh(t pool.Target) (pool.Target, bool) {
	targets := t.Server.Backend.Snapshot().Targets
	for _, now := range targets {
		if now.Server == t.Server {
			return now, true
		}
	}
	for _, now := range targets { // after a reload it is the same by its key
		if now.Server.Key == t.Server.Key {
			return now, true
		}
	}
	return t, false
}

// refresh gives the session's target as it is now; false means that the session cannot stay with it.
func (s *session) refresh() (pool.Target, bool) {
	if !s.persist.direct {
		return refresh(s.target)
	}
	k, ok := s.be.stats.Snapshot().Find(s.target.Server)
	return k.Target, ok && s.follows(&k)
}

// follow has an idle link, whose target is current, be one of the present configuration.
func (l *link) follow() {
	if now, ok := refresh(l.target); ok {
		l.server, l.target.Server = now.Server, now.Server
	}
}

// closeAll closes all idle connections, after the loop has ended.
func (i *idleLinks) closeAll() {
	for _, list := range i.byServer {
		for len(list.links) > 0 {
			l := list.links[0]
			i.remove(l)
			l.close()
		}
	}
}
