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
	const actions = "accept|reject|silent-drop [rst-ttl <hops>]|track-sc0|track-sc1|track-sc2 <key> [table <name>]|sc-inc-gpc0(<counter>)|sc-inc-gpc1(<counter>)|sc-set-gpt0(<counter>) <number>|<expression>|set-var(<scope>.<name>) <expression>|unset-var(<scope>.<name>)"
	const priorities = "|set-priority-class|set-priority-offset <expression>"
	const condition = " [if|unless <condition>]"
	return []directive{
		{name: "tcp-request connection", in: frontOrDef, args: "expect-proxy layer4|" + actions + condition, doc: "takes or refuses connections before anything is read", parse: list(func(p *proxyState) *[]TCPRule { return &p.TCPConnection }, sample.AtConnection)},
		{name: "tcp-request session", in: frontOrDef, args: actions + condition, doc: "the same, when the PROXY header has been read", parse: list(func(p *proxyState) *[]TCPRule { return &p.TCPSession }, sample.AtConnection)},
		{name: "tcp-request content", in: anyProxy, args: actions + priorities + condition, doc: "takes or refuses requests in HTTP mode, connections in TCP mode, by what the client sends first: fetches of a request see one that it begins with", parse: list(func(p *proxyState) *[]TCPRule { return &p.TCPContent }, sample.AtRequest)},
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
	name, _, _ := strings.Cut(s.text(0), "(")
	what := "'" + s.name() + " " + name + "'"
	if slices.Contains(strings.Fields(otherTCPActions), name) {
		s.unsupported(0, what)
		return
	}
	// What stands behind an action is what stands behind that of an HTTP rule.
	rule, r := TCPRule{Pos: s.at(-1)}, &ruleParser{statement: s, set: onRequest, rule: &HTTPRule{}, what: what, i: 1}
	if !r.tcpAction(&rule, where) {
		return
	}
	rule.Var, rule.Expr, rule.Hops, rule.Counter, rule.Number = r.rule.Var, r.rule.Expr, r.rule.Hops, r.rule.Slot, r.rule.Bytes
	var ok bool
	if rule.Cond, ok = s.conditionAt(r.i, what, where); ok {
		s.takesTurn(map[string]turn{"connection": turnTCPConnection, "session": turnTCPSession, "content": turnTCPContent}[s.keyword[1].text])
		*list = append(*list, rule)
	}
}

// tcpAction reads an action and its arguments.
func (r *ruleParser) tcpAction(rule *TCPRule, where sample.Where) bool {
	name, scope, scoped := strings.Cut(r.text(0), "(")
	content := r.name() == "tcp-request content"
	switch data := countedData(name); {
	case data == "gpt0":
		rule.Action, rule.Table = TCPSetGPT, data
		return r.counter(scope) && r.tagAt(where)
	case data != "":
		rule.Action, rule.Table = TCPIncGPC, data
		return r.counter(scope)
	case name == "set-var":
		rule.Action = TCPSetVar
		return r.variable(scope) && r.expressionAt(where)
	case name == "unset-var":
		rule.Action = TCPUnsetVar
		return r.variable(scope)
	case scoped:
		r.errorf(0, "unknown action '%s' in '%s'", r.text(0), r.name())
		return false
	case name == "track-sc0", name == "track-sc1", name == "track-sc2":
		rule.Action = TCPTrack0 + TCPAction(name[len(name)-1]-'0')
		ok := r.expressionAt(where) && r.trackedTable()
		rule.Table = r.rule.Target
		return ok
	case content && name == "set-priority-class":
		rule.Action = TCPSetPriorityClass
		return r.expressionAt(where)
	case content && name == "set-priority-offset":
		rule.Action = TCPSetPriorityOffset
		return r.expressionAt(where)
	default:
		return r.tcpVerdict(rule, name)
	}
}

// tcpVerdict reads an action that says what becomes of the connection.
func (r *ruleParser) tcpVerdict(rule *TCPRule, name string) bool {
	valid := []string{"accept", "reject", "silent-drop", "track-sc0", "track-sc1", "track-sc2", "sc-inc-gpc0", "sc-inc-gpc1", "sc-set-gpt0", "set-var", "unset-var"}
	switch r.name() {
	case "tcp-request connection":
		valid = append(valid, "expect-proxy")
	case "tcp-request content":
		valid = append(valid, "set-priority-class", "set-priority-offset")
	}
	if !r.oneOf(0, "action", valid...) {
		return false
	}
	switch name {
	case "reject":
		rule.Action = TCPReject
	case "silent-drop":
		rule.Action = TCPSilentDrop
		return r.silentDrop()
	case "expect-proxy":
		if r.text(1) != "layer4" {
			r.errorf(0, "%s expects 'layer4'", r.what)
			return false
		}
		rule.Action, r.i = TCPExpectProxy, 2
	}
	return true
}
