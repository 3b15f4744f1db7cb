package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// statement is one line while its directive is parsed.
type statement struct {
	p       *parser
	d       *directive
	pos     Pos
	raw     string
	keyword []word // the words of the name
	args    []word // what follows it
	off     bool   // `no` stood before it
	reset   bool   // `default` stood before it
}

func (s *statement) name() string { return joinWords(s.keyword) }

// at gives the place of argument i; -1 is the directive itself, and one past the last is the end of
// the line.
func (s *statement) at(i int) Pos {
	pos := s.pos
	switch {
	case i >= 0 && i < len(s.args):
		pos.Col = s.args[i].col
	case len(s.keyword) > 0:
		pos.Col = s.keyword[0].col
	}
	return pos
}

// errorf reports a mistake in argument i; -1 means the directive itself.
func (s *statement) errorf(i int, format string, a ...any) {
	s.p.report(Diagnostic{Severity: Alert, Pos: s.at(i), Text: fmt.Sprintf(format, a...), Line: s.raw})
}

func (s *statement) warnf(i int, format string, a ...any) {
	s.p.report(Diagnostic{Severity: Warning, Pos: s.at(i), Text: fmt.Sprintf(format, a...), Line: s.raw})
}

func (s *statement) noticef(i int, format string, a ...any) {
	s.p.report(Diagnostic{Severity: Notice, Pos: s.at(i), Text: fmt.Sprintf(format, a...), Line: s.raw})
}

// unsupported reports a use of something that HAProxy has and waggle does not.
func (s *statement) unsupported(i int, what string) {
	s.errorf(i, "%s is valid HAProxy but not supported by waggle yet", what)
}

// text gives argument i, or "".
func (s *statement) text(i int) string {
	if i < len(s.args) {
		return s.args[i].text
	}
	return ""
}

// atMost reports the first argument beyond n.
func (s *statement) atMost(n int) bool {
	if len(s.args) <= n {
		return true
	}
	s.errorf(n, "'%s' cannot handle unexpected argument '%s'", s.name(), s.args[n].text)
	return false
}

// one gives the only argument; what describes it in the error for a missing one.
func (s *statement) one(what string) (string, bool) {
	if s.text(0) == "" {
		s.errorf(-1, "'%s' expects %s", s.name(), what)
		return "", false
	}
	return s.args[0].text, s.atMost(1)
}

// integer gives argument i as a number within bounds.
func (s *statement) integer(i, low, high int) (int, bool) {
	if s.text(i) == "" {
		s.errorf(-1, "'%s' expects an integer argument", s.name())
		return 0, false
	}
	n, err := strconv.Atoi(s.args[i].text)
	if err != nil || n < low || n > high {
		s.errorf(i, "'%s' expects an integer between %d and %d, not '%s'", s.name(), low, high, s.args[i].text)
		return 0, false
	}
	return n, true
}

// number parses a directive whose only argument is a number.
func (s *statement) number(low, high int, into *int) {
	if !s.atMost(1) {
		return
	}
	if n, ok := s.integer(0, low, high); ok {
		*into = n
	}
}

// duration parses a directive whose only argument is a time.
func (s *statement) duration(unit time.Duration, into *time.Duration) {
	text, ok := s.one("a time such as 500ms, 30s or 2m")
	if !ok {
		return
	}
	d, err := parseTime(text, s.name(), unit)
	if err != nil {
		s.errorf(0, "%s", err)
		return
	}
	*into = d
}

// size parses a directive whose only argument is a size in bytes.
func (s *statement) size(low int, into *int) {
	text, ok := s.one("a size such as 16384 or 16k")
	if !ok {
		return
	}
	n, err := parseSize(text, s.name())
	if err == nil && n < low {
		err = fmt.Errorf("'%s' expects at least %d, not '%s'", s.name(), low, text)
	}
	if err != nil {
		s.errorf(0, "%s", err)
		return
	}
	*into = n
}

// rest joins the arguments, as texts that take the whole line are written.
func (s *statement) rest() string { return joinTexts(s.args) }

func joinTexts(words []word) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w.text)
	}
	return b.String()
}

// oneOf reports argument i when it is none of the valid words.
func (s *statement) oneOf(i int, what string, valid ...string) bool {
	got := s.text(i)
	for _, v := range valid {
		if got == v {
			return true
		}
	}
	if got == "" {
		s.errorf(-1, "'%s' expects one of %s", s.name(), quoteList(valid))
		return false
	}
	s.errorf(i, "unknown %s '%s' in '%s', expected one of %s%s", what, got, s.name(), quoteList(valid), didYouMean(got, valid))
	return false
}

func quoteList(words []string) string {
	return "'" + strings.Join(words, "', '") + "'"
}

func didYouMean(got string, candidates []string) string {
	if best := Nearest(got, candidates); best != "" {
		return suggestion + best + suggestionEnd
	}
	return ""
}
