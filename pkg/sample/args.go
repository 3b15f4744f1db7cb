package sample

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// args are the arguments of a fetch or converter, compiled. Which of them mean something is up to it.
type args struct {
	name       string // of a header, cookie, parameter, backend
	occurrence int    // of a header: 1 the first, -1 the last, 0 unspecified
	nums       [3]int64
	texts      [3]string
	value      Value // a constant
	vars       [2]*VarName
	re         *regexp.Regexp
	again      *regexp.Regexp // regsub: the same for what follows a match
	all        bool           // regsub: every match; parameters: names in either case
	table      *mapping
	acls       []term
}

// argSpec says which arguments there may be.
type argSpec struct {
	least, most int
	parse       func(*argParser) *Error // nil: none of them needs compiling
}

// argParser compiles the arguments of one fetch or converter.
type argParser struct {
	what string
	list []string
	env  Env
	out  *args
	// named is namedACL, handed in so that the table of fetches does not depend on its own lookup.
	named func(name string, word int, env Env) (*ACL, *Error)
}

func (p *argParser) parse(spec argSpec) *Error {
	switch n := len(p.list); {
	case spec.most == 0 && n > 0:
		return errorf(0, "%s does not support any args", p.what)
	case n > spec.most:
		return errorf(0, "too many arguments for %s: at most %d", p.what, spec.most)
	case n < spec.least:
		return errorf(0, "%s expects at least %d arguments in parentheses", p.what, spec.least)
	}
	if spec.parse == nil {
		return nil
	}
	return spec.parse(p)
}

// text gives argument i, or "".
func (p *argParser) text(i int) string {
	if i < len(p.list) {
		return p.list[i]
	}
	return ""
}

// number reads argument i into nums[i]; an absent one is fallback.
func (p *argParser) number(i int, fallback int64) *Error {
	p.out.nums[i] = fallback
	if p.text(i) == "" {
		return nil
	}
	n, err := strconv.ParseInt(p.list[i], 10, 64)
	if err != nil {
		return errorf(0, "'%s' is not a number, which %s expects as argument %d", p.list[i], p.what, i+1)
	}
	p.out.nums[i] = n
	return nil
}

// variable reads argument i as the name of a variable; an absent one is nil.
func (p *argParser) variable(i int) *Error {
	if p.text(i) == "" {
		return nil
	}
	name, err := ParseVarName(p.list[i])
	if err != nil {
		return err
	}
	p.out.vars[0] = &name
	return nil
}

// Argument lists that several fetches and converters share.
var (
	oneText = argSpec{1, 1, (*argParser).keepTexts}
	optText = argSpec{0, 1, (*argParser).keepTexts}
	// name[,occurrence]
	headerArgs = argSpec{0, 2, (*argParser).header}
	// name alone
	headerName = argSpec{0, 1, (*argParser).header}
	optName    = argSpec{0, 1, func(p *argParser) *Error { p.out.name = p.text(0); return nil }}
	// a number or a variable that holds one
	operand = argSpec{1, 1, (*argParser).operand}
	// an optional number, 0 unless said
	optNumber = argSpec{0, 1, func(p *argParser) *Error { return p.number(0, 0) }}
	// index,delimiters[,count]
	partArgs = argSpec{2, 3, (*argParser).part}
	oneVar   = argSpec{1, 1, func(p *argParser) *Error { return p.variable(0) }}
)

func (p *argParser) keepTexts() *Error {
	copy(p.out.texts[:], p.list)
	return nil
}

func (p *argParser) header() *Error {
	if p.text(0) == "" {
		return errorf(0, "%s expects the name of a header in parentheses", p.what)
	}
	p.out.name = strings.ToLower(p.list[0])
	if len(p.list) == 2 {
		n, err := strconv.Atoi(p.list[1])
		if err != nil || n < -10 || n > 1000 {
			return errorf(0, "bad occurrence '%s' for %s: a number from -10 on", p.list[1], p.what)
		}
		p.out.occurrence = n
	}
	return nil
}

func (p *argParser) operand() *Error {
	if n, err := strconv.ParseInt(p.list[0], 10, 64); err == nil {
		p.out.nums[0] = n
		return nil
	}
	return p.variable(0)
}

func (p *argParser) part() *Error {
	if err := p.number(0, 0); err != nil {
		return err
	}
	if p.out.nums[0] == 0 {
		return errorf(0, "unexpected value 0 for the index of %s", p.what)
	}
	if p.list[1] == "" {
		return errorf(0, "%s expects delimiters as argument 2", p.what)
	}
	p.out.texts[1] = p.list[1]
	return p.number(2, 1)
}

// constant gives a parser for fetches whose argument is their value.
func constant(read func(string) (Value, bool)) argSpec {
	return argSpec{0, 1, func(p *argParser) *Error {
		v, ok := read(p.text(0))
		if !ok {
			return errorf(0, "'%s' is not what %s expects", p.text(0), p.what)
		}
		p.out.value = v
		return nil
	}}
}

func readBool(s string) (Value, bool) {
	switch strings.ToLower(s) {
	case "true", "on", "enable", "enabled", "yes", "1":
		return boolean(true), true
	case "false", "off", "disable", "disabled", "no", "0":
		return boolean(false), true
	}
	return Value{}, false
}

func readInt(s string) (Value, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return integer(n), err == nil
}

func readText(s string) (Value, bool) { return text([]byte(s)), true }

func readAddr(s string) (Value, bool) {
	a, err := netip.ParseAddr(s)
	return address(a), err == nil && a.Zone() == ""
}
