package config

import (
	"fmt"
	"net/netip"
)

// Source is where connections to servers, those of checks included, come from: a `source` line or parameter
// (configuration manual, sections 4.2 and 5.2). The zero value leaves it to the system.
type Source struct {
	Written   bool
	Addr      netip.Addr // unspecified: the system chooses
	Low, High uint16     // range of ports, both included; 0 and 0: the system chooses
	Interface string     // that they leave by, whatever the routes say; "" = by the routes
}

// SourceOf is where connections to a server of the proxy come from: what its own line says counts before what the proxy says.
func (p *Proxy) SourceOf(srv *Server) Source {
	if srv.Source.Written {
		return srv.Source
	}
	return p.Source
}

// Given says whether it names an address.
func (s Source) Given() bool { return s.Addr.IsValid() && !s.Addr.IsUnspecified() }

const sourceArgs = "<address>[:<port>] [interface <name>]"

func sourceDirectives() []directive {
	return []directive{{
		name: "source", in: backOrDef, args: sourceArgs, doc: "the balancer's own address and interface for connections to servers and checks", parse: (*statement).source,
	}}
}

// source reads the line of a proxy, where HAProxy takes a port and no range of them.
func (s *statement) source() {
	if s.text(0) == "" {
		s.errorf(-1, "'source' expects %s", sourceArgs)
		return
	}
	if !s.expandAddress(0) {
		return
	}
	src, err := parseSource(s.text(0))
	if err == nil && src.Low != src.High {
		err = fmt.Errorf("a range of ports is for 'server' lines only, not '%s'", s.text(0))
	}
	if err != nil {
		s.errorf(0, "'source' : %s", err)
		return
	}
	for i := 1; i < len(s.args); i++ {
		switch s.text(i) {
		case "interface":
			if i++; !s.sourceInterface(i, &src) {
				return
			}
		case "usesrc":
			s.unsupported(i, "'usesrc', which needs a transparent proxy,")
			return
		default:
			s.errorf(i, "'source' knows 'interface' behind the address, not '%s'%s", s.text(i), didYouMean(s.text(i), []string{"interface"}))
			return
		}
	}
	s.p.proxy.Source = src
}

// maxInterface is the length of the longest name of an interface, IFNAMSIZ-1.
const maxInterface = 15

func (s *statement) sourceInterface(i int, src *Source) bool {
	switch name := s.text(i); {
	case name == "":
		s.errorf(i-1, "'interface' expects the name of an interface")
		return false
	case len(name) > maxInterface:
		s.errorf(i, "'interface' expects a name of at most %d characters, not '%s'", maxInterface, name)
		return false
	default:
		src.Interface = name
		return true
	}
}

// parseSource reads <address>[:<port>[-<port>]]. The address must be one: a name would be looked up once, at the start, and
// be wrong ever after.
func parseSource(text string) (src Source, err error) {
	a, err := parseAddress(text)
	if err != nil {
		return src, err
	}
	ip, literal, err := a.ip()
	if err != nil {
		return src, err
	}
	if !literal {
		return src, fmt.Errorf("expects an IP address, not '%s'", a.host)
	}
	src = Source{Written: true, Addr: ip}
	if a.port == "" || a.port == "0" {
		return src, nil
	}
	if a.port[0] == '+' || a.port[0] == '-' {
		return src, fmt.Errorf("expects a port, not the offset '%s'", a.port)
	}
	src.Low, src.High, err = a.ports()
	return src, err
}

// sourceParams are those of server lines: `interface` belongs to the `source` before it.
func sourceParams() []serverParam {
	return []serverParam{
		{name: "source", args: "<address>[:<port>[-<port>]]", doc: "the balancer's own address for connections to it and for its checks", parse: func(s *Server, v string) (err error) {
			src, err := parseSource(v)
			if err == nil {
				s.Source = src
			}
			return err
		}},
		{name: "interface", args: "<name>", doc: "behind source: the interface that they leave by", inStatement: func(s *statement, at int, _ string, srv *Server) {
			if at < 3 || s.text(at-3) != "source" {
				s.errorf(at-1, "'%s' : 'interface' stands behind 'source <address>'", s.serverName(srv))
				return
			}
			s.sourceInterface(at, &srv.Source)
		}},
	}
}
