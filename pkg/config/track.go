package config

import (
	"fmt"
	"strconv"
	"strings"
)

// checkTracking follows what servers track to its end (HAProxy, section 5.2, track).
func (p *parser) checkTracking(s *proxyState) {
	for i := range s.Servers {
		srv := &s.Servers[i]
		if srv.MinConn >= srv.MaxConn { // as HAProxy does, also where only minconn is said
			srv.MaxConn, srv.MinConn = max(srv.MaxConn, srv.MinConn), 0
		}
		if srv.Observe == "layer7" && !s.HTTP {
			p.alert(srv.Pos, "server '%s/%s' : 'layer7' can only be used in http proxies", s.Name, srv.Name)
		}
		if srv.Track == "" {
			continue
		}
		start, at, proxy := s.Name+"/"+srv.Name, srv, s
		for seen := map[*Server]bool{srv: true}; at.Track != ""; {
			backend, name := proxy.Name, at.Track
			if b, rest, ok := strings.Cut(at.Track, "/"); ok {
				backend, name = b, rest
			}
			next, in := p.serverNamed(backend, name)
			if next == nil {
				p.alert(srv.Pos, "server '%s' : unable to find required server '%s' for tracking", start, backend+"/"+name)
				break
			}
			if seen[next] {
				p.alert(srv.Pos, "server '%s' : unable to track %s/%s as it belongs to a tracking chain looping back to %s", start, backend, name, start)
				break
			}
			seen[next] = true
			at, proxy = next, in
		}
		if at.Track == "" && !at.Check.Enabled && !at.Agent.Enabled {
			p.alert(srv.Pos, "server '%s' : unable to use %s/%s for tracking as it does not have any check nor agent enabled", start, proxy.Name, at.Name)
		}
	}
}

// serverNamed finds a server, or the template that has a slot of the name.
func (p *parser) serverNamed(backend, name string) (*Server, *proxyState) {
	for _, s := range p.proxies {
		if s.Name != backend || !s.Kind.HasBackend() {
			continue
		}
		for i := range s.Servers {
			if s.Servers[i].Has(name) {
				return &s.Servers[i], s
			}
		}
	}
	return nil, nil
}

// Has says whether name is that of the line's server, or of one of its slots.
func (s *Server) Has(name string) bool {
	if !s.Template() {
		return s.Name == name
	}
	n, err := strconv.Atoi(strings.TrimPrefix(name, s.Name))
	return err == nil && n >= s.Low && n <= s.High && name == fmt.Sprintf("%s%d", s.Name, n)
}
