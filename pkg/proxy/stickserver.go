package proxy

import (
	"bytes"
	"slices"

	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/stick"
)

// learning is a key whose server a stick table is to know.
type learning struct {
	table *stick.Table
	key   []byte
}

// stickRules finds the server that a stick table has of the client, unless it came for one already, and notes what tables are
// to learn: of each the first key (HAProxy 2.6 was seen to do so).
func (s *session) stickRules() outcome {
	p := &s.persist
	p.learn = p.learn[:0]
	for i := range s.be.cfg.Stick {
		r := &s.be.cfg.Stick[i]
		if r.Response {
			continue
		}
		holds, waits := s.judge(r.Cond)
		switch {
		case waits || holds && r.Key.Waits((*subject)(s)):
			return waiting
		case !holds:
			continue
		}
		t := s.table(r.Table)
		if t == nil {
			continue
		}
		key, ok := s.stickKey(t, r.Key)
		if !ok {
			continue
		}
		if r.Match && !p.direct {
			s.stickTo(t, key)
		}
		if r.Store && !p.learns(t) {
			p.learn = append(p.learn, learning{t, bytes.Clone(key)})
		}
	}
	return passed
}

func (p *persist) learns(t *stick.Table) bool {
	return slices.ContainsFunc(p.learn, func(l learning) bool { return l.table == t })
}

// stickTo aims at the server that a table has of a key, if it may be used.
func (s *session) stickTo(t *stick.Table, key []byte) {
	known, ok := t.Server(key)
	if !ok {
		return
	}
	snap := s.be.stats.Snapshot()
	for i := range snap.Known {
		if k := &snap.Known[i]; k.Server.Name == known.Name && s.follows(k) {
			s.aimAt(k)
			return
		}
	}
}

// learnServer has the tables know the server, now that the session has a connection to it.
func (s *session) learnServer() {
	srv := s.target.Server
	if len(s.persist.learn) == 0 || nonStick(s.be.cfg, srv) {
		return
	}
	for _, l := range s.persist.learn {
		l.table.SetServer(l.key, stick.Server{ID: srv.ID, Name: srv.Name})
	}
}

// stickResponse has tables know the server by keys of its response: of each the first, and none that the request has told them
// of already.
func (s *session) stickResponse() {
	p := &s.persist
	for i := range s.be.cfg.Stick {
		r := &s.be.cfg.Stick[i]
		if !r.Response || !r.Cond.Eval((*subject)(s)) {
			continue
		}
		t, srv := s.table(r.Table), s.target.Server
		if t == nil || p.learns(t) || nonStick(s.be.cfg, srv) {
			continue
		}
		if key, ok := s.stickKey(t, r.Key); ok {
			t.SetServer(key, stick.Server{ID: srv.ID, Name: srv.Name})
			p.learn = append(p.learn, learning{table: t})
		}
	}
}

// nonStick says whether nobody is to stick to a server.
func nonStick(p *config.Proxy, srv *pool.Server) bool {
	for i := range p.Servers {
		if line := &p.Servers[i]; line.NonStick && line.Has(srv.Name) {
			return true
		}
	}
	return false
}
