package config

import (
	"slices"
	"strings"
	"time"

	"waggle/pkg/sample"
)

func tcpRuleDirectives() []directive {
	list := func(of func(*proxyState) *[]TCPRule, where sample.Where) func(*statement) {
		return func(s *statement) { s.tcpRule(of(s.p.proxy), where) }
	}
	const priorities = "|set-priority-class|set-priority-offset <expression>"
	const actions = "accept|reject|silent-drop [rst-ttl <hops>]|track-sc0|track-sc1|track-sc2 <key> [table <name>]|sc-inc-gpc0(<counter>)|sc-inc-gpc1(<counter>)|sc-set-gpt0(<counter>) <number>|<expression>|set-var(<scope>.<name>) <expression>|unset-var(<scope>.<name>) [if|unless <condition>]"
	return []directive{
		{name: "tcp-request connection", in: frontOrDef, args: "expect-proxy layer4|" + actions, doc: "takes or refuses connections before anything is read", parse: list(func(p *proxyState) *[]TCPRule { return &p.TCPConnection }, sample.AtConnection)},
		{name: "tcp-request session", in: frontOrDef, args: actions, doc: "the same, when the PROXY header has been read", parse: list(func(p *proxyState) *[]TCPRule { return &p.TCPSession }, sample.AtConnection)},
		{name: "tcp-request content", in: anyProxy, args: strings.Replace(actions, " [if|unless", priorities+" [if|unless", 1), doc: "takes or refuses requests in HTTP mode, connections in TCP mode, by what the client sends first: fetches of a request see one that it begins with", parse: list(func(p *proxyState) *[]TCPRule { return &p.TCPContent }, sample.AtRequest)},
		{name: "tcp-request inspect-delay", in: anyProxy, args: "<time>", doc: "longest time for content to come; in HTTP mode timeout http-request bounds it too", parse: func(s *statement) {
			s.duration(time.Millisecond, &s.p.proxy.InspectDelay)
		}},
	}
}

// otherTCPActions are those of HAProxy 3.2 that are not supported.
const otherTCPActions = `attach-srv capture do-log do-resolve expect-netscaler-cip sc-add-gpc sc-inc-gpc sc-set-gpt
	send-spoe-group set-bandwidth-limit set-bc-mark set-bc-tos set-dst set-dst-port set-fc-mark set-fc-tos set-log-level set-mark set-nice
	set-src set-src-port set-tos set-var-fmt switch-mode use-service`

// tcpRule reads a rule into a list.
func (s *statement) tcpRule(list *[]TCPRule, where sample.Where) {
	if !s.mayHaveRules() {
		return
	}
	name, scope, scoped := strings.Cut(s.text(0), "(")
	rule, i, what := TCPRule{Pos: s.at(-1)}, 1, "'"+s.name()+" "+name+"'"
	if slices.Contains(strings.Fields(otherTCPActions), name) {
		s.unsupported(0, what)
		return
	}
	if data := countedData(name); data != "" {
		r := &ruleParser{statement: s, set: onRequest, rule: &HTTPRule{}, what: what, i: 1}
		if !r.counter(scope) || data == "gpt0" && !r.tagAt(where) {
			return
		}
		rule.Action, rule.Table = TCPIncGPC, data
		if data == "gpt0" {
			rule.Action = TCPSetGPT
		}
		rule.Counter, rule.Number, rule.Expr, i = r.rule.Slot, r.rule.Bytes, r.rule.Expr, r.i
	} else if scoped {
		if name != "set-var" && name != "unset-var" {
			s.errorf(0, "unknown action '%s' in '%s'", s.text(0), s.name())
			return
		}
		// The rest of the line is that of an HTTP rule of the same name.
		r := &ruleParser{statement: s, set: onRequest, rule: &HTTPRule{}, what: what, i: 1}
		if !r.variable(scope) {
			return
		}
		rule.Action = TCPUnsetVar
		if name == "set-var" {
			rule.Action = TCPSetVar
			if !r.expressionAt(where) {
				return
			}
		}
		rule.Var, rule.Expr, i = r.rule.Var, r.rule.Expr, r.i
	} else if n := strings.TrimPrefix(name, "track-sc"); n == "0" || n == "1" || n == "2" {
		r := &ruleParser{statement: s, set: onRequest, rule: &HTTPRule{}, what: what, i: 1}
		if !r.expressionAt(where) || !r.trackedTable() {
			return
		}
		rule.Action = TCPTrack0 + TCPAction(n[0]-'0')
		rule.Expr, rule.Table, i = r.rule.Expr, r.rule.Target, r.i
	} else if s.name() == "tcp-request content" && strings.HasPrefix(name, "set-priority-") {
		r := &ruleParser{statement: s, set: onRequest, rule: &HTTPRule{}, what: what, i: 1}
		if !r.expressionAt(where) {
			return
		}
		rule.Action = TCPSetPriorityClass
		if name == "set-priority-offset" {
			rule.Action = TCPSetPriorityOffset
		}
		rule.Expr, i = r.rule.Expr, r.i
	} else {
		actions := []string{"accept", "reject", "silent-drop"}
		if s.name() == "tcp-request connection" {
			actions = append(actions, "expect-proxy")
		}
		if !s.oneOf(0, "action", actions...) {
			return
		}
		switch name {
		case "reject":
			rule.Action = TCPReject
		case "silent-drop":
			r := &ruleParser{statement: s, rule: &HTTPRule{}, what: what, i: 1}
			if !r.silentDrop() {
				return
			}
			rule.Action, rule.Hops, i = TCPSilentDrop, r.rule.Hops, r.i
		case "expect-proxy":
			if s.text(1) != "layer4" {
				s.errorf(0, "%s expects 'layer4'", what)
				return
			}
			rule.Action, i = TCPExpectProxy, 2
		}
	}
	var ok bool
	if rule.Cond, ok = s.conditionAt(i, what, where); ok {
		s.takesTurn(map[string]turn{"connection": turnTCPConnection, "session": turnTCPSession, "content": turnTCPContent}[s.keyword[1].text])
		*list = append(*list, rule)
	}
}
