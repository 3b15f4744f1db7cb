package sample

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Expr is a sample fetch with its arguments and the converters behind it. It is immutable and safe for
// concurrent use.
type Expr struct {
	source     string // as written
	fetch      *fetch
	args       args
	converters []conversion
	out        Type
}

// String returns the expression as it was written.
func (x *Expr) String() string { return x.source }

// conversion is a converter with its arguments.
type conversion struct {
	*converter
	args args
}

// ParseExpr compiles `fetch(args),converter,…`. The error is an *Error about word 0.
func ParseExpr(word string, env Env) (*Expr, error) {
	x, method, err := parseExpr(word, env)
	switch {
	case err != nil:
		return nil, err
	case method != "":
		return nil, errorf(0, "'%s' is the name of an ACL, not of a fetch method", word)
	}
	if err := env.Where.check(x); err != nil {
		return nil, err
	}
	return x, nil
}

// parseExpr compiles an expression. The method is that of the fetch's ACL name, such as `beg` of
// path_beg, or "".
func parseExpr(word string, env Env) (*Expr, string, *Error) {
	name, rest := cutName(word)
	if name == "" {
		return nil, "", errorf(0, "missing fetch method")
	}
	f, method, err := findFetch(name, env.Where)
	if err != nil {
		return nil, "", err
	}
	list, rest, bad := cutArgs(rest)
	if bad != "" {
		return nil, "", errorf(0, "%s in the arguments of fetch method '%s'", bad, name)
	}
	x := &Expr{source: word, fetch: f, out: f.out}
	p := argParser{what: "fetch method '" + name + "'", list: list, env: env, out: &x.args, named: namedACL}
	if err := p.parse(f.arg); err != nil {
		return nil, "", err
	}
	if env.Content != nil && env.Where == AtRequest && f.looksAtContent() {
		env.Content()
	}
	for rest != "" {
		if rest[0] != ',' {
			return nil, "", errorf(0, "missing comma after fetch keyword '%s'", name)
		}
		if rest, err = x.addConverter(rest[1:], env); err != nil {
			return nil, "", err
		}
	}
	return x, method, nil
}

func (x *Expr) addConverter(word string, env Env) (rest string, err *Error) {
	name, rest := cutName(word)
	list, rest, bad := cutArgs(rest)
	if bad != "" {
		return "", errorf(0, "%s in the arguments of converter '%s'", bad, name)
	}
	c, ok := converters[name]
	switch {
	case ok:
	case name == "":
		return "", errorf(0, "missing converter name after a comma")
	case known(knownConverters, name):
		return "", unsupported("converter", name)
	default:
		return "", unknown("converter", name, converters)
	}
	if !x.out.castsTo(c.in) {
		return "", errorf(0, "converter '%s' cannot be applied here: the value has another type", name)
	}
	v := conversion{converter: c}
	p := argParser{what: "converter '" + name + "'", list: list, env: env, out: &v.args}
	if err := p.parse(c.arg); err != nil {
		return "", err
	}
	x.converters = append(x.converters, v)
	if !c.same {
		x.out = c.out
	}
	return rest, nil
}

// cutName splits word behind the name of a fetch or converter.
func cutName(word string) (name, rest string) {
	i := strings.IndexAny(word, "(,")
	if i < 0 {
		return word, ""
	}
	return word[:i], word[i:]
}

// cutArgs splits `(a,b)rest`. Inside, quotes and backslashes work as they do on a line, except that
// nothing is expanded (HAProxy configuration manual, 2.2). bad says what is wrong.
func cutArgs(s string) (list []string, rest, bad string) {
	if s == "" || s[0] != '(' {
		return nil, s, ""
	}
	var cur strings.Builder
	var quote byte
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case quote != '\'' && c == '\\' && i+1 < len(s):
			i++
			unescape(&cur, s[i])
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			cur.WriteByte(c)
		case c == '"' || c == '\'':
			quote = c
		case c == ',':
			list = append(list, cur.String())
			cur.Reset()
		case c == ')':
			if len(list) > 0 || cur.Len() > 0 {
				list = append(list, cur.String())
			}
			return list, s[i+1:], ""
		default:
			cur.WriteByte(c)
		}
	}
	if quote != 0 {
		return nil, "", "unmatched quote"
	}
	return nil, "", "missing closing ')'"
}

func unescape(b *strings.Builder, c byte) {
	switch c {
	case 'n':
		b.WriteByte('\n')
	case 'r':
		b.WriteByte('\r')
	case 't':
		b.WriteByte('\t')
	case '\\', '"', '\'', ' ', ',', '(', ')':
		b.WriteByte(c)
	default:
		b.WriteByte('\\')
		b.WriteByte(c)
	}
}

// Error is what is wrong with an expression or a condition.
type Error struct {
	Word int // index of the word at fault among those given
	Text string
	// Got is a name that is not known, and Valid gives the names that could stand there; otherwise "".
	Got   string
	Valid []string
}

// Error gives the text.
func (e *Error) Error() string { return e.Text }

func errorf(word int, format string, a ...any) *Error {
	return &Error{Word: word, Text: fmt.Sprintf(format, a...)}
}

// unknown is the error for a name that is none of the valid ones.
func unknown[V any](what, name string, valid map[string]V) *Error {
	e := errorf(0, "unknown %s '%s'", what, name)
	e.Got = name
	e.Valid = slices.Sorted(maps.Keys(valid))
	return e
}

func unsupported(what, name string) *Error {
	return errorf(0, "%s '%s' is valid HAProxy but not supported by waggle yet", what, name)
}

// at moves an error of a part to its place among the words of the whole.
func (e *Error) at(word int) *Error {
	moved := *e
	moved.Word += word
	return &moved
}
