package config

import (
	"errors"
	"strings"

	"waggle/pkg/sample"
)

func ruleDirectives() []directive {
	return []directive{
		{name: "acl", in: anyProxy, args: "<name> <fetch> [flags] [patterns]", doc: "names a condition; several lines of a name are OR-ed", parse: (*statement).aclLine},
		{name: "use_backend", in: frontSide, args: "<backend> [if|unless <condition>]", doc: "the backend for requests or connections that match", parse: (*statement).useBackend},
		{name: "default_backend", in: frontOrDef, args: "<backend>", doc: "the backend for all others", parse: (*statement).defaultBackend},
		{name: "http-request", in: anyProxy, args: "<action> [if|unless <condition>]", doc: "acts on requests", parse: func(s *statement) { s.httpRule(onRequest) }},
		{name: "http-response", in: anyProxy, args: "<action> [if|unless <condition>]", doc: "acts on responses of servers", parse: func(s *statement) { s.httpRule(onResponse) }},
		{name: "http-after-response", in: anyProxy, args: "<action> [if|unless <condition>]", doc: "acts on all responses, our own included", parse: func(s *statement) { s.httpRule(onAfterResponse) }},
		{name: "redirect", in: frontSide | backSide, args: "location|prefix|scheme <format> [code <n>] … [if|unless <condition>]", doc: "answers with a redirect; runs after http-request", parse: (*statement).redirectLine},
	}
}

func (s *statement) aclLine() {
	if !s.mayHaveRules() {
		return
	}
	name := s.text(0)
	if name == "" || len(s.args) < 2 {
		s.errorf(-1, "'acl' expects a name and an expression")
		return
	}
	if !s.checkName("acl", name) {
		return
	}
	if name == "or" {
		s.errorf(0, "'or' joins conditions and cannot be the name of an ACL")
		return
	}
	acl := s.p.proxy.acl(name)
	if acl == nil {
		acl = &sample.ACL{}
	}
	env := s.exprEnv(1)
	env.Content = nil // it may not be used where that matters
	if err := acl.Add(texts(s.args[1:]), env); err != nil {
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

// mayHaveRules reports rules in a defaults section that has no name, which nobody could refer to.
func (s *statement) mayHaveRules() bool {
	if s.p.in == inDefaults && s.p.proxy.Name == "" {
		s.errorf(-1, "'%s' is not allowed in anonymous 'defaults' sections", s.name())
		return false
	}
	return true
}

// condition compiles the rest of a line from argument i on, which may be empty.
func (s *statement) condition(i int, what string) (*sample.Cond, bool) {
	return s.conditionAt(i, what, sample.AtRequest)
}

// conditionAt is condition for what is evaluated at a given moment.
func (s *statement) conditionAt(i int, what string, where sample.Where) (*sample.Cond, bool) {
	if i >= len(s.args) {
		return nil, true
	}
	if w := s.args[i].text; w != "if" && w != "unless" {
		s.errorf(i, "%s : expects 'if' or 'unless' followed by a condition, not '%s'", what, w)
		return nil, false
	}
	env := s.exprEnv(i)
	env.Where = where
	c, err := sample.ParseCond(texts(s.args[i:]), env)
	if err != nil {
		s.exprError(err, i, "error detected while parsing a condition of "+what)
		return nil, false
	}
	return c, true
}

func (s *statement) useBackend() {
	name := s.text(0)
	if name == "" {
		s.errorf(-1, "'use_backend' expects a backend name")
		return
	}
	s.takesTurn(turnUseBackend)
	u := UseBackend{Pos: s.at(0), Backend: name}
	var ok bool
	if strings.Contains(name, "%") {
		if u.Format, ok = s.format(0, "'use_backend'", sample.AtRequest); !ok {
			return
		}
		if text, fixed := u.Format.Literal(); fixed {
			u.Backend, u.Format = text, nil
		}
	}
	if u.Cond, ok = s.condition(1, "'use_backend'"); ok {
		s.p.proxy.UseBackend = append(s.p.proxy.UseBackend, u)
	}
}

func (s *statement) defaultBackend() {
	if v, ok := s.one("a backend name"); ok {
		s.p.proxy.DefaultBackend = v
		s.p.proxy.defaultBackendAt = s.at(0)
	}
}
