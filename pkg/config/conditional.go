package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// block is a conditional block that is open: what stands between .if and .endif.
type block struct {
	at      Pos
	raw     string
	taken   bool // a branch has been read; the others are passed by
	reading bool // the branch being read is the one that holds
	outer   bool // the block itself stands where lines are read
	ended   bool // .else was seen
}

// maxBlocks bounds how deep blocks may stand in each other.
const maxBlocks = 32

// conditional handles a line that begins with .if, .elif, .else or .endif; false means that it does not.
func (p *parser) conditional(raw string) bool {
	line := strings.TrimLeft(raw, " \t")
	end := strings.IndexAny(line, " \t#")
	if end < 0 {
		end = len(line)
	}
	word, rest := line[:end], strings.TrimSpace(line[end:])
	switch word {
	case ".if":
		p.openBlock(raw, rest)
	case ".elif", ".else", ".endif":
		p.branch(raw, word, rest)
	default:
		return false
	}
	return true
}

// skipping says whether lines are passed by.
func (p *parser) skipping() bool {
	n := len(p.blocks)
	return n > 0 && !p.blocks[n-1].reading
}

// conditionalError reports a mistake at the first word of a line.
func (p *parser) conditionalError(raw, format string, a ...any) {
	pos := p.pos
	pos.Col = len(raw) - len(strings.TrimLeft(raw, " \t")) + 1
	p.report(Diagnostic{Severity: Alert, Pos: pos, Text: fmt.Sprintf(format, a...), Line: raw})
}

func (p *parser) openBlock(raw, condition string) {
	b := block{at: p.pos, raw: raw, outer: !p.skipping()}
	b.at.Col = strings.Index(raw, ".if") + 1
	if len(p.blocks) == maxBlocks {
		p.conditionalError(raw, "too many nested '.if', at most %d", maxBlocks)
		b.outer = false
	}
	if b.outer {
		b.reading = p.holds(raw, ".if", condition)
		b.taken = b.reading
	}
	p.blocks = append(p.blocks, b)
}

func (p *parser) branch(raw, word, rest string) {
	n := len(p.blocks)
	if n == 0 {
		p.conditionalError(raw, "lone '%s' with no matching '.if'", word)
		return
	}
	b := &p.blocks[n-1]
	if word != ".elif" && rest != "" && rest[0] != '#' {
		p.conditionalError(raw, "unexpected argument '%s' for '%s'", rest, word)
	}
	if word == ".endif" {
		p.blocks = p.blocks[:n-1]
		return
	}
	if b.ended {
		p.conditionalError(raw, "'%s' after '.else' is not permitted", word)
	}
	b.ended = b.ended || word == ".else"
	b.reading = b.outer && !b.taken && (word == ".else" || p.holds(raw, word, rest))
	b.taken = b.taken || b.reading
}

// closeBlocks reports the blocks that are open at the end of a file.
func (p *parser) closeBlocks() {
	for _, b := range p.blocks {
		p.report(Diagnostic{Severity: Alert, Pos: b.at, Text: "non-terminated '.if' block", Line: b.raw})
	}
	p.blocks = nil
}

// holds evaluates a condition (HAProxy configuration manual, 2.4): numbers and predicates joined by !, && and
// ||, with parentheses. Nothing at all is false.
func (p *parser) holds(raw, word, condition string) bool {
	c := conditionParser{in: condition, p: p}
	c.blanks()
	if c.done() {
		return false
	}
	result := c.or()
	if c.err == "" && !c.done() {
		c.err = fmt.Sprintf("unexpected character '%c' at the end of conditional expression '%s'", c.in[c.at], condition)
	}
	if c.err != "" {
		p.conditionalError(raw, "%s in '%s'", c.err, word)
		return false
	}
	return result
}

// conditionParser evaluates while it reads.
type conditionParser struct {
	in    string
	at    int
	depth int
	err   string
	p     *parser
}

func (c *conditionParser) blanks() {
	for c.at < len(c.in) && (c.in[c.at] == ' ' || c.in[c.at] == '\t') {
		c.at++
	}
}

func (c *conditionParser) done() bool { return c.at == len(c.in) || c.in[c.at] == '#' }

// take consumes s if it stands next.
func (c *conditionParser) take(s string) bool {
	if !strings.HasPrefix(c.in[c.at:], s) {
		return false
	}
	c.at += len(s)
	c.blanks()
	return true
}

func (c *conditionParser) or() bool {
	result := c.and()
	for c.err == "" && c.take("||") {
		right := c.and()
		result = result || right
	}
	return result
}

func (c *conditionParser) and() bool {
	result := c.term()
	for c.err == "" && c.take("&&") {
		right := c.term()
		result = result && right
	}
	return result
}

func (c *conditionParser) term() bool {
	if c.depth++; c.depth > maxBlocks {
		c.fail("too many nested terms in conditional expression")
		return false
	}
	defer func() { c.depth-- }()
	switch {
	case c.take("!"):
		return !c.term()
	case c.take("("):
		result := c.or()
		if c.err == "" && !c.take(")") {
			c.fail("missing closing ')' in conditional expression")
		}
		return result
	}
	from := c.at
	for c.at < len(c.in) && (c.in[c.at] == '_' || c.in[c.at] == '-' || isAlnum(c.in[c.at])) {
		c.at++
	}
	name := c.in[from:c.at]
	if c.at < len(c.in) && c.in[c.at] == '(' {
		return c.predicate(name)
	}
	c.blanks()
	n, err := strconv.Atoi(name)
	if err != nil {
		c.at = from
		c.fail("unparsable conditional expression '" + c.in[from:] + "'")
	}
	return n != 0
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func (c *conditionParser) fail(text string) {
	if c.err == "" {
		c.err = text
	}
}

// arguments reads what stands in parentheses. Quotes and variables work as on any line.
func (c *conditionParser) arguments(name string) []string {
	c.at++ // the parenthesis
	var list []string
	from, quote := c.at, byte(0)
	for ; c.at < len(c.in); c.at++ {
		ch := c.in[c.at]
		switch {
		case ch == '\\' && quote != '\'':
			c.at++
		case quote != 0:
			if ch == quote {
				quote = 0
			}
		case ch == '"' || ch == '\'':
			quote = ch
		case ch == ',' || ch == ')':
			list = append(list, c.argument(c.in[from:c.at]))
			from = c.at + 1
			if ch == ')' {
				c.at++
				c.blanks()
				return list
			}
		}
	}
	c.at = len(c.in)
	c.fail(fmt.Sprintf("expected ')' in the arguments of predicate '%s' used in conditional expression", name))
	return nil
}

// argument expands one argument. Blanks around it belong to it, as in HAProxy.
func (c *conditionParser) argument(raw string) string {
	words, err := lexLine(raw, c.p.env.lookup)
	if err != nil {
		c.fail(err.text)
		return ""
	}
	if len(words) == 0 {
		return raw
	}
	before := raw[:len(raw)-len(strings.TrimLeft(raw, " "))]
	after := raw[len(strings.TrimRight(raw, " ")):]
	return before + joinTexts(words) + after
}

// predicate is a test with a name.
type predicate struct {
	args int
	test func(p *parser, args []string) (bool, error)
}

func predicates() map[string]predicate {
	none := predicate{1, func(*parser, []string) (bool, error) { return false, nil }} // OpenSSL is not used
	return map[string]predicate{
		"defined": {1, func(p *parser, a []string) (bool, error) { _, ok := p.env.lookup(a[0]); return ok, nil }},
		"streq":   {2, func(_ *parser, a []string) (bool, error) { return a[0] == a[1], nil }},
		"strneq":  {2, func(_ *parser, a []string) (bool, error) { return a[0] != a[1], nil }},
		"strstr":  {2, func(_ *parser, a []string) (bool, error) { return strings.Contains(a[0], a[1]), nil }},
		"feature": {1, func(_ *parser, a []string) (bool, error) {
			return slices.Contains(strings.Fields("ACCEPT4 EPOLL GETADDRINFO LINUX_SPLICE POLL PROMEX THREAD"), a[0]), nil
		}},
		"enabled": {1, func(_ *parser, a []string) (bool, error) {
			return slices.Contains(strings.Fields("EPOLL GETADDRINFO REUSEPORT SPLICE"), a[0]), nil
		}},
		"version_atleast": {1, func(_ *parser, a []string) (bool, error) { n, err := compareVersion(a[0]); return n >= 0, err }},
		"version_before":  {1, func(_ *parser, a []string) (bool, error) { n, err := compareVersion(a[0]); return n < 0, err }},

		"openssl_version_atleast": none, "openssl_version_before": none, "ssllib_name_startswith": none,
		"awslc_api_atleast": none, "awslc_api_before": none,
	}
}

func (c *conditionParser) predicate(name string) bool {
	args := c.arguments(name)
	if c.err != "" {
		return false
	}
	all := predicates()
	known, ok := all[name]
	if !ok {
		names := make([]string, 0, len(all))
		for n := range all {
			names = append(names, n)
		}
		slices.Sort(names)
		c.fail(fmt.Sprintf("unknown predicate '%s' used in conditional expression%s", name, didYouMean(name, names)))
		return false
	}
	if len(args) != known.args {
		c.fail(fmt.Sprintf("predicate '%s' used in conditional expression expects %d arguments, not %d", name, known.args, len(args)))
		return false
	}
	result, err := known.test(c.p, args)
	if err != nil {
		c.fail(err.Error())
	}
	return result
}

// claimedVersion is the version of HAProxy whose language this is.
var claimedVersion = [4]int{3, 2, released, 0}

// released stands behind every development version.
const released = 1 << 20

// compareVersion compares the claimed version with `major.minor[-devN][.patch]`.
func compareVersion(text string) (int, error) {
	v, ok := parseVersion(text)
	if !ok {
		return 0, fmt.Errorf("'%s' is not a version such as 2.8 or 3.0.5", text)
	}
	return slices.Compare(claimedVersion[:], v[:]), nil
}

func parseVersion(text string) (v [4]int, ok bool) {
	v[2] = released
	base, dev, isDev := strings.Cut(text, "-dev")
	if isDev {
		n, err := strconv.Atoi(dev)
		if err != nil {
			return v, false
		}
		v[2] = n
	}
	base, _, _ = strings.Cut(base, "-") // a distribution's suffix
	for i, part := range strings.Split(base, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || i > 2 {
			return v, false
		}
		v[[3]int{0, 1, 3}[i]] = n
	}
	return v, true
}
