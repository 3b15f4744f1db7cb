package config

import (
	"sort"
	"strings"
)

// Status says what waggle does with a directive of HAProxy 3.2.
type Status uint8

// The statuses. A name that is in no table is unknown, which is an error.
const (
	Supported   Status = iota
	Ignored            // accepted with a notice: ignoring it changes nothing that can be seen
	Unsupported        // valid HAProxy; an error, so that nothing behaves other than it says
	Removed            // gone from HAProxy, which refuses it too
)

// String is the word used in the documentation.
func (s Status) String() string {
	switch s {
	case Supported:
		return "supported"
	case Ignored:
		return "ignored"
	case Unsupported:
		return "not yet"
	default:
		return "removed"
	}
}

// sections is a set of kinds of sections.
type sections uint32

const (
	inGlobal sections = 1 << iota
	inDefaults
	inFrontend
	inListen
	inBackend
	inResolvers
	inHTTPErrors
	inUserlist
	inRing
	inPeers
	inMailers

	frontSide  = inFrontend | inListen
	backSide   = inBackend | inListen
	inProxies  = inFrontend | inListen | inBackend
	anyProxy   = inProxies | inDefaults
	frontOrDef = frontSide | inDefaults
	backOrDef  = backSide | inDefaults
)

var sectionNames = []struct {
	set  sections
	name string
}{
	{inGlobal, "global"}, {inDefaults, "defaults"}, {inFrontend, "frontend"},
	{inListen, "listen"}, {inBackend, "backend"}, {inResolvers, "resolvers"}, {inHTTPErrors, "http-errors"}, {inUserlist, "userlist"}, {inRing, "ring"}, {inPeers, "peers"}, {inMailers, "mailers"},
}

func (s sections) String() string {
	var names []string
	for _, n := range sectionNames {
		if s&n.set != 0 {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, ", ")
}

// directive is one row of the table: everything known about a keyword.
type directive struct {
	name   string   // one to three words
	in     sections // where it may stand
	args   string   // its arguments, for the documentation
	doc    string   // one line
	status Status
	why    string // of an ignored one: why nothing is lost; of an unsupported one, if it will stay so: why
	// switchable says that `no` and `default` may stand before it.
	switchable bool
	parse      func(*statement)
}

// group makes rows of names that share a status and a sentence. Behind the name of one that is ignored may stand `=` and
// the kind of its value, see checkIgnored.
func group(in sections, status Status, doc, why, names string) []directive {
	var rows []directive
	for name := range strings.FieldsSeq(names) {
		name, kind, _ := strings.Cut(name, "=")
		d := directive{name: strings.ReplaceAll(name, "+", " "), in: in, status: status, doc: doc, why: why, switchable: true}
		switch kind {
		case "":
		case "none":
			d.parse = (*statement).noValue
		default:
			d.args, d.parse = "<"+kind+">", (*statement).ignoredValue
		}
		rows = append(rows, d)
	}
	return rows
}

// table finds directives by their words.
type table struct {
	rows   []directive
	byName map[string][]*directive // one name may have different rows in different sections
}

func newTable(parts ...[]directive) *table {
	t := &table{byName: make(map[string][]*directive)}
	for _, p := range parts {
		t.rows = append(t.rows, p...)
	}
	for i := range t.rows {
		d := &t.rows[i]
		t.byName[d.name] = append(t.byName[d.name], d)
	}
	return t
}

// maxNameWords is the number of words of the longest name, as in `capture request header`.
const maxNameWords = 3

// find gives the row of the longest name that the words begin with, preferring one that may stand in
// the section, then one of its kind, and how many words its name has; nil if there is none.
func (t *table) find(words []word, in sections) (*directive, int) {
	for n := min(maxNameWords, len(words)); n > 0; n-- {
		name := joinWords(words[:n])
		rows := t.byName[name]
		if last := words[n-1].text; rows == nil && n > 1 && strings.Contains(last, "(") { // `http-check set-var(check.x)`
			rows = t.byName[name[:len(name)-len(last)+strings.IndexByte(last, '(')]]
		}
		for _, d := range rows {
			if d.in&in != 0 {
				return d, n
			}
		}
		for _, d := range rows { // `maxconn` in a backend is that of proxies, not that of the process
			if d.in&anyProxy != 0 && in&anyProxy != 0 {
				return d, n
			}
		}
		if len(rows) > 0 {
			return rows[0], n
		}
	}
	return nil, 0
}

func joinWords(words []word) string {
	if len(words) == 1 {
		return words[0].text
	}
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = w.text
	}
	return strings.Join(texts, " ")
}

// beginning gives the names of several words that begin with first and may stand in the section.
func (t *table) beginning(first string, in sections) []string {
	var names []string
	for name, rows := range t.byName {
		if !strings.HasPrefix(name, first+" ") {
			continue
		}
		for _, d := range rows {
			if d.in&in != 0 {
				names = append(names, name)
				break
			}
		}
	}
	sort.Strings(names)
	return names
}

// firstWords gives what a line of the section may begin with.
func (t *table) firstWords(in sections) []string {
	seen := make(map[string]bool)
	for i := range t.rows {
		if d := &t.rows[i]; d.in&in != 0 {
			first, _, _ := strings.Cut(d.name, " ")
			seen[first] = true
		}
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
