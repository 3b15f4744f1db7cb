package sample

import (
	"bytes"
	"cmp"
	"regexp"
	"regexp/syntax"
	"strings"
)

// textConverters make texts of texts.
var textConverters = map[string]*converter{
	"lower":  {in: String, out: String, do: func(e *evaluator, v Value, _ *args) (Value, bool) { return text(e.mapText(v.Text, lowerByte)), true }},
	"upper":  {in: String, out: String, do: func(e *evaluator, v Value, _ *args) (Value, bool) { return text(e.mapText(v.Text, upperByte)), true }},
	"length": {in: String, out: Int, do: func(_ *evaluator, v Value, _ *args) (Value, bool) { return integer(int64(len(v.Text))), true }},
	"bytes":  {in: Binary, out: Binary, arg: argSpec{1, 2, parseBytes}, do: cutBytes},
	"field":  {in: String, out: String, arg: partArgs, do: cutField},
	"word":   {in: String, out: String, arg: partArgs, do: cutWord},
	"ltrim": {in: String, out: String, arg: oneText, do: func(_ *evaluator, v Value, a *args) (Value, bool) {
		return text(bytes.TrimLeft(v.Text, a.texts[0])), true
	}},
	"rtrim": {in: String, out: String, arg: oneText, do: func(_ *evaluator, v Value, a *args) (Value, bool) {
		return text(bytes.TrimRight(v.Text, a.texts[0])), true
	}},
	"cut_crlf": {in: String, out: String, do: func(_ *evaluator, v Value, _ *args) (Value, bool) {
		return text(v.Text[:indexAny(v.Text, "\r\n")]), true
	}},
	"regsub":    {in: String, out: String, arg: argSpec{2, 3, parseRegsub}, do: substitute},
	"concat":    {in: String, out: String, arg: argSpec{0, 3, parseConcat}, do: concat},
	"add_item":  {in: String, out: String, arg: argSpec{2, 3, parseConcat}, do: addItem},
	"strcmp":    {in: String, out: Int, arg: oneVar, do: compareText},
	"host_only": {in: String, out: String, do: hostOnly},
	"port_only": {in: String, out: Int, do: portOnly},
}

func (e *evaluator) mapText(b []byte, f func(byte) byte) []byte {
	start := len(e.scratch)
	for _, c := range b {
		e.scratch = append(e.scratch, f(c))
	}
	return e.scratch[start:]
}

func lowerByte(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func upperByte(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - ('a' - 'A')
	}
	return c
}

func parseBytes(p *argParser) *Error {
	if err := p.number(0, 0); err != nil {
		return err
	}
	if p.out.nums[0] < 0 {
		return errorf(0, "%s expects an offset of 0 or more, not '%s'", p.what, p.list[0])
	}
	return p.number(1, -1)
}

// cutBytes gives the bytes from an offset on, a number of them or all.
func cutBytes(_ *evaluator, v Value, a *args) (Value, bool) {
	n := int64(len(v.Text))
	from := min(a.nums[0], n)
	to := n
	if a.nums[1] >= 0 {
		to = from + min(a.nums[1], n-from)
	}
	return text(v.Text[from:to]), true
}

// cutField gives fields between delimiters, of which each one ends a field.
func cutField(_ *evaluator, v Value, a *args) (Value, bool) { return cutParts(v.Text, a, false) }

// cutWord gives words between delimiters, of which any number in a row ends a word.
func cutWord(_ *evaluator, v Value, a *args) (Value, bool) { return cutParts(v.Text, a, true) }

// cutParts gives nums[2] parts (0: all that follow) from the nums[0]th on, which is counted from the end,
// towards the beginning, when it is negative. A field that is not there has no value, a word an empty one, as with HAProxy.
func cutParts(b []byte, a *args, words bool) (Value, bool) {
	index, count := a.nums[0], a.nums[2]
	find := partsFromStart
	if index < 0 {
		index, find = -index, partsFromEnd
	}
	from, to, found := find(b, a.texts[1], index, count, words)
	return text(b[from:to]), found || words
}

func partsFromStart(b []byte, delimiters string, index, count int64, words bool) (from, to int, found bool) {
	n := int64(0)
	from, to = 0, 0
	for at := 0; at <= len(b); {
		end := at + indexAny(b[at:], delimiters)
		if end > at || !words {
			n++
			if n == index {
				from = at
			}
			if n >= index {
				to = end
			}
			if count > 0 && n == index+count-1 {
				return from, to, true
			}
		}
		at = end + 1
	}
	if n >= index { // fewer are left than asked for
		to = len(b)
	}
	return from, to, n >= index
}

func partsFromEnd(b []byte, delimiters string, index, count int64, words bool) (from, to int, found bool) {
	n := int64(0)
	for end := len(b); end >= 0; {
		at := end
		for at > 0 && !isOneOf(b[at-1], delimiters) {
			at--
		}
		if end > at || !words {
			n++
			if n == index {
				to = end
			}
			if n >= index {
				from = at
			}
			if count > 0 && n == index+count-1 {
				return from, to, true
			}
		}
		end = at - 1
	}
	if n >= index {
		from = 0
	}
	return from, to, n >= index
}

func parseRegsub(p *argParser) *Error {
	flags := ""
	for _, c := range p.text(2) {
		switch c {
		case 'g':
			p.out.all = true
		case 'i':
			flags = "(?i)"
		default:
			return errorf(0, "unknown flag '%c' of %s, expected 'i' or 'g'", c, p.what)
		}
	}
	re, err := regexp.Compile(flags + p.list[0])
	if err != nil {
		return errorf(0, "regex '%s' is invalid: %s", p.list[0], strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	p.out.re, p.out.again, p.out.texts[1] = re, behindFirst(flags+p.list[0], re), p.text(1)
	return nil
}

// behindFirst gives the expression for what follows a match, where no text begins any more: HAProxy asks for all matches but the
// first with what regexec(3) calls REG_NOTBOL.
func behindFirst(text string, first *regexp.Regexp) *regexp.Regexp {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil || !forbidBegin(tree) {
		return first
	}
	again, err := regexp.Compile(tree.String())
	if err != nil {
		return first
	}
	return again
}

// forbidBegin has the beginning of the text match nowhere, and says whether an expression asks for it.
func forbidBegin(tree *syntax.Regexp) bool {
	found := tree.Op == syntax.OpBeginText
	if found {
		tree.Op = syntax.OpNoMatch
	}
	for _, part := range tree.Sub {
		found = forbidBegin(part) || found
	}
	return found
}

func substitute(e *evaluator, v Value, a *args) (Value, bool) {
	start := len(e.scratch)
	e.scratch = appendReplaced(e.scratch, v.Text, a)
	return text(e.scratch[start:]), true
}

// appendReplaced appends b with the first match, or all, replaced by a template in which \0 to \9 stand for the match and its
// groups. It stops where nobody looks at what follows.
func appendReplaced(dst, b []byte, a *args) []byte {
	rest, re, start := 0, a.re, len(dst)
	for at := 0; at <= len(b) && len(dst)-start < maxText; {
		m := re.FindSubmatchIndex(b[at:])
		if m == nil {
			break
		}
		dst = append(dst, b[rest:at+m[0]]...)
		dst = appendExpanded(dst, b[at:], m, a.texts[1])
		rest = at + m[1]
		if !a.all {
			break
		}
		re = a.again
		if at = rest; m[0] == m[1] { // an empty match: go on behind the next byte
			if rest < len(b) {
				dst = append(dst, b[rest])
			}
			at, rest = rest+1, min(rest+1, len(b))
		}
	}
	return append(dst, b[rest:]...)
}

// Expand appends a template in which \0 to \9 stand for what re matches of b and for its groups; ok is false, and
// nothing is appended, where it does not match.
func Expand(dst, b []byte, re *regexp.Regexp, template []byte) (out []byte, ok bool) {
	m := re.FindSubmatchIndex(b)
	if m == nil {
		return dst, false
	}
	return appendExpanded(dst, b, m, template), true
}

func appendExpanded[T []byte | string](dst, b []byte, m []int, template T) []byte {
	for i := 0; i < len(template); i++ {
		c := template[i]
		if c != '\\' || i+1 == len(template) {
			dst = append(dst, c)
			continue
		}
		i++
		if c = template[i]; c < '0' || c > '9' {
			dst = append(dst, c)
			continue
		}
		if g := 2 * int(c-'0'); g < len(m) && m[g] >= 0 {
			dst = append(dst, b[m[g]:m[g+1]]...)
		}
	}
	return dst
}

// parseConcat reads `start[,variable[,end]]`.
func parseConcat(p *argParser) *Error {
	p.out.texts[0], p.out.texts[1] = p.text(0), p.text(2)
	return p.variable(1)
}

// concat appends a text, a variable and another text.
func concat(e *evaluator, v Value, a *args) (Value, bool) {
	start := len(e.scratch)
	e.scratch = append(append(e.scratch, v.Text...), a.texts[0]...)
	e.appendVar(a.vars[0])
	e.scratch = append(e.scratch, a.texts[1]...)
	return text(e.scratch[start:]), true
}

// addItem appends a variable and a text to a list, with a delimiter unless the list is empty or there is
// nothing to append.
func addItem(e *evaluator, v Value, a *args) (Value, bool) {
	start := len(e.scratch)
	e.scratch = append(e.scratch, v.Text...)
	if len(v.Text) > 0 {
		e.scratch = append(e.scratch, a.texts[0]...)
	}
	mark := len(e.scratch)
	e.appendVar(a.vars[0])
	e.scratch = append(e.scratch, a.texts[1]...)
	if len(e.scratch) == mark {
		return v, true
	}
	return text(e.scratch[start:]), true
}

// appendVar appends a variable's text to the scratch memory.
func (e *evaluator) appendVar(name *VarName) {
	if name == nil {
		return
	}
	v, ok := e.subject.Vars(name.Scope).Get(name.Name)
	if !ok {
		return
	}
	if v.Type != String {
		e.print(v)
		return
	}
	e.scratch = append(e.scratch, v.Text...)
}

// compareText gives the difference of the first bytes that differ, else -1, 0 or 1 by the lengths.
func compareText(e *evaluator, v Value, a *args) (Value, bool) {
	with, ok := e.subject.Vars(a.vars[0].Scope).Get(a.vars[0].Name)
	if !ok {
		return Value{}, false
	}
	if with, ok = e.cast(with, String); !ok {
		return Value{}, false
	}
	for i := range min(len(v.Text), len(with.Text)) {
		if d := int64(v.Text[i]) - int64(with.Text[i]); d != 0 {
			return integer(d), true
		}
	}
	return integer(int64(cmp.Compare(len(v.Text), len(with.Text)))), true
}

// hostEnd is where the port of a Host header begins, with its colon: the last one.
func hostEnd(b []byte) int {
	from := 0
	if len(b) > 0 && b[0] == '[' {
		from = bytes.IndexByte(b, ']') + 1
	}
	if i := bytes.LastIndexByte(b[from:], ':'); i >= 0 {
		return from + i
	}
	return len(b)
}

// hostOnly gives a Host header without its port, in lower case as names compare.
func hostOnly(e *evaluator, v Value, _ *args) (Value, bool) {
	return text(e.mapText(v.Text[:hostEnd(v.Text)], lowerByte)), true
}

// portOnly gives the port of a Host header, 0 if it has none.
func portOnly(_ *evaluator, v Value, _ *args) (Value, bool) {
	return integer(leadingInt(bytes.TrimPrefix(v.Text[hostEnd(v.Text):], []byte(":")))), true
}
