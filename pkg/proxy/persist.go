package proxy

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// persist is what is known of the server that a request came for.
type persist struct {
	wanted pool.Target // Server is nil for none
	forced bool        // a force-persist rule holds
	none   bool        // an ignore-persist rule holds
	// direct says that the request goes to the server that it came for, which needs no other cookie.
	direct     bool
	cookie     byte // what came of the client's cookie, for the log; 0 = the backend looks at none
	answer     byte // what came of the server's
	learn      []learning
	seen, born int64 // dates of the client's cookie in seconds, 0 = it has none
}

// cookies finds servers by the values of a backend's cookie.
type cookies struct {
	line  *config.Cookie
	key   string
	stats *pool.Backend
	table atomic.Pointer[cookieTable]
}

// cookieTable is the values in one snapshot.
type cookieTable struct {
	snapshot *pool.Snapshot
	byValue  map[string][]int // indices into Known, in configuration order
	values   []string         // by index into Known
}

func newCookies(p *config.Proxy, b *pool.Backend) *cookies {
	if p.Cookie == nil {
		return nil
	}
	return &cookies{line: p.Cookie, key: p.CookieKey, stats: b}
}

// makes says whether the cookie is of our making, at least in part: only then log lines tell of it.
func (c *cookies) makes() bool { return c.line.Insert || c.line.Prefix || c.line.Rewrite }

func (c *cookies) current() *cookieTable {
	snap := c.stats.Snapshot()
	if t := c.table.Load(); t != nil && t.snapshot == snap {
		return t
	}
	t := &cookieTable{snapshot: snap, byValue: make(map[string][]int), values: make([]string, len(snap.Known))}
	for i, k := range snap.Known {
		v := k.Server.Cookie
		if v == "" && c.line.Dynamic {
			v = dynamicCookie(c.key, k.Target)
		}
		if v != "" {
			t.values[i] = v
			t.byValue[v] = append(t.byValue[v], i)
		}
	}
	c.table.Store(t)
	return t
}

// valueOf is a server's cookie, "" for none.
func (c *cookies) valueOf(s *pool.Server) string {
	t := c.current()
	for i := range t.snapshot.Known {
		if t.snapshot.Known[i].Server == s {
			return t.values[i]
		}
	}
	return ""
}

// dynamicCookie is made of the key and the server's address, so that all balancers with the same key agree whatever the
// server is called; HAProxy 2.6 was seen to make the same.
func dynamicCookie(key string, t pool.Target) string {
	b := append([]byte(key), t.Addr.Addr().Unmap().AsSlice()...)
	b = binary.BigEndian.AppendUint32(b, uint32(t.Addr.Port()))
	return fmt.Sprintf("%016x", xxhash.Sum64(b))
}

// persistence finds the server that a request, or a TCP connection, came for: use-server comes before cookies, and
// these before stick tables.
func (s *session) persistence() outcome {
	b := s.be
	if !b.persists {
		return passed
	}
	for i := range b.cfg.Persist {
		r := &b.cfg.Persist[i]
		holds, waits := s.judge(r.Cond)
		if waits {
			return waiting
		}
		if holds {
			s.persist.forced, s.persist.none = r.Force, !r.Force
			break
		}
	}
	for i := range b.cfg.UseServer {
		u := &b.cfg.UseServer[i]
		holds, waits := s.judge(u.Cond)
		if waits || holds && u.Format.Waits((*subject)(s)) {
			return waiting
		}
		if holds && s.useServer(u) {
			break
		}
	}
	if b.cookies != nil && s.fe.cfg.HTTP {
		s.clientCookie(b.cookies)
	}
	return s.stickRules()
}

// useServer aims at the server of a rule, unless it is down: then other rules may hold.
func (s *session) useServer(u *config.UseServer) bool {
	name := u.Server
	if u.Format != nil {
		s.w.text = u.Format.Append(s.w.text[:0], (*subject)(s), s)
		name = string(s.w.text)
	}
	snap := s.be.stats.Snapshot()
	for i := range snap.Known {
		if k := &snap.Known[i]; k.Server.Name == name && s.follows(k) {
			s.aimAt(k)
			return true
		}
	}
	return false
}

// follows says whether a server may be taken by who comes for it.
func (s *session) follows(k *pool.Known) bool {
	return k.Up || s.persist.forced || s.be.cfg.Options.Persist
}

func (s *session) aimAt(k *pool.Known) {
	s.persist.wanted, s.persist.direct = k.Target, true
}

// dispatchWanted sends the session to the server that it came for; false if it came for none.
func (s *session) dispatchWanted() bool {
	want := s.persist.wanted
	if want.Server == nil {
		return false
	}
	if want.Server.Queue.Load() == 0 && want.Server.Acquire() {
		s.assign(want)
	} else {
		s.enqueue(want.Server)
	}
	return true
}

// forsake lets the session go to any server after its own has failed.
func (s *session) forsake() {
	p := &s.persist
	p.wanted, p.direct = pool.Target{}, false
	if p.cookie == 'V' {
		p.cookie = 'D'
	}
}
