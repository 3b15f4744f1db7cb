package sample

import (
	"bytes"
	"net/netip"
	"regexp"
)

// method is how a value is compared with the patterns.
type method uint8

const (
	matchFound method = iota // there is a value
	matchBool
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
)

var methods = map[string]method{
	"found": matchFound, "bool": matchBool, "int": matchInt, "ip": matchAddr, "str": matchString,
	"beg": matchBegin, "end": matchEnd, "sub": matchSub, "dir": matchDir, "dom": matchDomain,
	"reg": matchRegexp, "len": matchLength,
}

func isTextMethod(name string) bool {
	m, ok := methods[name]
	return ok && m > matchString
}

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
	default:
		return String
	}
}

// linearLimit is how many exact strings are compared one by one before a map is faster.
const linearLimit = 8

// patterns are the right side of a comparison. It is immutable after seal.
type patterns struct {
	method   method
	fold     bool // -i
	texts    [][]byte
	set      map[string]struct{} // instead of texts, for many exact strings
	prefixes []netip.Prefix
	ranges   []intRange
	regexps  []*regexp.Regexp
	truth    [2]bool // the booleans that match
}

type intRange struct{ low, high int64 }

func (p *patterns) seal() {
	if p.method != matchString || len(p.texts) <= linearLimit {
		return
	}
	p.set = make(map[string]struct{}, len(p.texts))
	for _, t := range p.texts {
		p.set[string(t)] = struct{}{}
	}
	p.texts = nil
}

// match says whether any pattern matches v.
func (p *patterns) match(e *evaluator, v Value) bool {
	if p.method == matchFound {
		return true
	}
	v, ok := e.cast(v, p.method.input())
	if !ok {
		return false
	}
	switch p.method {
	case matchBool:
		return p.truth[v.Int]
	case matchInt:
		return p.inRange(v.Int)
	case matchLength:
		return p.inRange(int64(len(v.Text)))
	case matchAddr:
		for _, prefix := range p.prefixes {
			if prefix.Contains(v.Addr) {
				return true
			}
		}
		return false
	case matchRegexp:
		for _, re := range p.regexps {
			if re.Match(v.Text) {
				return true
			}
		}
		return false
	}
	return p.matchText(e, v.Text)
}

func (p *patterns) inRange(n int64) bool {
	for _, r := range p.ranges {
		if r.low <= n && n <= r.high {
			return true
		}
	}
	return false
}

func (p *patterns) matchText(e *evaluator, b []byte) bool {
	if p.fold {
		b = e.mapText(b, lowerByte)
	}
	if p.set != nil {
		_, ok := p.set[string(b)]
		return ok
	}
	for _, t := range p.texts {
		if p.method.compare(b, t) {
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
