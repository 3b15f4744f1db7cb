package proxy

import (
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
	older   *link     // its neighbours in the list
	newer   *link

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
	sweeping bool // some that are to go are still there
	total    int
}

// idleList holds the idle connections to one server. Each can be taken out at the same cost wherever it is, since a server
// that ends may close thousands in any order.
type idleList struct {
	oldest, newest *link
	len            int
	low            int // fewest links since the last sweep, without those that are to go: nobody missed these
	doomed         int // so many of the oldest are to go
}

const (
	// sweepEvery is how often connections that nobody missed are closed, half of them each time, as HAProxy's
	// pool-purge-delay does.
	sweepEvery = 5 * time.Second
	// sweepPause is how long everybody else has their turn when a sweep has closed sweepAtOnce connections.
	sweepPause = time.Millisecond
)

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
	for l := list.newest; l != nil; {
		older := l.older
		if l.target.Addr != t.Addr || l.fill() {
			i.remove(l)
			l.discard()
		} else if l.private == private && (ok == nil || ok(l)) {
			i.remove(l)
			return l
		}
		l = older
	}
	return nil
}

// put makes l idle.
func (i *idleLinks) put(l *link) {
	l.follow()
	list := i.list(l.server)
	list.push(l)
	l.owner = l
	i.total++
	l.server.Idle.Add(1)
	if !i.sweep.Armed() {
		l.w.loop.Arm(&i.sweep, sweepEvery)
	}
	l.w.tidySoon()
}

func (l *idleList) push(k *link) {
	k.list, k.older = l, l.newest
	if l.newest != nil {
		l.newest.newer = k
	} else {
		l.oldest = k
	}
	l.newest = k
	l.len++
}

func (i *idleLinks) remove(l *link) {
	list := l.list
	if l.older != nil {
		l.older.newer = l.newer
	} else {
		list.oldest = l.newer
	}
	if l.newer != nil {
		l.newer.older = l.older
	} else {
		list.newest = l.older
	}
	l.list, l.older, l.newer = nil, nil, nil
	list.len--
	list.low = min(list.low, list.len)
	list.doomed = min(list.doomed, list.len)
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

// sweepIdle closes half of the connections that have not been needed since the last time, but no more than sweepAtOnce in
// one go: the rest follows after a pause.
func (w *worker) sweepIdle() {
	i := &w.idle
	if !i.sweeping {
		for _, list := range i.byServer {
			list.doomed = (list.low + 1) / 2
			list.low = list.len - list.doomed
		}
	}
	if i.sweeping = !i.closeDoomed(sweepAtOnce); i.sweeping {
		w.loop.Arm(&i.sweep, sweepPause)
	} else if i.total > 0 {
		w.loop.Arm(&i.sweep, sweepEvery)
	}
}

// closeDoomed closes at most n of the connections that are to go. It reports whether none is left.
func (i *idleLinks) closeDoomed(n int) bool {
	for _, list := range i.byServer {
		for ; list.doomed > 0; n-- {
			if n == 0 {
				return false
			}
			list.doomed--
			l := list.oldest
			i.remove(l)
			l.discard()
		}
	}
	return true
}

// giveUp closes the idle connection that has been kept for longest of a server that has any, for its descriptor; false if there is none.
func (i *idleLinks) giveUp() bool {
	for _, list := range i.byServer {
		if l := list.oldest; l != nil {
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
		list.purge(&w.idle)
	}
}

func (l *idleList) purge(i *idleLinks) {
	var of *pool.Server // whose present state now and ok are
	var now pool.Target
	var ok bool
	for k := l.newest; k != nil; {
		older := k.older
		if k.target.Server != of {
			of = k.target.Server
			now, ok = refresh(k.target)
		}
		if ok && agrees(now, k.target) {
			k.server, k.target.Server = now.Server, now.Server
		} else {
			i.remove(k)
			k.discard()
		}
		k = older
	}
}

// current says whether t's server is usable, at t's address, and spoken to in the same way.
func current(t pool.Target) bool {
	now, ok := refresh(t)
	return ok && agrees(now, t)
}

// agrees says whether a connection to t is one that would be made for now, which is the same server.
func agrees(now, t pool.Target) bool {
	return now.Server.Wire == t.Server.Wire && (now.Addr == t.Addr || t.Server.MapPort && now.Addr.Addr() == t.Addr.Addr())
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
		for list.oldest != nil {
			l := list.oldest
			i.remove(l)
			l.close()
		}
	}
}
