package sample

import "bytes"

// method is how a value is compared with the patterns.
type method uint8

const (
	matchFound method = iota // there is a value
	matchBool                // it is true; patterns are not looked at (HAProxy, section 7.1.1)
	matchInt
	matchAddr
	matchString
	matchBegin
	matchEnd
	matchSub
	matchDir    // a run of path elements
	matchDomain // a run of domain labels
	matchRegexp
	matchLength
	matchBinary // exact bytes, written in hexadecimal digits
)

var methods = map[string]method{
	"found": matchFound, "bool": matchBool, "int": matchInt, "ip": matchAddr, "str": matchString,
	"beg": matchBegin, "end": matchEnd, "sub": matchSub, "dir": matchDir, "dom": matchDomain,
	"reg": matchRegexp, "len": matchLength, "bin": matchBinary,
}

func isTextMethod(name string) bool {
	m, ok := methods[name]
	return ok && m > matchString && m != matchBinary
}

// idle says whether the method looks at no pattern.
func (m method) idle() bool { return m == matchFound || m == matchBool }

// defaultMethod is the method for values of a type when the line names none.
func defaultMethod(t Type) method {
	switch t {
	case Bool:
		return matchBool
	case Int:
		return matchInt
	case Addr:
		return matchAddr
	default:
		return matchString
	}
}

// input is the type of value that a method compares.
func (m method) input() Type {
	switch m {
	case matchBool:
		return Bool
	case matchInt:
		return Int
	case matchAddr:
		return Addr
	case matchBinary:
		return Binary
	default:
		return String
	}
}

// names are the methods as HAProxy's Runtime API writes them.
func (m method) String() string {
	for name, other := range methods {
		if m == other {
			return name
		}
	}
	return ""
}

// patterns are the right side of a comparison: each list of a file, and what stands on the line.
type patterns struct {
	how   comparison
	lists []*view
}

// match says whether any pattern matches v.
func (p *patterns) match(e *evaluator, v Value) bool {
	if p.how.method == matchFound {
		return true
	}
	v, ok := e.cast(v, p.how.method.input())
	if !ok {
		return false
	}
	for _, l := range p.lists {
		if _, ok := l.find(e, v); ok {
			return true
		}
	}
	return false
}

func (m method) compare(b, pattern []byte) bool {
	switch m {
	case matchBegin:
		return bytes.HasPrefix(b, pattern)
	case matchEnd:
		return bytes.HasSuffix(b, pattern)
	case matchSub:
		return bytes.Contains(b, pattern)
	case matchDir:
		return containsRun(b, pattern, "/?")
	case matchDomain:
		return containsRun(b, pattern, "/?.:")
	default:
		return bytes.Equal(b, pattern)
	}
}

// containsRun says whether pattern occurs in b between delimiters or the ends. A pattern of
// delimiters only matches nothing.
func containsRun(b, pattern []byte, delimiters string) bool {
	pattern = bytes.Trim(pattern, delimiters)
	if len(pattern) == 0 {
		return false
	}
	for from := 0; ; {
		i := bytes.Index(b[from:], pattern)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(pattern)
		if (i == 0 || isOneOf(b[i-1], delimiters)) && (end == len(b) || isOneOf(b[end], delimiters)) {
			return true
		}
		from = i + 1
	}
}

func isOneOf(c byte, set string) bool {
	for i := 0; i < len(set); i++ {
		if set[i] == c {
			return true
		}
	}
	return false
}
