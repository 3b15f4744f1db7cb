package config

import "path/filepath"

// StateSource says where the servers of a backend find the states that they had before a restart.
type StateSource uint8

// The sources of load-server-state-from-file.
const (
	StateNone   StateSource = iota // nowhere; the default
	StateGlobal                    // in the file of all backends, server-state-file
	StateLocal                     // in the backend's own, server-state-file-name
)

var stateSources = map[string]StateSource{"none": StateNone, "global": StateGlobal, "local": StateLocal}

// ServerStateFile returns the file in which the servers of a backend find their states, "" for none: a name that is not
// absolute is one in server-state-base (HAProxy, section 3.1, server-state-base).
func (c *Config) ServerStateFile(p *Proxy) string {
	name := ""
	switch {
	case p.Disabled || !p.Kind.HasBackend():
		return ""
	case p.LoadServerState == StateGlobal:
		name = c.Global.ServerStateFile
	case p.LoadServerState == StateLocal && p.ServerStateFileName == "":
		name = p.Name
	case p.LoadServerState == StateLocal:
		name = p.ServerStateFileName
	}
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.Global.ServerStateBase, name)
}

func serverStateGlobals() []directive {
	path := func(name, doc, what string, field func(*Global) *string) directive {
		return directive{name: name, in: inGlobal, args: "<" + what + ">", doc: doc, parse: func(s *statement) {
			if v, ok := s.one("one argument: a " + what + " path"); ok {
				if at := field(&s.p.cfg.Global); *at == "" {
					*at = v
				} else {
					s.errorf(-1, "'%s' already specified", name)
				}
			}
		}}
	}
	return []directive{
		path("server-state-base", "where files of server states are, if their names are not absolute", "directory", func(g *Global) *string { return &g.ServerStateBase }),
		path("server-state-file", "the states of the servers of all backends, as 'show servers state' prints them; read at the start", "file", func(g *Global) *string { return &g.ServerStateFile }),
	}
}

func serverStateDirectives() []directive {
	return []directive{
		{name: "load-server-state-from-file", in: backOrDef, args: "global|local|none", doc: "where servers find at the start what they were before", parse: func(s *statement) {
			if v, ok := s.one("'global', 'local' or 'none'"); ok && s.oneOf(0, "source", "global", "local", "none") {
				s.p.proxy.LoadServerState = stateSources[v]
			}
		}},
		{name: "server-state-file-name", in: backOrDef, args: "[use-backend-name | <file>]", doc: "the backend's own file for 'local'; without it, and by default, the backend's name", parse: func(s *statement) {
			if !s.atMost(1) {
				return
			}
			name := s.text(0)
			if name == "use-backend-name" {
				name = ""
			}
			s.p.proxy.ServerStateFileName = name
		}},
	}
}
