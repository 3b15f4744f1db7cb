package config

import (
	"strconv"
	"strings"
)

// expand consumes `$NAME`, `${NAME}`, `${NAME-default}` or `${NAME[*]}`. The default counts only if
// the variable is unset, not if it is empty; [*] splits the value into words.
func (l *lexer) expand() *lexError {
	opened := l.at
	l.begin()
	l.at++
	braces := l.at < len(l.in) && l.in[l.at] == '{'
	if braces {
		l.at++
	}
	first := l.at
	name := l.variableName()
	if name == "" || name == "." {
		return l.errorAt(first, "forbidden first char in environment variable name")
	}
	value, set := l.variable(name)
	if !set && name[0] == '.' {
		return l.errorAt(first, "unknown pseudo variable '"+name+"'")
	}
	split := false
	if braces {
		var err *lexError
		if value, split, err = l.closeBrace(opened, value, set); err != nil {
			return err
		}
	}
	if split {
		l.putWords(value)
	} else {
		l.cur.WriteString(value)
	}
	return nil
}

func (l *lexer) variableName() string {
	first := l.at
	for l.at < len(l.in) {
		c := l.in[l.at]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		digit := c >= '0' && c <= '9'
		if !letter && (!digit || l.at == first) && (c != '.' || l.at != first) {
			break
		}
		l.at++
	}
	return l.in[first:l.at]
}

// closeBrace consumes what may stand between a name and its closing brace.
func (l *lexer) closeBrace(opened int, value string, set bool) (string, bool, *lexError) {
	split := false
	if strings.HasPrefix(l.in[l.at:], "[") {
		if !strings.HasPrefix(l.in[l.at:], "[*]") {
			return "", false, l.errorAt(l.at, "truncated or invalid word expansion sequence")
		}
		split = true
		l.at += len("[*]")
	}
	end := strings.IndexByte(l.in[l.at:], '}')
	if end < 0 || end > 0 && l.in[l.at] != '-' {
		return "", false, l.errorAt(opened+1, "unmatched brace in environment variable name")
	}
	if !set && end > 0 {
		value = l.in[l.at+1 : l.at+end]
	}
	l.at += end + 1
	return value, split, nil
}

// putWords adds a value of which every blank ends a word. An empty list leaves no word behind if it
// stands alone in its quotes, so that a list may have no element.
func (l *lexer) putWords(value string) {
	fields := strings.Fields(value)
	alone := l.cur.Len() == 0 && strings.HasPrefix(l.in[l.at:], `"`) && l.start == l.opened
	if len(fields) == 0 && alone {
		l.at++
		l.quote = 0
		l.inWord = false
		return
	}
	for i, f := range fields {
		if i > 0 {
			col := l.start
			l.endWord()
			l.inWord, l.start = true, col
		}
		l.cur.WriteString(f)
	}
}

// environment is what variables are looked up in: those that the configuration has set or unset
// itself, then the process's, then the pseudo variables of the place.
type environment struct {
	getenv    func(string) (string, bool)
	overrides map[string]*string // nil: unset
	reset     map[string]bool    // after resetenv: the names that stay; nil: all
	pos       *Pos
	section   *string
	files     []string // that are read
}

func (e *environment) lookup(name string) (string, bool) {
	switch name {
	case ".FILE":
		return e.pos.File, true
	case ".LINE":
		return strconv.Itoa(e.pos.Line), true
	case ".SECTION":
		return *e.section, true
	}
	if strings.HasPrefix(name, ".") {
		return "", false
	}
	if v, ok := e.overrides[name]; ok {
		if v == nil {
			return "", false
		}
		return *v, true
	}
	if e.reset != nil && !e.reset[name] {
		return "", false
	}
	if v, ok := e.getenv(name); ok {
		return v, true
	}
	return e.provided(name)
}

// provided gives the variables that HAProxy sets itself before it reads a configuration (configuration manual,
// 2.3). The formats are those of option httplog and option tcplog.
func (e *environment) provided(name string) (string, bool) {
	switch name {
	case "HAPROXY_BRANCH":
		return "3.2", true
	case "HAPROXY_CFGFILES":
		return strings.Join(e.files, ";"), true
	case "HAPROXY_HTTP_LOG_FMT":
		return "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r", true
	case "HAPROXY_TCP_LOG_FMT":
		return "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq", true
	}
	return "", false
}

// set gives a variable a value for the rest of the configuration; nil unsets it.
func (e *environment) set(name string, value *string) {
	if e.overrides == nil {
		e.overrides = make(map[string]*string)
	}
	e.overrides[name] = value
}

// keepOnly unsets all variables but the named ones.
func (e *environment) keepOnly(names []string) {
	e.reset = make(map[string]bool)
	kept := make(map[string]*string)
	for _, n := range names {
		e.reset[n] = true
		if v, ok := e.overrides[n]; ok {
			kept[n] = v
		}
	}
	e.overrides = kept
}

// expandAddress replaces `$NAME` and `${NAME}` in an address, which HAProxy does whether or not there are quotes around it
// (configuration manual, `bind` and `server`). A variable that is not set is empty. false means that an error was reported.
func (s *statement) expandAddress(i int) bool {
	text := s.text(i)
	if !strings.Contains(text, "$") {
		return true
	}
	var out strings.Builder
	for rest := text; rest != ""; {
		before, after, found := strings.Cut(rest, "$")
		out.WriteString(before)
		if !found {
			break
		}
		after, braces := strings.CutPrefix(after, "{")
		name := after[:len(after)-len(strings.TrimLeft(after, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"))]
		rest = after[len(name):]
		if braces {
			if rest, found = strings.CutPrefix(rest, "}"); !found {
				s.errorf(i, "'%s' : unmatched brace of an environment variable in '%s'; one with a default needs double quotes around it", s.name(), text)
				return false
			}
		}
		value, _ := s.p.env.lookup(name)
		out.WriteString(value)
	}
	if out.Len() == 0 {
		s.errorf(i, "'%s' : '%s' resolves to an empty address (environment variable missing?)", s.name(), text)
		return false
	}
	s.args[i].text = out.String()
	return true
}
