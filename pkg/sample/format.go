package sample

import (
	"slices"
	"strings"
)

// Format is a log-format string: text with variables (%ci) and expressions (%[src]) in it. It is
// immutable and safe for concurrent use.
type Format struct {
	source   string
	nodes    []node
	log      bool    // absent values are written `-`, and blanks are merged
	request  bool    // an expression looks at the request's headers
	response bool    // or at the response's
	vars     bool    // a variable is used
	logins   []*Expr // those that may take time; see [Format.Waits]
}

// node is one part of a format.
type node struct {
	text  string
	expr  *Expr
	v     Variable
	flags Flags
	blank bool // one blank, merged with others
}

// FormatStyle says for what a format is.
type FormatStyle uint8

// The styles. Values that rules put into messages keep blanks, write nothing for what is absent and
// percent-encode control bytes other than tabs; lines of the log merge blanks, write `-`, and #XX for control bytes. Identifiers of requests are values that
// merge blanks.
const (
	MessageFormat FormatStyle = iota
	LogFormat
	IDFormat
)

// ParseFormat compiles a format. http says whether there are requests. The error is an *Error about word 0.
func ParseFormat(source string, style FormatStyle, http bool, env Env) (*Format, error) {
	p := formatParser{in: source, env: env, http: http, merge: style != MessageFormat, f: &Format{source: source, log: style == LogFormat}}
	if p.f.log {
		p.base = Dash
	}
	if err := p.parse(); err != nil {
		return nil, err
	}
	return p.f, nil
}

// String gives the format as it was written; "" for nil.
func (f *Format) String() string {
	if f == nil {
		return ""
	}
	return f.source
}

// Waits says whether an expression of the format has no value on s yet, but may have one later: see [Cond.Judge].
func (f *Format) Waits(s Subject) bool {
	return f != nil && slices.ContainsFunc(f.logins, func(x *Expr) bool { return x.Waits(s) })
}

// Literal gives the text of a format that has nothing but text in it.
func (f *Format) Literal() (string, bool) {
	switch {
	case len(f.nodes) == 0:
		return "", true
	case len(f.nodes) == 1 && f.nodes[0].expr == nil && f.nodes[0].v == VarNone && !f.nodes[0].blank:
		return f.nodes[0].text, true
	}
	return "", false
}

// NeedsRequest says whether an expression of the format looks at the request's headers.
func (f *Format) NeedsRequest() bool { return f != nil && f.request }

// NeedsResponse says the same for the response's headers.
func (f *Format) NeedsResponse() bool { return f != nil && f.response }

// NeedsVariables says whether a log variable is used, so that Append wants to know their values.
func (f *Format) NeedsVariables() bool { return f != nil && f.vars }

// Uses says whether the format has a variable.
func (f *Format) Uses(v Variable) bool {
	if f == nil {
		return false
	}
	for i := range f.nodes {
		if f.nodes[i].v == v {
			return true
		}
	}
	return false
}

// Append appends what the format says of s. vars gives the values of variables; nil knows none. It does
// not allocate.
func (f *Format) Append(dst []byte, s Subject, vars Variables) []byte {
	blank := true
	for i := range f.nodes {
		n := &f.nodes[i]
		from := len(dst)
		switch {
		case n.blank:
			if !blank {
				dst = append(dst, ' ')
				blank = true
			}
			continue
		case n.expr != nil:
			dst = f.appendExpr(dst, n, s)
		case n.v != VarNone:
			if vars != nil {
				dst = vars.AppendVariable(dst, n.v, n.flags)
			}
		default:
			dst = append(dst, n.text...)
		}
		// Captured headers of which none is declared leave the blank before them open; all else ends it.
		blank = blank && len(dst) == from && n.v.captures()
	}
	return dst
}

// appendExpr appends an expression's value. In messages, control bytes are percent-encoded, so that they
// cannot end a line, and there are no quotes.
func (f *Format) appendExpr(dst []byte, n *node, s Subject) []byte {
	e := n.expr.evaluator(s, nil)
	v, ok := e.value, e.found
	if ok {
		v, ok = e.cast(v, String)
	}
	if !ok {
		v.Text = nil
	}
	if f.log {
		dst = AppendText(dst, e.oneLine(v.Text), n.flags)
	} else {
		dst = appendMessageText(dst, v.Text, n.flags)
	}
	e.release()
	return dst
}

// oneLine gives what a peer may have sent, and converters have decoded, with #XX in place of control bytes, as in the variables that
// show requests: so nobody can forge a line. HAProxy writes them as they are.
func (e *evaluator) oneLine(b []byte) []byte {
	if !slices.ContainsFunc(b, isControl) {
		return b
	}
	start := len(e.scratch)
	for _, c := range b {
		if isControl(c) {
			e.scratch = append(e.scratch, '#', upperHex[c>>4], upperHex[c&15])
		} else {
			e.scratch = append(e.scratch, c)
		}
	}
	return e.scratch[start:]
}

func isControl(c byte) bool { return c < ' ' || c == 0x7f }

func appendMessageText(dst, b []byte, flags Flags) []byte {
	for _, c := range b {
		switch {
		case isControl(c) && c != '\t':
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
			continue
		case flags&Escaped != 0 && isOneOf(c, `"\]`):
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return dst
}

// formatParser walks over a format.
type formatParser struct {
	in   string
	at   int
	env  Env
	http bool
	base Flags // what %o has set
	text strings.Builder
	f    *Format

	merge bool // blanks are merged with others
}

func (p *formatParser) parse() *Error {
	for p.at < len(p.in) {
		c := p.in[p.at]
		switch {
		case c == '%':
			if err := p.percent(); err != nil {
				return err
			}
		case c == ' ' && p.merge:
			p.flush()
			p.f.nodes = append(p.f.nodes, node{blank: true})
			p.at++
		default:
			p.text.WriteByte(c)
			p.at++
		}
	}
	p.flush()
	return nil
}

// flush makes a node of the text read so far.
func (p *formatParser) flush() {
	if p.text.Len() > 0 {
		p.f.nodes = append(p.f.nodes, node{text: p.text.String()})
		p.text.Reset()
	}
}

// percent reads what begins with a percent sign.
func (p *formatParser) percent() *Error {
	p.at++
	if p.at < len(p.in) && p.in[p.at] == '%' {
		p.text.WriteByte('%')
		p.at++
		return nil
	}
	flags, err := p.flags()
	if err != nil {
		return err
	}
	if p.at < len(p.in) && p.in[p.at] == '[' {
		return p.expression(flags)
	}
	from := p.at
	for p.at < len(p.in) && isAlnum(p.in[p.at]) {
		p.at++
	}
	return p.variable(p.in[from:p.at], flags)
}

func isAlnum(c byte) bool {
	l := lowerByte(c)
	return l >= 'a' && l <= 'z' || c >= '0' && c <= '9'
}

// flags reads `{+Q,-X}`, changes to those that %o has set.
func (p *formatParser) flags() (Flags, *Error) {
	flags := p.base
	if p.at == len(p.in) || p.in[p.at] != '{' {
		return flags, nil
	}
	end := strings.IndexByte(p.in[p.at:], '}')
	if end < 0 {
		return flags, errorf(0, "missing '}' after the flags of a format variable in '%s'", p.in)
	}
	list := p.in[p.at+1 : p.at+end]
	p.at += end + 1
	for _, word := range strings.Split(list, ",") {
		if word == "" {
			continue
		}
		var bit Flags
		switch strings.TrimLeft(word, "+-") {
		case "Q":
			bit = Quoted
		case "X":
			bit = Hex
		case "E":
			bit = Escaped
		default:
			return flags, errorf(0, "unknown flag '%s' of a format variable, expected Q, X or E behind + or -", word)
		}
		if word[0] == '-' {
			flags &^= bit
		} else {
			flags |= bit
		}
	}
	return flags, nil
}

func (p *formatParser) expression(flags Flags) *Error {
	end := expressionEnd(p.in[p.at+1:])
	if end < 0 {
		return errorf(0, "missing ']' after '%s'", p.in[p.at:])
	}
	word := p.in[p.at+1 : p.at+1+end]
	p.at += end + 2
	x, method, err := parseExpr(strings.TrimSpace(word), p.env)
	switch {
	case err != nil:
		return errorf(0, "failed to parse sample expression '%s': %s", word, err.Text).named(err)
	case method != "":
		return errorf(0, "failed to parse sample expression '%s': it is the name of an ACL, not of a fetch method", word)
	}
	if err := p.env.Where.check(x); err != nil {
		return err
	}
	p.f.request = p.f.request || x.fetch.from == fromRequest
	p.f.response = p.f.response || x.fetch.from == fromResponse
	if x.fetch.login {
		p.f.logins = append(p.f.logins, x)
	}
	p.flush()
	p.f.nodes = append(p.f.nodes, node{expr: x, flags: flags})
	return nil
}

// named takes over which name was not known.
func (e *Error) named(from *Error) *Error {
	e.Got, e.Valid = from.Got, from.Valid
	return e
}

// expressionEnd finds the bracket that closes an expression: one that stands outside of parentheses and
// quotes.
func expressionEnd(s string) int {
	depth := 0
	var quote byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote != '\'' && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case depth > 0 && (c == '"' || c == '\''):
			quote = c
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == ']' && depth == 0:
			return i
		}
	}
	return -1
}

func (p *formatParser) variable(name string, flags Flags) *Error {
	if name == "o" {
		p.base = flags
		return nil
	}
	for i := range logVariables {
		v := &logVariables[i]
		if v.name != name {
			continue
		}
		if v.http && !p.http {
			return errorf(0, "format variable '%%%s' is reserved for HTTP mode", name)
		}
		p.flush()
		p.f.vars = true
		p.f.nodes = append(p.f.nodes, node{v: v.v, flags: flags})
		return nil
	}
	if known(otherVariables, name) {
		return unsupported("format variable", "%"+name)
	}
	return errorf(0, "no such format variable '%s': a percent sign is written '%%%%'", name)
}
