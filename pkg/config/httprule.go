package config

import (
	"slices"
	"strings"

	"waggle/pkg/sample"
)

// ruleSet says in which sets of rules an action may stand.
type ruleSet uint8

const (
	onRequest ruleSet = 1 << iota
	onResponse
	onAfterResponse

	onAny = onRequest | onResponse | onAfterResponse
)

// where is the moment at which the rules of a set are run.
func (r ruleSet) where() sample.Where {
	if r == onRequest {
		return sample.AtRequest
	}
	return sample.AtResponse
}

// ruleAction is one row of the table of actions.
type ruleAction struct {
	name, args, doc string
	in              ruleSet
	action          HTTPAction
	parse           func(*ruleParser) bool // nil: there are no arguments
	// scoped says that the name is followed by a variable in parentheses, and filed by the name of a file.
	scoped, filed bool
	counted       string // the name is followed by the number of a counter in parentheses, of whose entry this data is changed
}

func ruleActions() []ruleAction {
	return []ruleAction{
		{name: "allow", doc: "ends the rules and lets the message pass", in: onAny, action: ActionAllow},
		{name: "deny", args: "[deny_status|status <code>] [content-type <type>] [string|lf-string|file|lf-file|errorfile <x>] [hdr <name> <format>]…", doc: "answers with an error: 403, or 502 in place of a response", in: onRequest | onResponse, action: ActionDeny, parse: (*ruleParser).deny},
		{name: "auth", args: "[realm <text>]", doc: "asks for a name and a password with 401; the realm is the proxy's name unless said", in: onRequest, action: ActionAuth, parse: (*ruleParser).auth},
		{name: "tarpit", args: "[deny_status|status <code>] …", doc: "keeps the client waiting for timeout tarpit, then answers with an error, 500 unless said", in: onRequest, action: ActionTarpit, parse: (*ruleParser).deny},
		{name: "reject", doc: "closes the connection without an answer", in: onRequest, action: ActionReject},
		{name: "silent-drop", args: "[rst-ttl <hops>]", doc: "forgets the connection without a word to the client; rst-ttl: after a reset that reaches no further", in: onRequest | onResponse, action: ActionSilentDrop, parse: (*ruleParser).silentDrop},
		{name: "set-timeout", args: "server|tunnel <time>|<expression>", doc: "replaces a timeout for the request, in backends; an expression gives milliseconds", in: onRequest, action: ActionSetTimeout, parse: (*ruleParser).setTimeout},
		{name: "set-src", args: "<expression>", doc: "replaces the client's address", in: onRequest, action: ActionSetSrc, parse: (*ruleParser).expression},
		{name: "use-service", args: "prometheus-exporter", doc: "answers with metrics", in: onRequest, action: ActionPrometheus, parse: (*ruleParser).service},
		{name: "redirect", args: "location|prefix|scheme <format> [code <n>] [drop-query] [append-slash] [ignore-empty] [set-cookie|clear-cookie <x>]", doc: "answers with a redirect; in place of a response only by location", in: onRequest | onResponse, action: ActionRedirect, parse: (*ruleParser).redirect},
		{name: "return", args: "[status <code>] [content-type <type>] [string|lf-string|file|lf-file|errorfile <x>] [hdr <name> <format>]…", doc: "answers with a response of our own", in: onRequest | onResponse, action: ActionReturn, parse: (*ruleParser).returns},
		{name: "set-header", args: "<name> <format>", doc: "replaces a header", in: onAny, action: ActionSetHeader, parse: (*ruleParser).header},
		{name: "add-header", args: "<name> <format>", doc: "adds a header", in: onAny, action: ActionAddHeader, parse: (*ruleParser).header},
		{name: "del-header", args: "<name> [-m str|beg|end|sub|reg]", doc: "removes headers", in: onAny, action: ActionDelHeader, parse: (*ruleParser).delHeader},
		{name: "replace-header", args: "<name> <regex> <format>", doc: "replaces the lines of a header that match", in: onAny, action: ActionReplaceHeader, parse: (*ruleParser).replaceHeader},
		{name: "replace-value", args: "<name> <regex> <format>", doc: "replaces the values of a header that match", in: onAny, action: ActionReplaceValue, parse: (*ruleParser).replaceHeader},
		{name: "set-method", args: "<format>", doc: "replaces the method; HEAD and CONNECT neither come nor go", in: onRequest, action: ActionSetMethod, parse: (*ruleParser).oneFormat},
		{name: "set-uri", args: "<format>", doc: "replaces the request target", in: onRequest, action: ActionSetURI, parse: (*ruleParser).oneFormat},
		{name: "set-path", args: "<format>", doc: "replaces the path and keeps the query", in: onRequest, action: ActionSetPath, parse: (*ruleParser).oneFormat},
		{name: "set-pathq", args: "<format>", doc: "replaces path and query", in: onRequest, action: ActionSetPathQuery, parse: (*ruleParser).oneFormat},
		{name: "set-query", args: "<format>", doc: "replaces the query", in: onRequest, action: ActionSetQuery, parse: (*ruleParser).oneFormat},
		{name: "replace-uri", args: "<regex> <format>", doc: "replaces the request target if it matches", in: onRequest, action: ActionReplaceURI, parse: (*ruleParser).replaceTarget},
		{name: "replace-path", args: "<regex> <format>", doc: "replaces the path if it matches", in: onRequest, action: ActionReplacePath, parse: (*ruleParser).replaceTarget},
		{name: "replace-pathq", args: "<regex> <format>", doc: "replaces path and query if they match", in: onRequest, action: ActionReplacePathQuery, parse: (*ruleParser).replaceTarget},
		{name: "set-var", args: "(<scope>.<name>) <expression>", doc: "sets a variable", in: onAny, action: ActionSetVar, parse: (*ruleParser).setVar, scoped: true},
		{name: "set-var-fmt", args: "(<scope>.<name>) <format>", doc: "sets a variable to a text", in: onAny, action: ActionSetVarFormat, parse: (*ruleParser).oneFormat, scoped: true},
		{name: "unset-var", args: "(<scope>.<name>)", doc: "forgets a variable", in: onAny, action: ActionUnsetVar, scoped: true},
		{name: "add-acl", args: "(<file>) <key format>", doc: "adds a pattern to the file that ACLs read with -f, until the next reload", in: onAny, action: ActionPutPattern, parse: (*ruleParser).patternKey, filed: true},
		{name: "del-acl", args: "(<file>) <key format>", doc: "removes it again", in: onAny, action: ActionDropPattern, parse: (*ruleParser).patternKey, filed: true},
		{name: "set-map", args: "(<file>) <key format> <value format>", doc: "gives a key of a map file a value, until the next reload; rules may add 32 MB to a file, and what would be more is left out and counted as a failed rewrite", in: onAny, action: ActionPutPattern, parse: (*ruleParser).patternValue, filed: true},
		{name: "del-map", args: "(<file>) <key format>", doc: "removes a key from a map file", in: onAny, action: ActionDropPattern, parse: (*ruleParser).patternKey, filed: true},
		{name: "track-sc0", args: "<key> [table <name>]", doc: "counts the request, up to its end, in the entry of the key in a stick table: the proxy's own unless named", in: onRequest, action: ActionTrack0, parse: (*ruleParser).track},
		{name: "track-sc1", args: "<key> [table <name>]", doc: "the same by another counter", in: onRequest, action: ActionTrack1, parse: (*ruleParser).track},
		{name: "track-sc2", args: "<key> [table <name>]", doc: "the same by a third", in: onRequest, action: ActionTrack2, parse: (*ruleParser).track},
		{name: "sc-inc-gpc0", args: "(<counter>)", doc: "counts one in the general purpose counter of the entry that a counter tracks: 0, 1 or 2", in: onAny, action: ActionIncGPC, counted: "gpc0"},
		{name: "sc-inc-gpc1", args: "(<counter>)", doc: "counts one in its second", in: onAny, action: ActionIncGPC, counted: "gpc1"},
		{name: "sc-set-gpt0", args: "(<counter>) <number>|<expression>", doc: "sets its tag", in: onAny, action: ActionSetGPT, parse: (*ruleParser).tag, counted: "gpt0"},
		{name: "capture", args: "<expression> len <n> | <expression> id <n>", doc: "keeps a value for the log", in: onAny, action: ActionCapture, parse: (*ruleParser).capture},
		{name: "set-log-level", args: "emerg|…|debug|silent", doc: "the level of the log line, or that there is none", in: onRequest | onResponse, action: ActionSetLogLevel, parse: (*ruleParser).logLevel},
		{name: "set-priority-class", args: "<expression>", doc: "the request's class in queues, -2047 to 2047: the lowest is served first", in: onRequest, action: ActionSetPriorityClass, parse: (*ruleParser).expression},
		{name: "set-priority-offset", args: "<expression>", doc: "milliseconds that are added to the time of its arrival in its class, -524287 to 524287", in: onRequest, action: ActionSetPriorityOffset, parse: (*ruleParser).expression},
		{name: "disable-l7-retry", doc: "the request is not sent again after it has reached a server", in: onRequest, action: ActionDisableRetry},
		{name: "wait-for-body", args: "time <time> [at-least <bytes>]", doc: "waits for the body, or for so many bytes of it, as far as tune.bufsize has room for it; 408 if it takes longer", in: onRequest, action: ActionWaitForBody, parse: (*ruleParser).waitForBody},
		{name: "set-status", args: "<code> [reason <text>]", doc: "replaces the status", in: onResponse | onAfterResponse, action: ActionSetStatus, parse: (*ruleParser).setStatus},
	}
}

// otherActions are the actions of HAProxy 3.2 that waggle does not have, wherever they may stand.
const otherActions = `cache-store cache-use do-log do-resolve early-hint normalize-uri pause
	sc-add-gpc sc-inc-gpc sc-set-gpt send-spoe-group set-bandwidth-limit
	set-bc-mark set-bc-tos set-dst set-dst-port set-fc-mark set-fc-tos set-mark set-nice
	set-retries set-src-port set-tos strict-mode wait-for-handshake`

// ruleParser reads one rule.
type ruleParser struct {
	*statement
	set  ruleSet
	rule *HTTPRule
	what string // for messages
	i    int    // the next argument
}

// httpRule reads a rule of a set.
func (s *statement) httpRule(set ruleSet) {
	if !s.mayHaveRules() {
		return
	}
	name, scope, scoped := strings.Cut(s.text(0), "(")
	a := s.findAction(name, set)
	if a == nil {
		return
	}
	r := &ruleParser{statement: s, set: set, rule: &HTTPRule{Pos: s.at(-1), Action: a.action}, what: "'" + s.name() + " " + name + "'", i: 1}
	switch {
	case a.filed && !r.file(scope):
		return
	case a.counted != "":
		if r.rule.Target = a.counted; !r.counter(scope) {
			return
		}
	case a.scoped && !scoped, scoped && !a.scoped && !a.filed:
		s.errorf(0, "%s expects a variable in parentheses behind its name, and nothing else has one", r.what)
		return
	case a.scoped && !r.variable(scope):
		return
	}
	if a.parse != nil && !a.parse(r) {
		return
	}
	var ok bool
	if r.rule.Cond, ok = s.conditionAt(r.i, r.what, set.where()); !ok {
		return
	}
	if set == onRequest {
		s.takesTurn(turnHTTPRequest)
	}
	s.addRule(set, *r.rule)
}

func (s *statement) addRule(set ruleSet, rule HTTPRule) {
	list := &s.p.proxy.HTTPRequest
	switch set {
	case onResponse:
		list = &s.p.proxy.HTTPResponse
	case onAfterResponse:
		list = &s.p.proxy.HTTPAfterResponse
	}
	if n := len(*list); n > 0 && (*list)[n-1].final() && s.p.proxy.Pos.before((*list)[n-1].Pos) {
		s.warnf(-1, "'%s' rules from here on never run: the one before ends them and has no condition", s.name())
	}
	*list = append(*list, rule)
}

// findAction finds an action, or reports that there is none.
func (s *statement) findAction(name string, set ruleSet) *ruleAction {
	actions := ruleActions()
	valid := make([]string, 0, len(actions))
	for i := range actions {
		if actions[i].in&set == 0 {
			continue
		}
		if actions[i].name == name {
			return &actions[i]
		}
		valid = append(valid, actions[i].name)
	}
	elsewhere := slices.ContainsFunc(actions, func(a ruleAction) bool { return a.name == name && set != onAfterResponse })
	if elsewhere || slices.Contains(strings.Fields(otherActions), name) {
		s.unsupported(0, "'"+s.name()+" "+name+"'")
		return nil
	}
	if name == "" {
		s.errorf(-1, "'%s' expects one of %s", s.name(), quoteList(valid))
		return nil
	}
	if strings.HasPrefix(name, "lua.") {
		s.errorf(0, "'%s' is an action of a Lua script, and waggle runs none", name)
		return nil
	}
	s.errorf(0, "unknown action '%s' in '%s', expected one of %s%s", name, s.name(), quoteList(valid), didYouMean(name, valid))
	return nil
}

// next gives the next argument unless it begins the condition.
func (r *ruleParser) next(expected string) (string, bool) {
	if w := r.text(r.i); r.i < len(r.args) && w != "if" && w != "unless" {
		r.i++
		return w, true
	}
	r.errorf(min(r.i, len(r.args)-1), "%s expects %s", r.what, expected)
	return "", false
}

// variable reads what stands in parentheses behind the name of an action.
func (r *ruleParser) variable(scope string) bool {
	name, closed := strings.CutSuffix(scope, ")")
	if !closed {
		r.errorf(0, "%s : missing closing ')'", r.what)
		return false
	}
	if name, condition, ok := strings.Cut(name, ","); ok {
		_ = name
		r.unsupported(0, "condition '"+condition+"' of "+r.what)
		return false
	}
	v, err := sample.ParseVarName(name)
	if err != nil {
		r.exprError(err, 0, r.what)
		return false
	}
	r.rule.Var = v
	return true
}
