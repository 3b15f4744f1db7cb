package config

import (
	"fmt"
	"slices"
	"time"

	"waggle/pkg/sample"
)

// section is a kind of section that waggle does not support as a whole.
type section struct{ name, doc string }

// otherSections are the sections of HAProxy 3.2 that are errors here.
func otherSections() []section {
	return []section{
		{"acme", "an account at a certificate authority"},
		{"cache", "a cache for responses"},
		{"crt-store", "certificates by name"},
		{"fcgi-app", "a FastCGI application"},
		{"log-forward", "a syslog relay"},
		{"log-profile", "what is logged at which step"},
		{"program", "another program to run"},
		{"spoe-agent", "an agent for stream processing"},
		{"spoe-group", "messages to such an agent"},
		{"spoe-message", "a message to such an agent"},
		{"traces", "tracing of HAProxy's own code"},
	}
}

// enterSection starts the section that a line names; false means that the line names none.
func (p *parser) enterSection(s *statement) bool {
	keyword := s.keyword[0].text
	switch keyword {
	case "global":
		p.start(keyword, inGlobal)
		s.atMost(0)
	case "defaults":
		p.start(keyword, inDefaults)
		p.enterDefaults(s)
	case "frontend":
		p.start(keyword, inFrontend)
		p.enterProxy(s, Frontend)
	case "backend":
		p.start(keyword, inBackend)
		p.enterProxy(s, Backend)
	case "listen":
		p.start(keyword, inListen)
		p.enterProxy(s, Listen)
	case "http-errors":
		p.start(keyword, inHTTPErrors)
		p.enterHTTPErrors(s)
	case "userlist":
		p.start(keyword, inUserlist)
		p.enterUserlist(s)
	case "ring":
		p.start(keyword, inRing)
		p.enterRing(s)
	case "peers":
		p.start(keyword, inPeers)
		p.enterPeers(s)
	case "mailers":
		p.start(keyword, inMailers)
		p.enterMailers(s)
	case "resolvers":
		p.start(keyword, inResolvers)
		p.enterResolvers(s)
	default:
		for _, o := range otherSections() {
			if o.name == keyword {
				p.start(keyword, 0)
				p.skip = true
				s.unsupported(-1, fmt.Sprintf("section '%s' (%s)", o.name, o.doc))
				return true
			}
		}
		return false
	}
	return true
}

func (p *parser) start(keyword string, in sections) {
	p.leaveSection()
	p.section, p.in = keyword, in
}

func (p *parser) leaveSection() {
	p.section, p.in, p.skip = "", 0, false
	p.proxy, p.resolvers, p.errorSet, p.userlist, p.ring, p.peers = nil, nil, nil, nil, nil, nil
}

func (p *parser) enterDefaults(s *statement) {
	d := newProxyState()
	name, parent, ok := s.sectionName(false)
	if ok && parent != "" {
		if from := p.findDefaults(s, parent); from != nil {
			s.inherits(from, "defaults")
			d = from.derive()
		}
	}
	d.Name, d.Pos = name, s.at(-1)
	if name != "" {
		for _, other := range p.defaults { // one that is not in use yet is replaced
			if other.Name == name && other.referenced {
				s.errorf(0, "defaults section '%s' has the same name as the one declared at %s, which is in use", name, other.Pos)
			}
		}
	}
	p.defaults = append(p.defaults, d)
	p.proxy = d
}

func (p *parser) enterProxy(s *statement, kind Kind) {
	name, parent, ok := s.sectionName(true)
	base := newProxyState()
	switch {
	case ok && parent != "":
		if from := p.findDefaults(s, parent); from != nil {
			s.inherits(from, p.section)
			base = from.derive()
		}
	case len(p.defaults) > 0: // the last one before it applies, named or not (HAProxy's manual, chapter 4; 2.6 does so)
		from := p.defaults[len(p.defaults)-1]
		s.inherits(from, p.section)
		base = from.derive()
	}
	base.Kind, base.Name, base.Pos = kind, name, s.at(-1)
	base.Description, base.ID = "", 0
	p.proxy = base
	if name == "" {
		return // reported; the lines are still checked
	}
	others := p.named[name]
	p.proxies = append(p.proxies, base)
	if p.named == nil {
		p.named = make(map[string][]*proxyState)
	}
	p.named[name] = append(others, base)
	for _, other := range others {
		if other.Kind.HasFrontend() && kind.HasFrontend() || other.Kind.HasBackend() && kind.HasBackend() {
			s.errorf(0, "%s '%s' has the same name as %s '%s' declared at %s", p.section, name, other.Kind, name, other.Pos)
			return
		}
		s.warnf(0, "%s '%s' has the same name as %s '%s' declared at %s; later versions of HAProxy refuse that", p.section, name, other.Kind, name, other.Pos)
	}
}

// checkSectionName says whether the first argument can name a section.
func (s *statement) checkSectionName(name string) bool {
	return s.checkName("'"+s.name()+"'", name)
}

// checkName reports a first argument that cannot name what it is to name.
func (s *statement) checkName(of, name string) bool {
	valid := sample.ValidName(name)
	if !valid {
		s.errorf(0, "character '%c' is not permitted in %s name '%s'", badNameChar(name), of, name)
	}
	return valid
}

// sectionName reads `<name> [from <defaults>]`.
func (s *statement) sectionName(required bool) (name, parent string, ok bool) {
	args := s.args
	if len(args) > 0 && args[0].text != "from" {
		name = args[0].text
		s.checkSectionName(name)
		args = args[1:]
	}
	if name == "" && required {
		s.errorf(-1, "'%s' expects a name", s.name())
		return "", "", false
	}
	switch {
	case len(args) == 0:
		return name, "", true
	case args[0].text != "from":
		if s.p.in&inProxies != 0 {
			s.errorf(len(s.args)-len(args), "please use the 'bind' keyword for listening addresses")
		} else {
			s.atMost(1)
		}
		return name, "", false
	case len(args) == 1 || args[1].text == "":
		s.errorf(len(s.args)-1, "'from' expects the name of a defaults section")
		return name, "", false
	case len(args) > 2:
		s.errorf(len(s.args)-len(args)+2, "'%s' cannot handle unexpected argument '%s'", s.name(), args[2].text)
	}
	return name, args[1].text, true
}

func badNameChar(name string) rune {
	for _, r := range name {
		if !sample.ValidName(string(r)) {
			return r
		}
	}
	return '?'
}

func (p *parser) findDefaults(s *statement, name string) *proxyState {
	var names []string
	for _, d := range slices.Backward(p.defaults) {
		if d.Name == name {
			d.referenced = true
			return d
		}
		if d.Name != "" {
			names = append(names, d.Name)
		}
	}
	s.errorf(len(s.args)-1, "defaults section '%s' not found for %s '%s'%s", name, s.name(), s.text(0), didYouMean(name, names))
	return nil
}

func (p *parser) enterResolvers(s *statement) {
	r := &Resolvers{
		Pos: s.at(-1), Retries: 3, TimeoutResolve: time.Second, TimeoutRetry: time.Second,
		Hold: Hold{NX: 30 * time.Second, Other: 30 * time.Second, Refused: 30 * time.Second, Timeout: 30 * time.Second, Valid: 10 * time.Second},
	}
	p.resolvers = r
	name, ok := s.one("a name")
	if !ok {
		return
	}
	r.Name = name
	s.checkSectionName(name)
	for _, other := range p.cfg.Resolvers {
		if other.Name == name {
			s.errorf(0, "resolvers '%s' has the same name as resolvers '%s' declared at %s", name, name, other.Pos)
			return
		}
	}
	p.cfg.Resolvers = append(p.cfg.Resolvers, r)
}

// String gives the section's keyword.
func (k Kind) String() string {
	switch k {
	case Frontend:
		return "frontend"
	case Backend:
		return "backend"
	default:
		return "listen"
	}
}
