package sample

import (
	"slices"
	"strings"
)

// Cond is what follows `if` or `unless` on a line: terms joined by a silent AND, groups of them by
// `or`. It is immutable and safe for concurrent use.
type Cond struct {
	source string
	unless bool
	any    [][]term // an OR of ANDs
}

type term struct {
	negate bool
	acl    *ACL
}

// Eval says whether the condition holds for s. A nil condition always holds. It does not allocate.
func (c *Cond) Eval(s Subject) bool {
	if c == nil {
		return true
	}
	for _, all := range c.any {
		if holds(all, s) {
			return !c.unless
		}
	}
	return c.unless
}

// verdict is whether something holds, in ascending order.
type verdict uint8

const (
	no verdict = iota
	notYet
	yes
)

// not turns a verdict round.
func (v verdict) not() verdict { return yes - v }

// Judge is Eval for a subject whose content may still grow: waits says that the condition can be decided only when more
// has come.
func (c *Cond) Judge(s Subject) (holds, waits bool) {
	if c == nil {
		return true, false
	}
	best := no
	for _, all := range c.any {
		v := yes
		for _, t := range all {
			one := t.acl.judge(s)
			if t.negate {
				one = one.not()
			}
			if v = min(v, one); v == no {
				break
			}
		}
		if best = max(best, v); best == yes {
			break
		}
	}
	if c.unless {
		best = best.not()
	}
	return best == yes, best == notYet
}

// String gives the condition as it was written, from `if` or `unless` on; "" for nil.
func (c *Cond) String() string {
	if c == nil {
		return ""
	}
	return c.source
}

func holds(all []term, s Subject) bool {
	for _, t := range all {
		if t.acl.Match(s) == t.negate {
			return false
		}
	}
	return true
}

// ParseCond compiles a condition; words[0] is `if` or `unless`. The error is an *Error whose Word
// counts from words[0].
func ParseCond(words []string, env Env) (*Cond, error) {
	if len(words) == 0 || words[0] != "if" && words[0] != "unless" {
		return nil, errorf(0, "expects 'if' or 'unless'")
	}
	c := &Cond{source: strings.Join(words, " "), unless: words[0] == "unless"}
	p := condParser{words: words, at: 1, env: env}
	for {
		all, err := p.group()
		if err != nil {
			return nil, err
		}
		c.any = append(c.any, all)
		if p.at == len(words) {
			return c, nil
		}
		p.at++ // the `or`
	}
}

// condParser walks over the words of a condition.
type condParser struct {
	words []string
	at    int
	env   Env
}

// group reads terms up to an `or` or the end.
func (p *condParser) group() ([]term, *Error) {
	var all []term
	for p.at < len(p.words) && !isOr(p.words[p.at]) {
		t, err := p.term()
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	if len(all) == 0 {
		return nil, errorf(p.at-1, "a condition is missing behind '%s'", p.words[p.at-1])
	}
	return all, nil
}

func isOr(w string) bool { return w == "or" || w == "||" }

func (p *condParser) term() (term, *Error) {
	var t term
	start := p.at
	word := p.words[p.at]
	for {
		rest := strings.TrimLeft(word, "!")
		t.negate = t.negate != ((len(word)-len(rest))%2 == 1)
		p.at++
		if rest != "" {
			word = rest
			break
		}
		if p.at == len(p.words) || isOr(p.words[p.at]) {
			return t, errorf(start, "no ACL name behind '!'")
		}
		if p.words[p.at] == "" {
			return t, errorf(p.at, "an ACL name is missing")
		}
		word = p.words[p.at]
	}
	var err *Error
	if word == "{" {
		t.acl, err = p.anonymous()
	} else {
		t.acl, err = p.named(word)
	}
	if err == nil && p.env.Warn != nil && t.acl.neverHolds(p.env.Where) {
		p.env.Warn(start, "an ACL will never match here because it looks at what is not available at this moment")
	}
	return t, err
}

// anonymous compiles what stands between braces; p.at is behind the opening one.
func (p *condParser) anonymous() (*ACL, *Error) {
	open := p.at - 1
	for i := p.at; i < len(p.words); i++ {
		if p.words[i] != "}" {
			continue
		}
		env, first := p.env, p.at
		if warn := p.env.Warn; warn != nil {
			env.Warn = func(word int, text string) { warn(word+first, text) }
		}
		t, err := compileTest(p.words[first:i], env)
		p.at = i + 1
		if err != nil {
			return nil, err.at(first)
		}
		return &ACL{lines: []*test{t}}, nil
	}
	return nil, errorf(open, "missing closing '}' in condition")
}

func (p *condParser) named(name string) (*ACL, *Error) {
	acl, err := namedACL(name, p.at-1, p.env)
	if err == nil && p.env.Content != nil && p.env.Where == AtRequest && slices.ContainsFunc(acl.lines, func(t *test) bool { return t.expr.fetch.looksAtContent() }) {
		p.env.Content()
	}
	return acl, err
}

// namedACL finds an ACL that was declared, or that always exists.
func namedACL(name string, at int, env Env) (*ACL, *Error) {
	if env.ACL != nil {
		if acl := env.ACL(name); acl != nil {
			return acl, nil
		}
	}
	words, ok := predefined[name]
	if !ok {
		return nil, errorf(at, "no such ACL : '%s'", name)
	}
	t, err := compileTest(words, Env{References: env.References, File: env.File, Line: env.Line})
	if err != nil {
		return nil, errorf(at, "predefined ACL '%s' is valid HAProxy but not supported by waggle yet", name)
	}
	return &ACL{lines: []*test{t}}, nil
}

// predefined are the ACLs that exist without being declared (HAProxy configuration manual, 7.4).
var predefined = map[string][]string{
	"TRUE":           {"always_true"},
	"FALSE":          {"always_false"},
	"LOCALHOST":      {"src", "127.0.0.1/8", "::1"},
	"HTTP":           {"req.proto_http"},
	"HTTP_1.0":       {"req.ver", "1.0"},
	"HTTP_1.1":       {"req.ver", "1.1"},
	"HTTP_2.0":       {"req.ver", "2.0"},
	"HTTP_3.0":       {"req.ver", "3.0"},
	"METH_CONNECT":   {"method", "CONNECT"},
	"METH_DELETE":    {"method", "DELETE"},
	"METH_GET":       {"method", "GET", "HEAD"},
	"METH_HEAD":      {"method", "HEAD"},
	"METH_OPTIONS":   {"method", "OPTIONS"},
	"METH_POST":      {"method", "POST"},
	"METH_PUT":       {"method", "PUT"},
	"METH_TRACE":     {"method", "TRACE"},
	"HTTP_URL_ABS":   {"url_reg", "^[^/:]*://"},
	"HTTP_URL_SLASH": {"url_beg", "/"},
	"HTTP_URL_STAR":  {"url", "*"},
	"HTTP_CONTENT":   {"req.hdr_val(content-length)", "gt", "0"},
	"RDP_COOKIE":     {"req.rdp_cookie_cnt", "gt", "0"},
	"REQ_CONTENT":    {"req.len", "gt", "0"},
	"WAIT_END":       {"wait_end"},
}
