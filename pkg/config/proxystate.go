package config

import (
	"maps"
	"slices"

	"waggle/pkg/sample"
)

// proxyState is a proxy, or a defaults section, while it is read.
type proxyState struct {
	Proxy
	defaultServer Server

	serverAt         map[string]Pos // where each server's name was taken
	idAt             map[int]Pos    // and each server's id
	redirects        []HTTPRule     // run after all http-request rules
	defaultBackendAt Pos
	useBackendAt     Pos            // of the last use_backend, to warn of rules behind it
	resolversAt      map[string]Pos // where each resolvers section was first asked for
	referenced       bool           // of a defaults section: named by a `from`
	bindWritten      bool           // also if the line was wrong
	httpChecked      bool           // option httpchk was written
	httpConditions   []Pos          // conditions that look at a request
}

// newProxyState has HAProxy's defaults.
func newProxyState() *proxyState {
	s := &proxyState{}
	s.Retries = 3
	s.Balance.Algorithm = "roundrobin"
	s.Options.RedispatchInterval = -1
	s.defaultServer.Weight = 1
	s.defaultServer.Check.Rise, s.defaultServer.Check.Fall = 2, 3
	return s
}

// derive gives a proxy that begins with what a defaults section says and shares no memory with it
// that either could change.
func (s *proxyState) derive() *proxyState {
	d := *s
	d.Logs = slices.Clone(s.Logs)
	d.ErrorFiles = maps.Clone(s.ErrorFiles)
	d.Balance.Args = slices.Clone(s.Balance.Args)
	d.ACLs = maps.Clone(s.ACLs)
	d.HTTPRequest = slices.Clone(s.HTTPRequest)
	d.redirects = slices.Clone(s.redirects)
	d.defaultServer = s.defaultServer.clone()
	if s.HTTPCheck != nil {
		check := *s.HTTPCheck
		check.Headers = slices.Clone(check.Headers)
		check.ExpectStatus = slices.Clone(check.ExpectStatus)
		d.HTTPCheck = &check
	}
	if s.Stats != nil {
		stats := *s.Stats
		stats.Auth = slices.Clone(stats.Auth)
		stats.Scope = slices.Clone(stats.Scope)
		d.Stats = &stats
	}
	d.serverAt, d.idAt, d.referenced = nil, nil, false
	d.resolversAt = maps.Clone(s.resolversAt)
	d.useBackendAt, d.httpConditions = Pos{}, nil
	return &d
}

func (s *Server) clone() Server {
	c := *s
	c.ResolveNet = slices.Clone(s.ResolveNet)
	c.InitAddr = slices.Clone(s.InitAddr)
	c.Params = slices.Clone(s.Params)
	return c
}

// acl gives a named ACL of the proxy, or nil.
func (s *proxyState) acl(name string) *sample.ACL { return s.ACLs[name] }

// noteResolvers keeps where a resolvers section was first asked for.
func (s *proxyState) noteResolvers(name string, at Pos) {
	if s.resolversAt == nil {
		s.resolversAt = make(map[string]Pos)
	}
	if _, ok := s.resolversAt[name]; !ok {
		s.resolversAt[name] = at
	}
}
