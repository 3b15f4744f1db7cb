package config

import (
	"encoding/hex"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"waggle/pkg/sample"
)

func tcpCheckDirectives() []directive {
	row := func(word, args, doc string, parse func(*statement, *stepList)) directive {
		return directive{name: "tcp-check " + word, in: backOrDef, args: args, doc: doc, parse: func(s *statement) { parse(s, &s.p.proxy.check.tcp) }}
	}
	rows := []directive{
		row("connect", "[default] [port <port>] [send-proxy] [linger] [comment <text>]", "a connection of a health check", (*statement).checkConnect),
		row("send", "<text> [comment <text>]", "what a health check sends", (*statement).checkSend),
		row("send-lf", "<format> [comment <text>]", "the same, made by a format", (*statement).checkSend),
		row("send-binary", "<hex> [comment <text>]", "the same, in hexadecimal digits", (*statement).checkSend),
		row("expect", "[parameters] [!] string|rstring|binary|rbinary <pattern>", "what a healthy server answers", func(s *statement, l *stepList) { s.checkExpect(l, false) }),
		row("comment", "<text>", "a name for a step", (*statement).checkComment),
	}
	return append(rows, group(backOrDef, Unsupported, "variables of TCP health checks", "",
		"tcp-check+set-var tcp-check+set-var-fmt tcp-check+unset-var tcp-check+send-binary-lf")...)
}

// maxCheckSteps bounds the steps of one check.
const maxCheckSteps = 100

// addStep adds a step where its order makes sense (HAProxy, section 4.2, tcp-check connect, http-check send).
func (s *statement) addStep(list *stepList, step CheckStep) {
	list.begin()
	list.written = true
	has := func(f func(CheckStep) bool) bool { return slices.ContainsFunc(list.steps, f) }
	acts := func(st CheckStep) bool { return st.Connect != nil || st.Send != nil || st.Expect != nil }
	connects := func(st CheckStep) bool { return st.Connect != nil }
	var last CheckStep
	for _, st := range list.steps {
		if acts(st) {
			last = st
		}
	}
	http := list == &s.p.proxy.check.http
	switch {
	case len(list.steps) == maxCheckSteps:
		s.errorf(-1, "'%s' : more than %d steps", s.name(), maxCheckSteps)
		return
	case step.Connect != nil && has(acts) && !has(connects):
		s.errorf(-1, "'%s' : the first step must be a 'connect' too when there is one behind other steps", s.name())
		return
	case http && step.Send != nil && acts(last) && last.Connect == nil:
		s.errorf(-1, "'%s' : unable to add a request behind another one: a 'connect' is missing between them", s.name())
		return
	case http && step.Expect != nil && last.Connect != nil:
		s.errorf(-1, "'%s' : unable to add an expectation: a 'send' is missing before it", s.name())
		return
	}
	list.steps = append(list.steps, step)
}

func (s *statement) checkComment(list *stepList) {
	if s.text(0) == "" {
		s.errorf(-1, "'%s' : expects a string as argument", s.name())
		return
	}
	if s.atMost(1) {
		s.addStep(list, CheckStep{Comment: s.text(0)})
	}
}

func (s *statement) checkConnect(list *stepList) {
	step := CheckStep{Connect: &CheckConnect{}}
	for i := 0; i < len(s.args); i++ {
		switch word := s.text(i); word {
		case "default":
		case "linger":
			step.Connect.Linger = true
		case "send-proxy":
			step.Connect.SendProxy = true
		case "comment":
			i++
			if step.Comment = s.text(i); step.Comment == "" {
				s.errorf(i-1, "'%s' : 'comment' expects a text", s.name())
				return
			}
		case "port":
			i++
			port, err := parsePort(s.text(i))
			if err != nil {
				s.errorf(min(i, len(s.args)-1), "'%s' : 'port' expects a number from 1 to 65535, not '%s'", s.name(), s.text(i))
				return
			}
			step.Connect.Port = int(port)
		case "addr", "ssl", "sni", "alpn", "via-socks4", "proto":
			s.unsupported(i, "'"+word+"' of '"+s.name()+"'")
			return
		default:
			s.errorf(i, "'%s' : unknown keyword '%s'%s", s.name(), word, didYouMean(word, []string{"default", "linger", "send-proxy", "comment", "port"}))
			return
		}
	}
	s.addStep(list, step)
}

func (s *statement) checkSend(list *stepList) {
	text := s.text(0)
	if text == "" {
		s.errorf(-1, "'%s' expects what to send as argument", s.name())
		return
	}
	step := CheckStep{Send: &CheckSend{Data: []byte(text)}}
	switch s.name() {
	case "tcp-check send-binary":
		data, ok := s.checkHex(0)
		if !ok {
			return
		}
		step.Send.Data = data
	case "tcp-check send-lf":
		f, err := sample.ParseFormat(text, sample.MessageFormat, false, sample.Env{Getenv: s.p.opts.Getenv})
		switch {
		case err != nil:
			s.errorf(0, "'%s' : %s", s.name(), err)
			return
		case f.NeedsVariables():
			s.unsupported(0, "a variable of log lines in '"+s.name()+"'")
			return
		}
		step.Send.Data, step.Send.Format = nil, f
	}
	if len(s.args) > 1 {
		if s.text(1) != "comment" || s.text(2) == "" {
			s.errorf(1, "'%s' : expects 'comment' and a text, but got '%s' as argument", s.name(), s.text(1))
			return
		}
		step.Comment = s.text(2)
		if !s.atMost(3) {
			return
		}
	}
	s.addStep(list, step)
}

// checkHex reads argument i as hexadecimal digits.
func (s *statement) checkHex(i int) ([]byte, bool) {
	data, err := hex.DecodeString(s.text(i))
	if err != nil || len(data) == 0 {
		s.errorf(i, "'%s' : '%s' is not an even number of hexadecimal digits", s.name(), s.text(i))
		return nil, false
	}
	return data, true
}

// checkExpect reads `[min-recv <n>] [comment <text>] [ok-status …] … [!] <match> <pattern>`.
func (s *statement) checkExpect(list *stepList, http bool) {
	if len(s.args) == 0 {
		s.errorf(-1, "'%s' : expects at least a matching pattern as arguments", s.name())
		return
	}
	step, e := CheckStep{}, &CheckExpect{MinRecv: -1}
	i, ok := s.expectParams(0, &step, e)
	if !ok {
		return
	}
	if s.text(i) == "!" {
		e.Not = true
		i++
	}
	if !s.expectMatch(i, e, http) {
		return
	}
	if i, ok = s.expectParams(i+2, &step, e); !ok || !s.atMost(i) { // they may stand behind the pattern too
		return
	}
	step.Expect = e
	s.addStep(list, step)
}

// expectParams reads the parameters at argument i, and returns where something else begins.
func (s *statement) expectParams(i int, step *CheckStep, e *CheckExpect) (next int, ok bool) {
	texts := map[string]*string{"comment": &step.Comment, "on-success": &e.OnSuccess, "on-error": &e.OnError}
	statuses := map[string]struct {
		field *string
		valid []string
	}{
		"ok-status":    {&e.OKStatus, []string{"L4OK", "L6OK", "L7OK", "L7OKC"}},
		"error-status": {&e.ErrorStatus, []string{"L4CON", "L6RSP", "L7RSP", "L7STS"}},
		"tout-status":  {&e.TimeoutStatus, []string{"L4TOUT", "L6TOUT", "L7TOUT"}},
	}
	for ; i < len(s.args); i += 2 {
		word, value := s.text(i), s.text(i+1)
		text, isText := texts[word]
		status, isStatus := statuses[word]
		switch {
		case isText && value == "":
			s.errorf(i, "'%s' : '%s' expects a text", s.name(), word)
			return 0, false
		case isText && word != "comment" && strings.Contains(value, "%"):
			s.unsupported(i+1, "an expression behind '"+word+"' of '"+s.name()+"'")
			return 0, false
		case isText:
			*text = value
		case isStatus && !slices.Contains(status.valid, value):
			s.errorf(min(i+1, len(s.args)-1), "'%s' : '%s' only supports %s status, not '%s'", s.name(), word, quoteList(status.valid), value)
			return 0, false
		case isStatus:
			*status.field = value
		case word == "min-recv":
			n, err := strconv.Atoi(value)
			if err != nil || n < -1 || n > math.MaxInt32 {
				s.errorf(min(i+1, len(s.args)-1), "'%s' : 'min-recv' expects -1 or a number of bytes, not '%s'", s.name(), value)
				return 0, false
			}
			e.MinRecv = n
		case word == "status-code":
			s.unsupported(i, "'status-code' of '"+s.name()+"'")
			return 0, false
		default:
			return i, true
		}
	}
	return i, true
}

// expectMatch reads `<match> <pattern>` at argument i.
func (s *statement) expectMatch(i int, e *CheckExpect, http bool) bool {
	kinds := map[string]CheckMatch{"string": MatchString, "rstring": MatchRegex, "binary": MatchBinary, "rbinary": MatchRBinary}
	others := []string{"string-lf", "binary-lf", "custom"}
	if http {
		kinds = map[string]CheckMatch{"status": MatchStatus, "rstatus": MatchRStatus, "string": MatchString, "rstring": MatchRegex}
		others = []string{"string-lf", "hdr", "fhdr"}
	}
	var names []string
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	kind, known := kinds[s.text(i)]
	switch {
	case slices.Contains(others, s.text(i)):
		s.unsupported(i, "'"+s.text(i)+"' of '"+s.name()+"'")
		return false
	case !known:
		return s.oneOf(i, "kind", names...)
	case s.text(i+1) == "":
		s.errorf(i, "'%s' : '%s' expects a <pattern> as argument", s.name(), s.text(i))
		return false
	}
	e.Match, e.Pattern = kind, s.text(i+1)
	ok := true
	switch kind {
	case MatchString:
		e.Data = []byte(e.Pattern)
	case MatchBinary:
		e.Data, ok = s.checkHex(i + 1)
	case MatchStatus:
		e.Statuses, ok = s.parseStatuses(i + 1)
	default:
		re, err := regexp.Compile(e.Pattern)
		if err != nil {
			s.errorf(i+1, "'%s' : regex '%s' is invalid: %s", s.name(), e.Pattern, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
			return false
		}
		e.Regexp = re
	}
	return ok
}
