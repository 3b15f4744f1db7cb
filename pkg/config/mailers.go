package config

import (
	"slices"
	"strings"
	"time"
)

// mailersSection is a `mailers` section (HAProxy's manual, chapter 3.6). It is read so that mistakes in it are found, and
// forgotten: no mail is sent, which every proxy that asks for some is warned of.
type mailersSection struct {
	pos  Pos
	name string
	used bool
}

// emailAlert is what the `email-alert` lines of a proxy have said.
type emailAlert struct {
	at       Pos // of the first of its own; zero: there is none
	from, to bool
	mailers  *nameUse
}

// mailLevels are the levels of events that may be mailed.
var mailLevels = strings.Fields("emerg alert crit err warning notice info debug")

func mailersDirectives() []directive {
	alert := func(what, args, doc string, parse func(*statement, *emailAlert)) directive {
		return directive{name: "email-alert " + what, in: anyProxy, args: args, doc: doc + "; no mail is sent, which is said with a warning", parse: func(s *statement) {
			a := &s.p.proxy.emailAlert
			if parse(s, a); a.at == (Pos{}) {
				a.at = s.at(-1)
			}
		}}
	}
	const address = "an address"
	return []directive{
		{name: "mailer", in: inMailers, args: "<name> <address>:<port>", doc: "a mail server; none is spoken to", parse: (*statement).mailer},
		{name: "timeout mail", in: inMailers, args: "<time>", doc: "for the mail server to take a mail", parse: func(s *statement) {
			var unused time.Duration
			s.duration(time.Millisecond, &unused)
		}},
		alert("from", "<address>", "who mails are from", func(s *statement, a *emailAlert) { _, a.from = s.one(address) }),
		alert("to", "<address>", "whom they go to", func(s *statement, a *emailAlert) { _, a.to = s.one(address) }),
		alert("level", "<level>", "what is worth one", func(s *statement, _ *emailAlert) { s.oneOf(0, "level", mailLevels...) }),
		alert("myhostname", "<name>", "what this host calls itself", func(s *statement, _ *emailAlert) { s.one("a host name") }),
		alert("mailers", "<section>", "which servers take them", func(s *statement, a *emailAlert) {
			if name, ok := s.one("the name of a mailers section"); ok {
				a.mailers = &nameUse{at: s.at(0), name: name}
			}
		}),
	}
}

func (p *parser) enterMailers(s *statement) {
	m := &mailersSection{pos: s.at(-1)}
	name, ok := s.one("a name")
	if !ok || !s.checkSectionName(name) {
		return
	}
	m.name = name
	if other := p.mailersNamed(name); other != nil {
		s.errorf(0, "mailers section '%s' has the same name as the one declared at %s", name, other.pos)
		return
	}
	p.mailers = append(p.mailers, m)
}

func (p *parser) mailersNamed(name string) *mailersSection {
	if i := slices.IndexFunc(p.mailers, func(m *mailersSection) bool { return m.name == name }); i >= 0 {
		return p.mailers[i]
	}
	return nil
}

// mailer reads `<name> <address>:<port>`, of which only the form is looked at.
func (s *statement) mailer() {
	name := s.text(0)
	if name == "" || s.text(1) == "" {
		s.errorf(-1, "'mailer' expects <name> and <addr>:<port> as arguments")
		return
	}
	if !s.checkName("mailer", name) {
		return
	}
	if srv, ok := s.checkAddress(); ok && !srv.HasPort {
		s.errorf(1, "'mailer %s' : missing port specification in '%s'", name, s.text(1))
	}
}

// checkEmailAlert says what comes of the mails that a proxy asks for: as HAProxy does where a part of what is needed is
// missing, and where nothing is, that we send none.
func (p *parser) checkEmailAlert(s *proxyState) {
	a := &s.emailAlert
	switch {
	case a.at == (Pos{}):
		return
	case !a.from || !a.to || a.mailers == nil:
		p.warn(a.at, "%s '%s' : 'email-alert' is ignored without each of 'email-alert from', 'email-alert to' and 'email-alert mailers'", s.Kind, s.Name)
		return
	}
	m := p.mailersNamed(a.mailers.name)
	if m == nil {
		p.alert(a.mailers.at, "%s '%s' : unable to find mailers section '%s' that is named here", s.Kind, s.Name, a.mailers.name)
		return
	}
	m.used = true
	p.warn(a.at, "%s '%s' : no mail is sent about its servers yet; their changes are in the log, and in the metrics, which can be watched", s.Kind, s.Name)
}

// checkMailers warns, as HAProxy does, of sections that are of no use.
func (p *parser) checkMailers() {
	for _, m := range p.mailers {
		if !m.used {
			p.warn(m.pos, "no proxy uses the mailers section '%s'", m.name)
		}
	}
}
