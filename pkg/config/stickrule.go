package config

import "waggle/pkg/sample"

// StickRule is one `stick` line: who comes with a known key goes to the server that the table has of it, and a table
// learns the server that the key was sent to.
type StickRule struct {
	Pos          Pos
	Key          *sample.Expr
	Table        string // "" = the backend's own
	Match, Store bool
	Cond         *sample.Cond // nil = always
}

func stickRuleDirectives() []directive {
	rule := func(name, doc string, match, store bool) directive {
		return directive{name: "stick " + name, in: backSide, args: "<key> [table <name>] [if|unless <condition>]", doc: doc,
			parse: func(s *statement) { s.stickRule(match, store) }}
	}
	return []directive{
		rule("match", "sends who comes with a key that the stick table knows to the server that it has of it", true, false),
		rule("on", "stick match and stick store-request in one", true, true),
		rule("store-request", "has the stick table learn the server that a key of the request, or connection, is sent to", false, true),
	}
}

func (s *statement) stickRule(match, store bool) {
	r := &ruleParser{statement: s, set: onRequest, rule: &HTTPRule{}, what: "'" + s.name() + "'"}
	if len(s.args) == 0 {
		s.errorf(-1, "%s expects an expression", r.what)
		return
	}
	if !r.track() {
		return
	}
	out := StickRule{Pos: s.at(-1), Key: r.rule.Expr, Table: r.rule.Target, Match: match, Store: store}
	var ok bool
	if out.Cond, ok = s.condition(r.i, r.what); ok {
		s.p.proxy.Stick = append(s.p.proxy.Stick, out)
	}
}
