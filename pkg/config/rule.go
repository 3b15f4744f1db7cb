package config

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"waggle/pkg/sample"
)

func ruleDirectives() []directive {
	return []directive{
		{name: "acl", in: inProxies, args: "<name> <fetch> [flags] [patterns]", doc: "names a condition; several lines of a name are OR-ed", parse: (*statement).aclLine},
		{name: "use_backend", in: frontSide, args: "<backend> [if|unless <condition>]", doc: "the backend for requests or connections that match", parse: (*statement).useBackend},
		{name: "default_backend", in: frontOrDef, args: "<backend>", doc: "the backend for all others", parse: (*statement).defaultBackend},
		{name: "http-request", in: inProxies, args: "<action> [if|unless <condition>]", doc: "acts on requests", parse: (*statement).httpRequest},
		{name: "redirect", in: inProxies, args: "location|prefix|scheme <to> [code <n>] [if|unless <condition>]", doc: "answers with a redirect; runs after http-request", parse: func(s *statement) {
			if rule, ok := s.redirect(0); ok {
				s.p.proxy.redirects = append(s.p.proxy.redirects, rule)
			}
		}},
	}
}

func (s *statement) aclLine() {
	name := s.text(0)
	if name == "" || len(s.args) < 2 {
		s.errorf(-1, "'acl' expects a name and an expression")
		return
	}
	if !sample.ValidName(name) {
		s.errorf(0, "character '%c' is not permitted in acl name '%s'", badNameChar(name), name)
		return
	}
	if name == "or" {
		s.errorf(0, "'or' joins conditions and cannot be the name of an ACL")
		return
	}
	acl := s.p.proxy.acl(name)
	if acl == nil {
		acl = &sample.ACL{Name: name}
	}
	if err := acl.Add(texts(s.args[1:]), s.exprEnv(1)); err != nil {
		s.exprError(err, 1, "error detected while parsing ACL '"+name+"'")
	}
	if s.p.proxy.ACLs == nil { // also a faulty one, so that its uses are not reported as well
		s.p.proxy.ACLs = make(map[string]*sample.ACL)
	}
	s.p.proxy.ACLs[name] = acl
}

func texts(words []word) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w.text
	}
	return out
}

// exprError locates an error of the sample package at the word it is about.
func (s *statement) exprError(err error, first int, while string) {
	var e *sample.Error
	if !errors.As(err, &e) {
		s.errorf(first, "%s : %s", while, err)
		return
	}
	hint := ""
	if e.Got != "" {
		hint = didYouMean(e.Got, e.Valid)
	}
	s.errorf(first+e.Word, "%s : %s%s", while, e.Text, hint)
}

// condition compiles the rest of a line from argument i on, which may be empty.
func (s *statement) condition(i int, what string) (*sample.Cond, bool) {
	if i >= len(s.args) {
		return nil, true
	}
	if w := s.args[i].text; w != "if" && w != "unless" {
		s.errorf(i, "%s : expects 'if' or 'unless' followed by a condition, not '%s'", what, w)
		return nil, false
	}
	c, err := sample.ParseCond(texts(s.args[i:]), s.exprEnv(i))
	if err != nil {
		s.exprError(err, i, "error detected while parsing a condition of "+what)
		return nil, false
	}
	if c.NeedsHTTP() {
		s.p.proxy.httpConditions = append(s.p.proxy.httpConditions, s.at(i))
	}
	return c, true
}

func (s *statement) useBackend() {
	name := s.text(0)
	if name == "" {
		s.errorf(-1, "'use_backend' expects a backend name")
		return
	}
	s.p.proxy.useBackendAt = s.at(-1)
	if strings.Contains(name, "%[") {
		s.unsupported(0, "a backend name made by an expression")
		return
	}
	cond, ok := s.condition(1, "'use_backend'")
	if ok {
		s.p.proxy.UseBackend = append(s.p.proxy.UseBackend, UseBackend{Pos: s.at(0), Backend: name, Cond: cond})
	}
}

func (s *statement) defaultBackend() {
	if v, ok := s.one("a backend name"); ok {
		s.p.proxy.DefaultBackend = v
		s.p.proxy.defaultBackendAt = s.at(0)
	}
}

// otherActions are the actions of http-request that HAProxy 3.2 has and waggle does not.
const otherActions = `add-acl auth cache-use capture del-acl del-map disable-l7-retry do-log do-resolve early-hint normalize-uri pause reject replace-header
	replace-path replace-pathq replace-uri replace-value return sc-add-gpc sc-inc-gpc sc-inc-gpc0 sc-inc-gpc1 sc-set-gpt sc-set-gpt0 send-spoe-group set-bandwidth-limit
	set-bc-mark set-bc-tos set-dst set-dst-port set-fc-mark set-fc-tos set-log-level set-map set-mark set-method set-nice set-path set-pathq set-priority-class
	set-priority-offset set-query set-retries set-src set-src-port set-timeout set-tos set-uri set-var set-var-fmt silent-drop strict-mode tarpit track-sc0 track-sc1
	track-sc2 unset-var wait-for-body wait-for-handshake`

func (s *statement) httpRequest() {
	valid := []string{"allow", "deny", "use-service", "redirect", "set-header", "add-header", "del-header"}
	action := s.text(0)
	if base, _, _ := strings.Cut(action, "("); slices.Contains(strings.Fields(otherActions), base) {
		s.unsupported(0, "'http-request "+base+"'")
		return
	}
	if !s.oneOf(0, "action", valid...) {
		return
	}
	rule := HTTPRule{Pos: s.at(-1)}
	what := "'http-request " + action + "'"
	next, ok := 1, true
	switch action {
	case "allow":
		rule.Action = ActionAllow
	case "deny":
		next, ok = s.deny(&rule)
	case "use-service":
		rule.Action = ActionPrometheus
		if next = 2; s.text(1) != "prometheus-exporter" {
			s.errorf(1, "'http-request use-service' knows the service 'prometheus-exporter', not '%s'", s.text(1))
			return
		}
	case "redirect":
		rule, ok = s.redirect(1)
		next = len(s.args)
	default:
		next, ok = s.headerRule(action, &rule)
	}
	if !ok {
		return
	}
	if action != "redirect" {
		if rule.Cond, ok = s.condition(next, what); !ok {
			return
		}
	}
	if s.p.proxy.useBackendAt.Line > 0 {
		s.warnf(-1, "a 'http-request' rule placed after a 'use_backend' rule will still be processed before")
	}
	s.p.proxy.HTTPRequest = append(s.p.proxy.HTTPRequest, rule)
}

func (s *statement) deny(rule *HTTPRule) (next int, ok bool) {
	rule.Action, rule.Status = ActionDeny, 403
	next = 1
	if w := s.text(1); w != "status" && w != "deny_status" {
		if slices.Contains([]string{"content-type", "errorfiles", "file", "lf-file", "string", "lf-string", "hdr", "default-errorfiles", "errorfile"}, w) {
			s.unsupported(1, "'"+w+"' of 'http-request deny'")
			return next, false
		}
		return next, true
	}
	code, err := strconv.Atoi(s.text(2))
	if err != nil || code < 200 || code > 599 {
		s.errorf(min(2, len(s.args)-1), "'http-request deny' : '%s' expects a status code between 200 and 599", s.text(1))
		return next, false
	}
	rule.Status = code
	return 3, true
}

func (s *statement) headerRule(action string, rule *HTTPRule) (next int, ok bool) {
	rule.Action = map[string]HTTPAction{"set-header": ActionSetHeader, "add-header": ActionAddHeader, "del-header": ActionDelHeader}[action]
	rule.Target = s.text(1)
	if !isToken(rule.Target) {
		s.errorf(min(1, len(s.args)-1), "'http-request %s' expects the name of a header", action)
		return 0, false
	}
	if rule.Action == ActionDelHeader {
		if s.text(2) == "-m" {
			s.unsupported(2, "'-m' of 'http-request del-header'")
			return 0, false
		}
		return 2, true
	}
	if len(s.args) < 3 {
		s.errorf(-1, "'http-request %s' expects a value behind the name", action)
		return 0, false
	}
	rule.Value, ok = s.literal(2, "'http-request "+action+"'")
	return 3, ok
}

// literal gives an argument that HAProxy reads as a log format, of which only plain text is supported.
func (s *statement) literal(i int, what string) (string, bool) {
	text := s.text(i)
	plain := strings.ReplaceAll(text, "%%", "")
	if strings.Contains(plain, "%") {
		s.unsupported(i, "a '%' expression in "+what)
		return "", false
	}
	if strings.ContainsAny(text, "\r\n\x00") {
		s.errorf(i, "%s : a line end in '%q' would split the header", what, text)
		return "", false
	}
	return strings.ReplaceAll(text, "%%", "%"), true
}

// redirect reads `location|prefix|scheme <to> [code <n>] [if …]` from argument i on.
func (s *statement) redirect(i int) (HTTPRule, bool) {
	kinds := map[string]RedirectKind{"location": RedirectLocation, "prefix": RedirectPrefix, "scheme": RedirectScheme}
	rule := HTTPRule{Pos: s.at(-1), Action: ActionRedirect, Status: 302}
	what := "'" + s.name() + "'"
	for ; i < len(s.args); i++ {
		word := s.args[i].text
		switch word {
		case "location", "prefix", "scheme":
			if i++; s.text(i) == "" {
				s.errorf(i-1, "%s : missing argument for '%s'", what, word)
				return rule, false
			}
			target, ok := s.literal(i, what)
			if !ok {
				return rule, false
			}
			rule.RedirectKind, rule.Target = kinds[word], target
		case "code":
			i++
			code, err := strconv.Atoi(s.text(i))
			if err != nil || !slices.Contains([]int{301, 302, 303, 307, 308}, code) {
				s.errorf(i-1, "%s : 'code' expects 301, 302, 303, 307 or 308, not '%s'", what, s.text(i))
				return rule, false
			}
			rule.Status = code
		case "drop-query", "append-slash", "ignore-empty", "set-cookie", "set-cookie-fmt", "clear-cookie", "keep-query":
			s.unsupported(i, "'"+word+"' of 'redirect'")
			return rule, false
		case "if", "unless":
			if rule.Target == "" {
				s.errorf(i, "%s : expects 'location', 'prefix' or 'scheme' before the condition", what)
				return rule, false
			}
			var ok bool
			rule.Cond, ok = s.condition(i, what)
			return rule, ok
		default:
			s.errorf(i, "%s : unknown keyword '%s'%s", what, word, didYouMean(word, []string{"location", "prefix", "scheme", "code", "if", "unless"}))
			return rule, false
		}
	}
	if rule.Target == "" {
		s.errorf(-1, "%s : expects 'location', 'prefix' or 'scheme'", what)
		return rule, false
	}
	return rule, true
}
