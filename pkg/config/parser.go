package config

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"waggle/pkg/sample"
)

// maxErrors is after how many errors reading stops, as in HAProxy.
const maxErrors = 50

// parser is the state of reading one configuration.
type parser struct {
	opts  LoadOptions
	env   environment
	cfg   *Config
	table *table

	remarks   Diagnostics
	errors    Diagnostics
	truncated bool

	sources     map[string][]byte // by file name, to show lines in diagnostics made at the end
	pos         Pos               // of the line being read
	section     string            // its section's keyword, "" before the first
	in          sections
	blocks      []block // conditional ones that are open
	skip        bool    // the section cannot be read: pass its lines by
	proxy       *proxyState
	resolvers   *Resolvers
	userlist    *userlistState
	ring        *Ring
	ringUses    []nameUse // of log lines
	peers       *Peers
	peersUses   []nameUse // of stick tables
	mailers     []*mailersSection
	userlists   []*userlistState
	errorSet    *errorSet
	errorSets   []*errorSet
	defaults    []*proxyState // in file order
	proxies     []*proxyState
	tracked     map[*Server]trackEnd     // see noteTracked
	named       map[string][]*proxyState // by name, those of one in file order: at most a few
	zeroWarning bool
	defaultPath DefaultPath
	addresses   int // of all bind lines
	slots       int // of all server lines
}

func newParser(opts LoadOptions) *parser {
	p := &parser{opts: opts.withDefaults(), cfg: &Config{References: &sample.References{}}, table: directives(), sources: make(map[string][]byte)}
	p.env = environment{getenv: p.opts.Getenv, pos: &p.pos, section: &p.section}
	return p
}

// report keeps a diagnostic; after maxErrors errors it sets truncated.
func (p *parser) report(d Diagnostic) {
	if p.truncated {
		return
	}
	if d.Severity < Alert {
		p.remarks = append(p.remarks, d)
		return
	}
	p.errors = append(p.errors, d)
	p.truncated = len(p.errors) >= maxErrors
}

// file reads one file. Sections do not go on in the next one.
func (p *parser) file(f File) {
	p.pos = Pos{File: f.Name}
	p.sources[f.Name] = f.Content
	p.leaveSection()
	rest := f.Content
	for len(rest) > 0 && !p.truncated {
		line, after, found := bytes.Cut(rest, []byte{'\n'})
		p.pos.Line++
		if !found {
			p.report(Diagnostic{
				Severity: Warning, Pos: p.pos,
				Text: "no line feed at the end of the last line: the file might have been truncated, and HAProxy would refuse it",
			})
		}
		rest = after
		p.line(string(line))
	}
	p.closeBlocks()
	p.leaveSection()
}

func (p *parser) line(raw string) {
	raw = strings.TrimSuffix(raw, "\r")
	if p.conditional(raw) || p.skipping() {
		return
	}
	words, err := lexLine(raw, p.env.lookup)
	if err != nil {
		pos := p.pos
		pos.Col = err.col
		p.report(Diagnostic{Severity: Alert, Pos: pos, Text: fmt.Sprintf("%s at position %d", err.text, err.col), Line: raw})
		return
	}
	if len(words) == 0 {
		return
	}
	s := &statement{p: p, pos: p.pos, raw: raw}
	s.keyword, s.args = words[:1], words[1:]
	if p.enterSection(s) {
		return
	}
	if strings.HasPrefix(words[0].text, ".") {
		p.preprocessor(s)
		return
	}
	if p.skip {
		return
	}
	p.statement(s, words)
}

// preprocessor prints a message.
func (p *parser) preprocessor(s *statement) {
	word := s.keyword[0].text
	switch word {
	case ".notice", ".warning", ".diag":
		severity := Notice
		if word == ".warning" {
			severity = Warning
		}
		p.report(Diagnostic{Severity: severity, Pos: s.at(-1), Text: s.rest(), Line: s.raw})
	case ".alert":
		p.report(Diagnostic{Severity: Alert, Pos: s.at(-1), Text: s.rest(), Line: s.raw})
	default:
		s.errorf(-1, "unknown directive '%s'", word)
	}
}

// statement finds the directive of a line and runs its parser.
func (p *parser) statement(s *statement, words []word) {
	if p.section == "" {
		s.keyword = words[:1]
		s.errorf(-1, "unknown keyword '%s' out of section%s", words[0].text, p.suggest(words[0].text, 0))
		return
	}
	if first := words[0].text; len(words) > 1 && (first == "no" || first == "default") {
		s.off, s.reset = first == "no", first == "default"
		words = words[1:]
	}
	d, n := p.table.find(words, p.in)
	if d == nil {
		p.unknownKeyword(s, words)
		return
	}
	s.d, s.keyword, s.args = d, words[:n], words[n:]
	if d.in&p.in == 0 {
		p.misplaced(s)
		return
	}
	if (s.off || s.reset) && !d.switchable {
		s.errorf(-1, "'%s' cannot be negated: 'no' and 'default' work on options and logs only", s.name())
		return
	}
	switch d.status {
	case Supported:
		d.parse(s)
	case Ignored:
		if d.parse != nil {
			d.parse(s)
		}
		if !s.off && !s.reset {
			p.report(Diagnostic{Severity: Notice, Pos: s.at(-1), Text: fmt.Sprintf("'%s' is ignored: %s", s.name(), d.why)})
		}
	case Unsupported:
		switch {
		case s.off || s.reset: // off is what it is here anyway
		case d.why != "":
			s.errorf(-1, "'%s' is valid HAProxy but not supported by waggle: %s", s.name(), d.why)
		default:
			s.unsupported(-1, "'"+s.name()+"'")
		}
	case Removed:
		s.errorf(-1, "'%s' is gone from HAProxy%s%s", s.name(), gone, d.why)
	}
}

func (p *parser) unknownKeyword(s *statement, words []word) {
	s.keyword = words[:1]
	first := words[0].text
	longer := p.table.beginning(first, p.in)
	if len(longer) > 0 {
		p.unknownSecondWord(s, words, longer)
		return
	}
	s.errorf(-1, "unknown keyword '%s' in '%s' section%s", first, p.section, p.suggest(first, p.in))
}

// suggest says what the first word of a line was probably meant to be. If that is a section, its lines
// are passed by: they would only be reported as wrong in the section before.
func (p *parser) suggest(first string, in sections) string {
	var begins []string
	for _, n := range sectionNames {
		begins = append(begins, n.name)
	}
	for _, o := range otherSections() {
		begins = append(begins, o.name)
	}
	best := Nearest(first, append(p.table.firstWords(in), begins...))
	if best == "" {
		return ""
	}
	p.skip = slices.Contains(begins, best)
	return suggestion + best + suggestionEnd
}

// unknownSecondWord reports `option foo`, `timeout foo` and their like.
func (p *parser) unknownSecondWord(s *statement, words []word, longer []string) {
	first := words[0].text
	seconds := make([]string, len(longer))
	for i, name := range longer {
		seconds[i] = strings.TrimPrefix(name, first+" ")
	}
	if len(words) == 1 {
		s.errorf(-1, "'%s' in '%s' section expects one of %s", first, p.section, quoteList(seconds))
		return
	}
	s.args = words[1:]
	got := words[1].text
	if first == "option" {
		s.errorf(0, "unknown option '%s'%s", got, didYouMean(got, seconds))
		return
	}
	for _, name := range seconds { // `capture request` without its third word
		if strings.HasPrefix(name, got+" ") {
			s.errorf(0, "'%s %s' in '%s' section expects one of %s", first, got, p.section, quoteList(longer))
			return
		}
	}
	s.errorf(0, "unknown keyword '%s %s' in '%s' section%s", first, got, p.section, didYouMean(first+" "+got, longer))
}

// strictlyPlaced are directives that HAProxy refuses in a proxy that has no use for them.
var strictlyPlaced = []string{"server", "server-template", "default-server", "retry-on", "tcp-request connection", "tcp-request session"}

// misplaced reports a directive that may not stand in this section. As in HAProxy, what a proxy has
// no use for is passed by with a warning, since it is harmless there.
func (p *parser) misplaced(s *statement) {
	switch {
	case p.in&inProxies != 0 && s.d.in&inProxies != 0 && p.proxy != nil && !slices.Contains(strictlyPlaced, s.d.name):
		side := "frontend"
		if p.in == inFrontend {
			side = "backend"
		}
		s.warnf(-1, "'%s' ignored because %s '%s' has no %s capability", s.name(), p.section, p.proxy.Name, side)
	case p.in == inDefaults && s.d.in&inProxies != 0:
		s.errorf(-1, "'%s' not allowed in 'defaults' section", s.name())
	default:
		s.errorf(-1, "unknown keyword '%s' in '%s' section%s%s", s.name(), p.section, belongs, s.d.in)
	}
}
