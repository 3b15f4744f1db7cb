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
		if srv.Observe == "layer7" && !s.HTTP {
			p.alert(srv.Pos, "server '%s/%s' : 'layer7' can only be used in http proxies", s.Name, srv.Name)
		}
		if srv.Track == "" {
			continue
		}
		start, at, proxy := s.Name+"/"+srv.Name, srv, s
		seen := map[*Server]bool{srv: true}
		for at.Track != "" {
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
			if end, ok := p.tracked[next]; ok {
				at, proxy = end.server, end.proxy
			}
		}
		if at.Track == "" {
			p.noteTracked(seen, at, proxy)
		}
		if at.Track == "" && !at.Check.Enabled && !at.Agent.Enabled {
			p.alert(srv.Pos, "server '%s' : unable to use %s/%s for tracking as it does not have any check nor agent enabled", start, proxy.Name, at.Name)
		}
	}
}

// trackEnd is the server at the end of a chain, which tracks none.
type trackEnd struct {
	server *Server
	proxy  *proxyState
}

// noteTracked keeps where the chain of these servers ends, so that one of thousands is not followed from each of its links.
func (p *parser) noteTracked(from map[*Server]bool, end *Server, in *proxyState) {
	if p.tracked == nil {
		p.tracked = make(map[*Server]trackEnd)
	}
	for s := range from {
		p.tracked[s] = trackEnd{end, in}
	}
}

// serverNamed finds a server, or the template that has a slot of the name.
func (p *parser) serverNamed(backend, name string) (*Server, *proxyState) {
	for _, s := range p.named[backend] {
		if !s.Kind.HasBackend() {
			continue
		}
		if i := s.serverIndex(name); i >= 0 {
			return &s.Servers[i], s
		}
	}
	return nil, nil
}

// serverIndex returns the place of the first line that has a server of the name, -1 for none. It is for when all have been read.
func (s *proxyState) serverIndex(name string) int {
	if s.places == nil {
		s.places = make(map[string]int, len(s.Servers))
		for i := range s.Servers {
			srv := &s.Servers[i]
			if srv.Template() {
				s.templates = append(s.templates, i)
			} else if _, twice := s.places[srv.Name]; !twice {
				s.places[srv.Name] = i
			}
		}
	}
	first, ok := s.places[name]
	if !ok {
		first = -1
	}
	for _, i := range s.templates {
		if (first < 0 || i < first) && s.Servers[i].Has(name) {
			return i
		}
	}
	return first
}

// Names are those of the line's server, or of its slots.
func (s *Server) Names() []string {
	if !s.Template() {
		return []string{s.Name}
	}
	var names []string
	for n := s.Low; n <= s.High; n++ {
		names = append(names, s.Name+strconv.Itoa(n))
	}
	return names
}

// Has says whether name is that of the line's server, or of one of its slots.
func (s *Server) Has(name string) bool {
	if !s.Template() {
		return s.Name == name
	}
	n, err := strconv.Atoi(strings.TrimPrefix(name, s.Name))
	return err == nil && n >= s.Low && n <= s.High && name == fmt.Sprintf("%s%d", s.Name, n)
}
