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

var turnNames = [numTurns]string{"tcp-request connection", "tcp-request session", "tcp-request content", "monitor fail", "http-request",
	"redirect", "use_backend", "use-server"}

// takesTurn notes a rule of the section, and warns if it stands behind one that runs later.
func (s *statement) takesTurn(t turn) {
	p := s.p.proxy
	p.turns |= 1 << t
	if t == turnUseBackend { // a frontend's, and servers are a backend's
		return
	}
	for later := t + 1; later < numTurns; later++ {
		if p.turns&(1<<later) != 0 {
			s.warnf(-1, "this '%s' rule runs before the '%s' rule above it, whatever the order of their lines", turnNames[t], turnNames[later])
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
		s.warnf(-1, "'%s' takes the place of '%s', which this section has set above", s.name(), *by)
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
		s.errorf(-1, "the defaults section at %s has rules, which a frontend or backend can take over, but no %s section", from.Pos, kind)
	case from.heir != "" && from.heir != kind:
		s.errorf(-1, "the defaults section at %s has rules, so either frontends or backends can take it over, not both", from.Pos)
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
	p.warn(s.Pos, "%s '%s' has a log format, but nowhere to log to: no 'log' line", s.Kind, s.Name)
}
