package config

import "strconv"

// maxCapture bounds the length of what is kept of a message for the log.
const maxCapture = 65535

// CookieCapture is a `capture cookie` line: which cookie of requests and responses the log shows, and how much of it.
type CookieCapture struct {
	Prefix string // of the cookie as written, `name=value`; "" is none
	Length int
}

// captureUse is a rule that fills a slot by its number, which may be declared behind it.
type captureUse struct {
	at       Pos
	slot     int
	response bool
}

// captureHeader reads `capture request|response header <name> len <n>`.
func (s *statement) captureHeader(slots *[]Capture) {
	name := s.text(0)
	if !isToken(name) || s.text(1) != "len" || len(s.args) < 3 {
		s.errorf(-1, "'%s' expects <name> 'len' <length>", s.name())
		return
	}
	if n, ok := s.integer(2, 1, maxCapture); ok && s.atMost(3) {
		*slots = append(*slots, Capture{Header: name, Length: n})
	}
}

// captureCookie reads `capture cookie <name> len <n>`. There is one: a later line takes the place of an earlier one.
func (s *statement) captureCookie() {
	if s.text(0) == "" || s.text(1) != "len" || len(s.args) < 3 {
		s.errorf(-1, "'capture cookie' expects <name> 'len' <length>")
		return
	}
	if n, ok := s.integer(2, 1, maxCapture); ok && s.atMost(3) {
		s.p.proxy.CookieCapture = CookieCapture{Prefix: s.text(0), Length: n}
	}
}

// declareCapture reads `declare capture request|response len <n>`.
func (s *statement) declareCapture() {
	slots := &s.p.proxy.RequestCaptures
	switch s.text(0) {
	case "request":
	case "response":
		slots = &s.p.proxy.ResponseCaptures
	default:
		s.errorf(min(0, len(s.args)-1), "'declare capture' expects 'request' or 'response', not '%s'", s.text(0))
		return
	}
	if s.text(1) != "len" {
		s.errorf(min(1, len(s.args)-1), "'declare capture' expects 'len' and a length")
		return
	}
	if n, ok := s.integer(2, 1, maxCapture); ok && s.atMost(3) {
		*slots = append(*slots, Capture{Length: n})
	}
}

// checkCaptures looks for the slots that rules name.
func (p *parser) checkCaptures(s *proxyState) {
	for _, use := range s.captureUses {
		n := len(s.RequestCaptures)
		if use.response {
			n = len(s.ResponseCaptures)
		}
		if use.slot >= n {
			p.alert(use.at, "%s '%s' : unable to find capture id '%s' referenced by a capture rule", s.Kind, s.Name, strconv.Itoa(use.slot))
		}
	}
}
