package config

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"waggle/pkg/sample"
)

// format compiles argument i as a format for a message.
func (s *statement) format(i int, what string, where sample.Where) (*sample.Format, bool) {
	env := s.exprEnv(i)
	env.Where = where
	f, err := sample.ParseFormat(s.text(i), sample.MessageFormat, true, env)
	if err != nil {
		s.exprError(err, i, what)
		return nil, false
	}
	if strings.ContainsAny(s.text(i), "\r\n\x00") {
		s.errorf(i, "%s : a line end in '%q' would split the header", what, s.text(i))
		return nil, false
	}
	return f, true
}

// value compiles the next argument into Value, or into Format where it is not the same for all messages.
func (r *ruleParser) value(expected string) bool {
	if _, ok := r.next(expected); !ok {
		return false
	}
	f, ok := r.format(r.i-1, r.what, r.set.where())
	if !ok {
		return false
	}
	if text, fixed := f.Literal(); fixed {
		if text == "" && r.rule.Action != ActionSetVarFormat { // an environment variable that is not set, mostly
			r.errorf(r.i-1, "%s expects %s, which is not empty", r.what, expected)
			return false
		}
		r.rule.Value = text
	} else {
		r.rule.Format = f
	}
	return true
}

func (r *ruleParser) oneFormat() bool { return r.value("a format") }

func (r *ruleParser) headerName() bool {
	r.rule.Target = r.text(r.i)
	if !isToken(r.rule.Target) {
		r.errorf(min(r.i, len(r.args)-1), "%s expects the name of a header", r.what)
		return false
	}
	r.i++
	return true
}

func (r *ruleParser) header() bool {
	if !r.headerName() {
		return false
	}
	if len(r.args) < 3 {
		r.errorf(-1, "%s expects a value behind the name", r.what)
		return false
	}
	return r.value("a value behind the name")
}

var nameMatches = map[string]NameMatch{"str": NameIs, "beg": NameBegins, "end": NameEnds, "sub": NameContains, "reg": NameMatches}

func (r *ruleParser) delHeader() bool {
	if r.text(r.i+1) != "-m" {
		return r.headerName()
	}
	method := r.text(r.i + 2)
	match, ok := nameMatches[method]
	if !ok {
		r.errorf(min(r.i+2, len(r.args)-1), "%s : '-m' expects 'str', 'beg', 'end', 'sub' or 'reg', not '%s'", r.what, method)
		return false
	}
	r.rule.Match = match
	if match == NameMatches {
		if !r.regexp() {
			return false
		}
		r.i += 2
		return true
	}
	if !r.headerName() {
		return false
	}
	r.rule.Target = strings.ToLower(r.rule.Target)
	r.i += 2
	return true
}

// regexp compiles the next argument.
func (r *ruleParser) regexp() bool {
	text, ok := r.next("a regular expression")
	if !ok {
		return false
	}
	re, err := regexp.Compile(text)
	if err != nil {
		r.errorf(r.i-1, "%s : regex '%s' is invalid: %s", r.what, text, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return false
	}
	r.rule.Regexp = re
	return true
}

func (r *ruleParser) replaceHeader() bool {
	return r.headerName() && r.regexp() && r.value("a replacement behind the regular expression")
}

func (r *ruleParser) replaceTarget() bool {
	return r.regexp() && r.value("a replacement behind the regular expression")
}

func (r *ruleParser) service() bool {
	if got := r.text(1); got != "prometheus-exporter" {
		r.errorf(1, "'http-request use-service' knows the service 'prometheus-exporter', not '%s'", got)
		return false
	}
	r.i = 2
	return true
}

// expression compiles the next argument.
func (r *ruleParser) expression() bool { return r.expressionAt(r.set.where()) }

func (r *ruleParser) expressionAt(where sample.Where) bool {
	word, ok := r.next("an expression")
	if !ok {
		return false
	}
	env := r.exprEnv(r.i - 1)
	env.Where = where
	x, err := sample.ParseExpr(word, env)
	if err != nil {
		r.exprError(err, r.i-1, r.what)
		return false
	}
	r.rule.Expr = x
	return true
}

func (r *ruleParser) setVar() bool { return r.expression() }

func (r *ruleParser) logLevel() bool {
	valid := strings.Fields("emerg alert crit err warning notice info debug silent")
	level, ok := r.next("a level or 'silent'")
	if !ok || !r.oneOf(1, "level", valid...) {
		return false
	}
	r.rule.Target = level
	return true
}

func (r *ruleParser) setStatus() bool {
	word, ok := r.next("a status code between 200 and 999")
	if !ok {
		return false
	}
	code, err := strconv.Atoi(word)
	if err != nil || code < 200 || code > 999 {
		r.errorf(r.i-1, "%s expects a status code between 200 and 999, not '%s'", r.what, word)
		return false
	}
	r.rule.Status = code
	if r.text(r.i) != "reason" {
		return true
	}
	r.i++
	if r.rule.Target, ok = r.next("a text behind 'reason'"); !ok {
		return false
	}
	if strings.ContainsFunc(r.rule.Target, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		r.errorf(r.i-1, "%s : control characters cannot stand in a reason", r.what)
		return false
	}
	return true
}

// silentDrop reads `rst-ttl <hops>`.
func (r *ruleParser) silentDrop() bool {
	if r.text(r.i) != "rst-ttl" {
		return true
	}
	r.i++
	text, ok := r.next("a number of hops behind 'rst-ttl'")
	if !ok {
		return false
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 255 {
		r.errorf(r.i-1, "%s : 'rst-ttl' expects a number from 1 to 255, not '%s'", r.what, text)
		return false
	}
	r.rule.Hops = n
	return true
}

// setTimeout reads `server|tunnel` and a time, or an expression.
func (r *ruleParser) setTimeout() bool {
	if r.p.in&(inBackend|inListen|inDefaults) == 0 {
		r.errorf(0, "%s : '%s' has no servers whose timeouts could be set; the rule belongs in a backend", r.what, r.p.proxy.Name)
		return false
	}
	which, ok := r.next("'server' or 'tunnel'")
	if !ok || !r.oneOf(r.i-1, "timeout", "server", "tunnel") {
		return false
	}
	r.rule.Target = which
	text, ok := r.next("a time or an expression")
	if !ok {
		return false
	}
	if text == "" || text[0] < '0' || text[0] > '9' {
		r.i--
		return r.expression()
	}
	d, err := parseTime(text, which, time.Millisecond)
	if err == nil && d == 0 {
		err = errors.New("0 is no time that can be set")
	}
	if err != nil {
		r.errorf(r.i-1, "%s : %s", r.what, err)
		return false
	}
	r.rule.Time = d
	return true
}

// waitForBody reads `time <time>` and `at-least <bytes>`.
func (r *ruleParser) waitForBody() bool {
	timed := false
	for r.i < len(r.args) {
		word, at := r.args[r.i].text, r.i
		if word != "time" && word != "at-least" {
			break
		}
		r.i++
		text, ok := r.next("a value behind '" + word + "'")
		if !ok {
			return false
		}
		var err error
		if word == "time" {
			timed = true
			r.rule.Time, err = parseTime(text, word, time.Millisecond)
		} else {
			var n int
			n, err = parseSize(text, word)
			r.rule.Bytes = int64(n)
		}
		if err != nil {
			r.errorf(at+1, "%s : %s", r.what, err)
			return false
		}
	}
	if !timed {
		r.errorf(-1, "%s expects 'time' and how long to wait", r.what)
	}
	return timed
}

// capture reads `<expression> len <n>`, which makes a slot, or `<expression> id <n>`.
func (r *ruleParser) capture() bool {
	if !r.expression() {
		return false
	}
	slots, kind := &r.p.proxy.RequestCaptures, r.text(r.i)
	if r.set != onRequest {
		slots = &r.p.proxy.ResponseCaptures
	}
	n, err := strconv.Atoi(r.text(r.i + 1))
	switch {
	case kind == "len" && r.set == onRequest && err == nil && n > 0 && n <= maxCapture:
		r.rule.Slot = len(*slots)
		*slots = append(*slots, Capture{Length: n})
	case kind == "id" && err == nil && n >= 0:
		r.rule.Slot = n
		r.p.proxy.captureUses = append(r.p.proxy.captureUses, captureUse{r.at(r.i + 1), n, r.set != onRequest})
	default:
		r.errorf(min(r.i, len(r.args)-1), "%s expects 'len' and a length from 1 to %d, or 'id' and the number of a slot", r.what, maxCapture)
		return false
	}
	r.i += 2
	return true
}
