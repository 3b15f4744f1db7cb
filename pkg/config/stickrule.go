package config

import "waggle/pkg/sample"

// StickRule is one `stick` line: who comes with a known key goes to the server that the table has of it, and a table
// learns the server that the key was sent to.
type StickRule struct {
	Pos          Pos
	Key          *sample.Expr
	Table        string // "" = the backend's own
	Match, Store bool
	Response     bool         // the key is the response's
	Cond         *sample.Cond // nil = always
}

func stickRuleDirectives() []directive {
	rule := func(name, doc string, kind StickRule) directive {
		return directive{name: "stick " + name, in: backSide, args: "<key> [table <name>] [if|unless <condition>]", doc: doc,
			parse: func(s *statement) { s.stickRule(kind) }}
	}
	return []directive{
		rule("match", "sends who comes with a key that the stick table knows to the server that it has of it", StickRule{Match: true}),
		rule("on", "stick match and stick store-request in one", StickRule{Match: true, Store: true}),
		rule("store-request", "has the stick table learn the server that a key of the request, or connection, is sent to", StickRule{Store: true}),
		rule("store-response", "has the stick table learn the server by a key of its response", StickRule{Response: true}),
	}
}

// stickRule reads a rule of a kind.
func (s *statement) stickRule(out StickRule) {
	set := onRequest
	if out.Response {
		set = onResponse
	}
	r := &ruleParser{statement: s, set: set, rule: &HTTPRule{}, what: "'" + s.name() + "'"}
	if len(s.args) == 0 {
		s.errorf(-1, "%s expects an expression", r.what)
		return
	}
	if !r.track() {
		return
	}
	out.Pos, out.Key, out.Table = s.at(-1), r.rule.Expr, r.rule.Target
	var ok bool
	if out.Cond, ok = s.conditionAt(r.i, r.what, set.where()); ok {
		s.p.proxy.Stick = append(s.p.proxy.Stick, out)
	}
}
