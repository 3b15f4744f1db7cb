package sample

import (
	"bytes"
	"strings"
)

// walkCookies offers the values of a cookie of the request, or of one that the response sets: all of them
// to a condition, otherwise the last one by its name, and the first where no name is given.
func (e *evaluator) walkCookies(a *args, response bool, want Type) {
	name := "cookie"
	if response {
		name = "set-cookie"
	}
	e.lines(name, headerWalk{want: want, mode: walkCookies, cookie: a, response: response})
	if !e.iterating() && e.header.last != nil {
		if v, ok := e.cast(text(e.header.last), want); ok {
			e.offer(v)
		}
	}
}

func (e *evaluator) countCookies(a *args, response bool) {
	name := "cookie"
	if response {
		name = "set-cookie"
	}
	e.lines(name, headerWalk{mode: walkCookies, cookie: a, response: response, skip: -1})
	e.offer(integer(int64(e.header.count)))
}

// cookieLine takes a line of `name=value` pairs, of which a Set-Cookie header has one followed by
// attributes (RFC 6265 sections 4.1.1 and 4.2.1).
func (e *evaluator) cookieLine(line []byte) bool {
	if e.header.response {
		line, _, _ = bytes.Cut(line, semicolon)
		name, value, ok := bytes.Cut(line, equals)
		return !ok || e.cookie(trim(name), trim(value))
	}
	for len(line) > 0 {
		end := CookieEnd(line)
		name, value, ok := bytes.Cut(line[:end], equals)
		if ok && (len(value) > 0 || end < len(line)) && !e.cookie(trim(name), trim(value)) {
			return false
		}
		line = line[min(end+1, len(line)):]
	}
	return true
}

// CookieEnd is where the cookie ends that b begins with: at a semicolon or comma, unless they stand in quotes within its
// value. HAProxy 2.6 was seen to take both, where browsers send semicolons alone (RFC 6265, section 4.2.1).
func CookieEnd(b []byte) int {
	i := bytes.IndexAny(b, "=;,")
	if i < 0 {
		return len(b)
	}
	quoted, escaped := false, false
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ';' || c == ','):
			return i
		}
	}
	return len(b)
}

// cookie takes one of them. HAProxy 2.6 was seen to pass by those whose name begins with $, and one without a value at the
// line's end.
func (e *evaluator) cookie(name, value []byte) bool {
	w := &e.header
	if w.cookie.name != "" && string(name) != w.cookie.name || bytes.HasPrefix(name, dollar) {
		return true
	}
	w.count++
	switch {
	case w.skip < 0: // counting
		return true
	case !e.iterating():
		w.last = value
		return w.cookie.name != ""
	}
	v, ok := e.cast(text(value), w.want)
	return !ok || e.offer(v)
}

var (
	semicolon = []byte(";")
	equals    = []byte("=")
	dollar    = []byte("$")
)

// paramArgs reads `[name[,delimiter[,i]]]`. The delimiter begins the list of parameters, `?` unless said.
var paramArgs = argSpec{0, 3, func(p *argParser) *Error {
	p.out.name = p.text(0)
	p.out.texts[1] = "?"
	if d := p.text(1); d != "" {
		if len(d) != 1 {
			return errorf(0, "the delimiter of %s is one character, not '%s'", p.what, d)
		}
		p.out.texts[1] = d
	}
	if flag := p.text(2); flag != "" {
		if flag != "i" {
			return errorf(0, "the only flag of %s is 'i', not '%s'", p.what, flag)
		}
		p.out.all = true
	}
	return nil
}}

// walkParams offers the values of a parameter of the request target: see [evaluator.walkParamsOf].
func (e *evaluator) walkParams(a *args, want Type) {
	uri, delimiter := e.subject.URI(), a.texts[1][0]
	if i := bytes.IndexByte(uri, delimiter); i >= 0 {
		e.walkParamsOf(uri[i+1:], a, want, delimiter)
	}
}

// walkParamsOf offers the values of a parameter in a list, of all parameters where no name is given: to a condition all of
// them, otherwise the first.
func (e *evaluator) walkParamsOf(list []byte, a *args, want Type, delimiter byte) {
	for len(list) > 0 {
		end := 0 // HAProxy 2.6 was seen to separate at the delimiter again, too
		for end < len(list) && list[end] != '&' && list[end] != ';' && list[end] != delimiter {
			end++
		}
		name, value, ok := bytes.Cut(list[:end], equals)
		if a.name == "" || ok && (string(name) == a.name || a.all && strings.EqualFold(string(name), a.name)) {
			v, ok := e.cast(text(value), want)
			if ok && !e.offer(v) {
				return
			}
		}
		list = list[min(end+1, len(list)):]
	}
}

// indexAny is the index of the first byte that is in set, len(b) if there is none.
func indexAny(b []byte, set string) int {
	for i, c := range b {
		if isOneOf(c, set) {
			return i
		}
	}
	return len(b)
}
