package config

import (
	"net"
	"slices"
	"strings"
	"time"
)

// Ring is a `ring` section (HAProxy's manual, chapter 3.9): log lines in memory, that `show events` shows and that go to
// syslog servers.
type Ring struct {
	Pos                           Pos
	Name, Description             string
	Format                        string // of all its lines; "" is raw
	Size                          int    // in bytes
	MaxLength                     int    // of a line with its header
	ConnectTimeout, ServerTimeout time.Duration
	Servers                       []RingServer
}

// RingServer is a `server` line of a ring: a syslog server that is spoken to over TCP.
type RingServer struct {
	Pos           Pos
	Name, Address string // with its port
	OctetCount    bool   // log-proto octet-count
}

const (
	// ringSize is how large a ring is unless it says more, as in HAProxy.
	ringSize = 16384
	// BuiltInRing is the name of the ring that is always there (HAProxy's management guide, `show events`).
	BuiltInRing = "buf0"
	// builtInRingSize is that of HAProxy's.
	builtInRingSize = 1 << 20
)

// logFormats are the forms of the header of log lines.
func logFormats() []string {
	return []string{"local", "rfc3164", "rfc5424", "priority", "short", "timed", "iso", "raw"}
}

func ringDirectives() []directive {
	timeout := func(name, doc string, field func(*Ring) *time.Duration) directive {
		return directive{name: "timeout " + name, in: inRing, args: "<time>", doc: doc, parse: func(s *statement) { s.duration(time.Millisecond, field(s.p.ring)) }}
	}
	return []directive{
		{name: "description", in: inRing, args: "<text>", doc: "a text that 'show events' shows", parse: func(s *statement) {
			if s.text(0) == "" {
				s.errorf(-1, "'description' expects a text")
				return
			}
			s.p.ring.Description = s.rest()
		}},
		{name: "format", in: inRing, args: strings.Join(logFormats(), "|"), doc: "the header of its lines, whatever their log lines say; raw if it is not said", parse: func(s *statement) {
			if s.oneOf(0, "format", logFormats()...) && s.atMost(1) {
				s.p.ring.Format = s.text(0)
			}
		}},
		{name: "size", in: inRing, args: "<size>", doc: "how much of the log it keeps, from 16384 bytes on", parse: func(s *statement) { s.size(ringSize, &s.p.ring.Size) }},
		{name: "maxlen", in: inRing, args: "<length>", doc: "the length of a line with its header; by default the size", parse: func(s *statement) { s.size(1, &s.p.ring.MaxLength) }},
		timeout("connect", "for a connection to a server", func(r *Ring) *time.Duration { return &r.ConnectTimeout }),
		timeout("server", "for a server to take lines", func(r *Ring) *time.Duration { return &r.ServerTimeout }),
		{name: "timeout client", in: inRing, args: "<time>", doc: "a timeout", status: Ignored, why: "a ring has no clients"},
		{name: "server", in: inRing, args: "<name> <addr>:<port> [log-proto legacy|octet-count]", doc: "a syslog server that gets its lines over TCP", parse: (*statement).ringServer},
		{name: "backing-file", in: inRing, doc: "a file that keeps its lines", status: Unsupported},
	}
}

func (p *parser) enterRing(s *statement) {
	r := &Ring{Pos: s.at(-1), Size: ringSize}
	p.ring = r
	name, ok := s.one("a name")
	if !ok || !s.checkSectionName(name) {
		return
	}
	r.Name = name
	other := slices.IndexFunc(p.cfg.Rings, func(o *Ring) bool { return o.Name == name })
	switch {
	case name == BuiltInRing:
		s.errorf(0, "ring '%s' is always there and cannot be declared", name)
	case other >= 0:
		s.errorf(0, "ring '%s' has the same name as the one declared at %s", name, p.cfg.Rings[other].Pos)
	default:
		p.cfg.Rings = append(p.cfg.Rings, r)
	}
}

// ringServer reads `<name> <addr>:<port>` and the one parameter that is for rings.
func (s *statement) ringServer() {
	r := s.p.ring
	srv := RingServer{Pos: s.at(-1), Name: s.text(0), Address: s.text(1)}
	if srv.Name == "" || srv.Address == "" {
		s.errorf(-1, "'server' expects <name> and <addr>:<port> as arguments")
		return
	}
	for _, other := range r.Servers {
		if other.Name == srv.Name {
			s.errorf(0, "server '%s' of ring '%s' has the same name as the one declared at %s", srv.Name, r.Name, other.Pos)
			return
		}
	}
	if !s.expandAddress(1) {
		return
	}
	srv.Address = s.text(1)
	a, err := parseAddress(srv.Address, "tcp@", "tcp4@", "tcp6@")
	switch {
	case err != nil:
		s.errorf(1, "'server %s' : %s", srv.Name, err)
		return
	case a.port == "" || a.host == "":
		s.errorf(1, "'server %s' : '%s' is not an address with a port", srv.Name, srv.Address)
		return
	}
	if _, err := parsePort(a.port); err != nil {
		s.errorf(1, "'server %s' : %s", srv.Name, err)
		return
	}
	if _, _, err := a.ip(); err != nil {
		s.errorf(1, "'server %s' : %s", srv.Name, err)
		return
	}
	srv.Address = net.JoinHostPort(a.host, a.port)
	if len(s.args) > 2 {
		if s.text(2) != "log-proto" {
			s.unsupported(2, "'"+s.text(2)+"' on a 'server' line of a ring")
			return
		}
		valid := []string{"legacy", "octet-count"}
		if !slices.Contains(valid, s.text(3)) {
			s.errorf(min(3, len(s.args)-1), "'server %s' : 'log-proto' expects one of %s, not '%s'", srv.Name, quoteList(valid), s.text(3))
			return
		}
		srv.OctetCount = s.text(3) == "octet-count"
		if !s.atMost(4) {
			return
		}
	}
	r.Servers = append(r.Servers, srv)
}

// finishRings settles lengths, and checks that rings which are named are there.
func (p *parser) finishRings() {
	names := []string{BuiltInRing}
	for _, r := range p.cfg.Rings {
		names = append(names, r.Name)
		if r.MaxLength > r.Size {
			p.warn(r.Pos, "ring '%s' : 'maxlen' %d is longer than its size, which takes its place", r.Name, r.MaxLength)
		}
		if r.MaxLength == 0 || r.MaxLength > r.Size {
			r.MaxLength = r.Size
		}
	}
	for _, use := range p.ringUses {
		if !slices.Contains(names, use.name) {
			p.alert(use.at, "unable to find ring '%s' that is named here%s", use.name, didYouMean(use.name, names))
		}
		if use.name == BuiltInRing && !slices.ContainsFunc(p.cfg.Rings, func(r *Ring) bool { return r.Name == BuiltInRing }) {
			p.cfg.Rings = append(p.cfg.Rings, &Ring{Name: BuiltInRing, Description: "in-memory ring buffer", Format: "timed", Size: builtInRingSize, MaxLength: ringSize})
		}
	}
}
