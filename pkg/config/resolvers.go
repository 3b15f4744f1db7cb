package config

import (
	"time"
)

func resolversDirectives() []directive {
	return []directive{
		{name: "nameserver", in: inResolvers, args: "<name> [udp@|tcp@]<ip>[:port]", doc: "a DNS server to ask", parse: (*statement).nameserver},
		{name: "parse-resolv-conf", in: inResolvers, doc: "adds the name servers of /etc/resolv.conf", parse: func(s *statement) {
			if s.atMost(0) {
				s.p.resolvers.ParseResolvConf = true
			}
		}},
		{name: "resolve_retries", in: inResolvers, args: "<n>", doc: "queries before a name counts as failed", parse: func(s *statement) {
			s.number(1, 1000, &s.p.resolvers.Retries)
		}},
		{name: "accepted_payload_size", in: inResolvers, args: "<bytes>", doc: "the largest UDP answer that is announced", parse: func(s *statement) {
			s.number(512, 65535, &s.p.resolvers.PayloadSize)
		}},
		{name: "timeout resolve", in: inResolvers, args: "<time>", doc: "between two rounds of resolution", parse: func(s *statement) {
			s.duration(time.Millisecond, &s.p.resolvers.TimeoutResolve)
		}},
		{name: "timeout retry", in: inResolvers, args: "<time>", doc: "between two queries without an answer", parse: func(s *statement) {
			s.duration(time.Millisecond, &s.p.resolvers.TimeoutRetry)
		}},
		hold("nx", "the name does not exist", func(h *Hold) *time.Duration { return &h.NX }),
		hold("other", "any other error was answered", func(h *Hold) *time.Duration { return &h.Other }),
		hold("refused", "the query was refused", func(h *Hold) *time.Duration { return &h.Refused }),
		hold("timeout", "no answer came", func(h *Hold) *time.Duration { return &h.Timeout }),
		hold("valid", "a valid answer came, for names resolved on request", func(h *Hold) *time.Duration { return &h.Valid }),
		hold("obsolete", "an address is missing from a valid answer", func(h *Hold) *time.Duration { return &h.Obsolete }),
	}
}

func hold(what, when string, field func(*Hold) *time.Duration) directive {
	return directive{
		name: "hold " + what, in: inResolvers, args: "<time>", doc: "how long the last answer stays in use when " + when,
		parse: func(s *statement) { s.duration(time.Millisecond, field(&s.p.resolvers.Hold)) },
	}
}

// nameserver reads `<name> <address>`; the port defaults to 53.
func (s *statement) nameserver() {
	if s.text(0) == "" || s.text(1) == "" {
		s.errorf(-1, "'nameserver' expects <name> <address>[:<port>] as arguments")
		return
	}
	if len(s.args) > 2 {
		s.unsupported(2, "a parameter behind the address of 'nameserver'")
		return
	}
	n := Nameserver{Pos: s.at(-1), Name: s.text(0)}
	r := s.p.resolvers
	for _, other := range r.Nameservers {
		if other.Name == n.Name {
			s.errorf(0, "name server '%s' is already declared at %s", n.Name, other.Pos)
			return
		}
	}
	if !s.expandAddress(1) {
		return
	}
	a, err := parseAddress(s.text(1), "udp@", "tcp@", "udp4@", "udp6@", "tcp4@", "tcp6@")
	if err == nil {
		n.TCP = len(a.prefix) > 0 && a.prefix[0] == 't'
		n.Addr, err = a.literal(53)
	}
	if err != nil {
		s.errorf(1, "'nameserver' : %s", err)
		return
	}
	r.Nameservers = append(r.Nameservers, n)
}
