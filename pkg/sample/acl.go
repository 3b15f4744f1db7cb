package sample

import (
	"fmt"
	"strconv"
)

// Env is what compiling an expression may ask for. The zero value knows no ACLs and no files.
type Env struct {
	// ACL gives a named ACL that was declared before, or nil.
	ACL func(name string) *ACL
	// ReadFile reads a file of patterns (-f).
	ReadFile func(name string) ([]byte, error)
	// Warn takes a remark about a word that is legal and probably not meant.
	Warn func(word int, text string)
	// Getenv looks an environment variable up, for the fetch env.
	Getenv func(name string) (string, bool)
	// Backend is told of each backend that an expression names, which may be declared later.
	Backend func(name string)
	// Frontend is told of each frontend, and Server of each `[<backend>/]<server>`, in the same way.
	Frontend, Server func(name string)
	// Hostname gives the host's name.
	Hostname func() string
	// Table is told of each stick table that an expression names, which may be declared later; "" is the proxy's own.
	Table func(name string)
	// Userlist is told of each list of users that an expression names, which may be declared later.
	Userlist func(name string)
	// Content is told of each expression, and of each ACL that a condition names, that looks at the first bytes of a TCP client.
	Content func()
	// References takes the pattern lists; nil: nobody can change them later.
	References *References
	// File and Line are where the expression stands.
	File string
	Line int
	// Where is when the expression is evaluated; the zero value is AtRequest.
	Where Where
}

// ACL is a named access list: it holds when one of its lines does. Lines are added while the
// configuration is read; after that it is immutable and safe for concurrent use.
type ACL struct{ lines []*test }

// test is one sample expression with the patterns it is compared with.
type test struct {
	expr     *Expr
	patterns *patterns
}

// Match says whether the ACL holds for s. It does not allocate.
func (a *ACL) Match(s Subject) bool {
	for _, t := range a.lines {
		if run(t.expr, t.patterns, s) {
			return true
		}
	}
	return false
}

// judge is Match where the outcome may still change.
func (a *ACL) judge(s Subject) verdict {
	best := no
	for _, t := range a.lines {
		if best = max(best, judge(t.expr, t.patterns, s)); best == yes {
			break
		}
	}
	return best
}

// Add compiles one line: an expression, flags and patterns, without the ACL's name. The error is an
// *Error whose Word counts from words[0].
func (a *ACL) Add(words []string, env Env) error {
	t, err := compileTest(words, env)
	if err != nil {
		return err
	}
	a.lines = append(a.lines, t)
	return nil
}

// ValidName says whether an ACL may be called so: letters, digits and `-_.:`.
func ValidName(name string) bool {
	for i := 0; i < len(name); i++ {
		c := lowerByte(name[i])
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !isOneOf(c, "-_.:") {
			return false
		}
	}
	return name != ""
}

func compileTest(words []string, env Env) (*test, *Error) {
	if len(words) == 0 {
		return nil, errorf(0, "missing fetch method in ACL expression")
	}
	expr, suffix, err := parseExpr(words[0], env)
	if err != nil {
		return nil, err
	}
	flags, err := parseFlags(words[1:])
	if err != nil {
		return nil, err.at(1)
	}
	p := &patterns{how: comparison{method: defaultMethod(expr.out), fold: flags.fold}}
	if suffix == "" {
		suffix = impliedMethod(words[0], expr)
	}
	if suffix != "" {
		p.how.method = methods[suffix]
	}
	if flags.method != "" {
		p.how.method = methods[flags.method]
	}
	if suffix == "" && flags.method == "" {
		switch expr.out {
		case Any:
			return nil, errorf(0, "'%s' can be of any type, so that a match method is needed before its patterns (-m)", words[0])
		case Binary:
			return nil, errorf(0, "'%s' gives bytes, so that a match method is needed before its patterns: -m bin for hexadecimal digits, -m str for text", words[0])
		}
	}
	if p.how.method != matchFound && !expr.out.castsTo(p.how.method.input()) {
		return nil, errorf(0, "match method '%s' does not fit the values of '%s'", flags.method, words[0])
	}
	for _, f := range flags.files {
		if err := p.addFile(f, env); err != nil {
			return nil, err.at(1)
		}
	}
	rest, err := p.how.join(words[1+flags.used:])
	if err != nil {
		return nil, err.at(1 + flags.used)
	}
	bare := len(rest) == 0 && len(flags.files) == 0
	if !bare && p.how.method.idle() && env.Warn != nil {
		env.Warn(0, fmt.Sprintf("'%s' is compared by '-m %s', which looks at no pattern: as in HAProxy what stands behind it changes nothing, not even 'false' or 0", words[0], p.how.method))
	}
	if err := p.addLine(words[0], rest, flags.id, bare, env); err != nil {
		return nil, err.at(1 + flags.used)
	}
	if bare && p.how.method != matchBool && p.how.method != matchFound && !flags.closed && env.Warn != nil {
		env.Warn(0, fmt.Sprintf("'%s' has no pattern to match against, so it never matches; '-m found' tests for existence", words[0]))
	}
	return &test{expr: expr, patterns: p}, nil
}

// impliedMethod is the match method that the older names of fetches of bytes have without any -m.
func impliedMethod(word string, x *Expr) string {
	if name, _ := cutName(word); (name == "payload" || name == "payload_lv") && len(x.converters) == 0 {
		return "bin"
	}
	return ""
}

func (p *patterns) addFile(f patternFile, env Env) *Error {
	r, err := env.load(f.name, f.pairs, false)
	if err != nil {
		return err.at(f.word)
	}
	w, err := r.view(p.how, String, false)
	if err != nil {
		return err.at(f.word)
	}
	p.lists = append(p.lists, w)
	return nil
}

// addLine adds what stands on the line. Without any pattern a boolean is expected to be true (bare), and anything else never
// matches, until the Runtime API adds one.
func (p *patterns) addLine(expr string, words []string, id int, bare bool, env Env) *Error {
	for i, word := range words {
		if _, err := p.how.compile(word); err != nil {
			return err.at(i)
		}
	}
	r, err := env.inline(expr, id, words)
	if err != nil {
		return err
	}
	w, err := r.view(p.how, String, false)
	if err == nil {
		w.bare = bare && p.how.method == matchBool
		p.lists = append(p.lists, w)
	}
	return err
}

// join puts operators and the numbers behind them together, in the form of ranges.
func (c comparison) join(words []string) ([]string, *Error) {
	if !c.method.ordered() {
		return words, nil
	}
	var out []string
	operator := ""
	for i, w := range words {
		if isOperator(w) {
			operator = w
			if i+1 == len(words) {
				return nil, errorf(i, "missing value behind the operator '%s'", w)
			}
			continue
		}
		r, err := parseRange(w, operator)
		if err != nil {
			return nil, err.at(i)
		}
		out = append(out, r.String())
	}
	return out, nil
}

// flags are the words between an expression and its patterns.
type flags struct {
	fold   bool
	method string
	files  []patternFile
	id     int  // of -u, -1 without
	closed bool // by --
	used   int  // how many words they are
}

type patternFile struct {
	name  string
	word  int
	pairs bool // -M
}

func parseFlags(words []string) (flags, *Error) {
	f := flags{id: -1}
	pairs := false
	for f.used < len(words) {
		w := words[f.used]
		if len(w) < 2 || w[0] != '-' || w[1] >= '0' && w[1] <= '9' {
			return f, nil
		}
		at := f.used
		f.used++
		switch w {
		case "--":
			f.closed = true
			return f, nil
		case "-i":
			f.fold = true
		case "-n": // names are never resolved here
		case "-m", "-f", "-u":
			if f.used == len(words) {
				return f, errorf(at, "missing value behind flag '%s'", w)
			}
			value := words[f.used]
			f.used++
			switch w {
			case "-m":
				if err := checkMethod(value, at+1); err != nil {
					return f, err
				}
				f.method = value
			case "-f":
				f.files = append(f.files, patternFile{value, at + 1, pairs})
			case "-u":
				id, err := strconv.ParseUint(value, 10, 31)
				if err != nil {
					return f, errorf(at+1, "the argument of -u must be a number from 0 on, not '%s'", value)
				}
				f.id = int(id)
			}
		case "-M":
			pairs = true
		default:
			// HAProxy takes an unknown word with a dash as a pattern only behind --.
			return f, errorf(at, "unrecognized flag '%s', '--' is needed before a pattern that begins with '-'", w)
		}
	}
	return f, nil
}

func checkMethod(name string, word int) *Error {
	if _, ok := methods[name]; ok {
		return nil
	}
	return unknown("match method", name, methods).at(word)
}
