package config

// turn is when the rules of a kind run. Whatever the order of their lines, those of an earlier turn run first
// (HAProxy's manual, section 4, in the tables of rules; order and words of the warnings measured on 2.6).
type turn uint8

const (
	turnTCPConnection turn = iota
	turnTCPSession
	turnTCPContent
	turnMonitor
	turnHTTPRequest
	turnRedirect
	turnUseBackend
	turnUseServer
	numTurns
)

// turnNames are how warnings name them: what is behind, and what it stands behind.
var turnNames = [numTurns]struct{ name, behind string }{
	turnTCPConnection: {"tcp-request", ""}, // nothing runs before
	turnTCPSession:    {"tcp-request", "a 'tcp-request session'"},
	turnTCPContent:    {"tcp-request", "a 'tcp-request content'"},
	turnMonitor:       {"monitor fail", "a 'monitor fail'"},
	turnHTTPRequest:   {"http-request", "an 'http-request'"},
	turnRedirect:      {"redirect", "a 'redirect'"},
	turnUseBackend:    {"use_backend", "a 'use_backend'"},
	turnUseServer:     {"use-server", "a 'use-server'"},
}

// takesTurn notes a rule of the section, and warns if it stands behind one that runs later.
func (s *statement) takesTurn(t turn) {
	p := s.p.proxy
	p.turns |= 1 << t
	if t == turnUseBackend { // a frontend's, and servers are a backend's
		return
	}
	for later := t + 1; later < numTurns; later++ {
		if p.turns&(1<<later) != 0 {
			s.warnf(-1, "a '%s' rule placed after %s rule will still be processed before", turnNames[t].name, turnNames[later].behind)
			return
		}
	}
}

// final says whether nothing runs behind a rule without a condition. HAProxy counts neither reject nor services.
func (r *HTTPRule) final() bool {
	switch r.Action {
	case ActionAllow, ActionDeny, ActionTarpit, ActionAuth, ActionRedirect, ActionReturn:
		return r.Cond == nil
	}
	return false
}

// overrides warns, as HAProxy does in defaults sections only, of a log format that takes another one's place. by keeps who
// has set it last in this section.
func (s *statement) overrides(by *string) {
	if *by != "" && s.p.in == inDefaults {
		s.warnf(-1, "'%s' overrides previous '%s' in 'defaults' section", s.name(), *by)
	}
	*by = s.name()
}

// inherited are the rules that a defaults section hands down.
func (s *proxyState) inherited() int {
	return len(s.HTTPRequest) + len(s.HTTPResponse) + len(s.HTTPAfterResponse) + len(s.TCPConnection) + len(s.TCPSession) + len(s.TCPContent)
}

// inherits refuses what HAProxy refuses of a defaults section with rules: sections of both kinds, or of both sides.
func (s *statement) inherits(from *proxyState, kind string) {
	if from.inherited() == 0 {
		return
	}
	switch {
	case kind == "defaults" || kind == "listen":
		s.errorf(-1, "a %s section cannot inherit from a defaults section defining TCP/HTTP rules (declared at %s)", kind, from.Pos)
	case from.heir != "" && from.heir != kind:
		s.errorf(-1, "frontends and backends cannot inherit from the same defaults section if it defines TCP/HTTP rules (declared at %s)", from.Pos)
	}
	from.heir = kind
}

// checkLogFormats warns of a format that nothing will use.
func (p *parser) checkLogFormats(s *proxyState) {
	if !s.Kind.HasFrontend() || s.logFormat == nil && s.dataFormat == nil && !s.Options.HTTPLog && !s.Options.TCPLog {
		return
	}
	for _, l := range s.Logs {
		if !l.Inherit || len(p.cfg.Global.Logs) > 0 {
			return
		}
	}
	p.warn(s.Pos, "log format ignored for %s '%s' since it has no log address", s.Kind, s.Name)
}
