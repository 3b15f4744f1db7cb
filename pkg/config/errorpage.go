package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"waggle/pkg/sample"
)

func errorDirectives() []directive {
	location := func(name string, status int, doc string) directive {
		return directive{name: name, in: anyProxy, args: "<code> <url>", doc: doc, parse: func(s *statement) { s.errorLocation(status) }}
	}
	return []directive{
		{name: "errorfile", in: anyProxy, args: "<code> <file>", doc: "a whole response instead of the built-in one", parse: (*statement).errorFile},
		{name: "errorfile", in: inHTTPErrors, args: "<code> <file>", doc: "the response of a status", parse: (*statement).errorFileOfSet},
		{name: "errorfiles", in: anyProxy, args: "<name> [<code>…]", doc: "the responses of an http-errors section instead of the built-in ones", parse: (*statement).errorFiles},
		location("errorloc", 302, "a redirect instead of an error page"),
		location("errorloc302", 302, "a redirect instead of an error page"),
		location("errorloc303", 303, "a redirect, to be followed by GET, instead of an error page"),
	}
}

// errorUse is a use of an http-errors section, which may be declared behind it.
type errorUse struct {
	at    Pos
	set   string
	codes []int  // nil = all that it has
	reply *Reply // of a rule, whose Status says which; nil for the proxy itself
}

// errorFileArgs reads `<code> <file>` and the file.
func (s *statement) errorFileArgs() (code int, name string, page []byte, ok bool) {
	if len(s.args) < 2 {
		s.errorf(-1, "'errorfile' expects <status_code> and <file> as arguments")
		return 0, "", nil, false
	}
	if !s.oneOf(0, "status code", strings.Fields(errorStatuses)...) || !s.atMost(2) {
		return 0, "", nil, false
	}
	name = s.p.path(s.text(1))
	if name != "/dev/null" {
		var err error
		if page, err = s.p.opts.ReadFile(name); err != nil {
			s.errorf(1, "'errorfile' : cannot read '%s': %s", name, err)
			return 0, "", nil, false
		}
	}
	code, _ = strconv.Atoi(s.text(0)) // one of the list
	return code, name, page, true
}

func (s *statement) errorFile() {
	if code, name, _, ok := s.errorFileArgs(); ok {
		s.p.proxy.setErrorFile(code, name)
	}
}

func (p *proxyState) setErrorFile(code int, name string) {
	if p.ErrorFiles == nil {
		p.ErrorFiles = make(map[int]string)
	}
	p.ErrorFiles[code] = name
	delete(p.HTTPErrors, code)
}

func (p *proxyState) setErrorReply(code int, r *Reply) {
	if p.HTTPErrors == nil {
		p.HTTPErrors = make(map[int]*Reply)
	}
	delete(p.ErrorFiles, code)
	p.HTTPErrors[code] = r
}

// errorFileOfSet reads a line of an http-errors section.
func (s *statement) errorFileOfSet() {
	if code, _, page, ok := s.errorFileArgs(); ok {
		s.p.errorSet.pages[code] = page
	}
}

// errorSet is an http-errors section.
type errorSet struct {
	name  string
	at    Pos
	pages map[int][]byte
}

func (p *parser) enterHTTPErrors(s *statement) {
	set := &errorSet{at: s.at(-1), pages: make(map[int][]byte)}
	p.errorSet = set
	name, ok := s.one("a name")
	if !ok {
		return
	}
	set.name = name
	for _, other := range p.errorSets {
		if other.name == name {
			s.errorf(0, "http-errors section '%s' already defined at %s", name, other.at)
			return
		}
	}
	p.errorSets = append(p.errorSets, set)
}

func (s *statement) errorFiles() {
	use := errorUse{at: s.at(0), set: s.text(0)}
	if use.set == "" {
		s.errorf(-1, "'errorfiles' expects the name of an http-errors section")
		return
	}
	for i := 1; i < len(s.args); i++ {
		if !s.oneOf(i, "status code", strings.Fields(errorStatuses)...) {
			return
		}
		code, _ := strconv.Atoi(s.args[i].text) // one of the list
		use.codes = append(use.codes, code)
	}
	s.p.proxy.errorUses = append(s.p.proxy.errorUses, use)
}

// errorLocation reads `<code> <url>`.
func (s *statement) errorLocation(status int) {
	if len(s.args) < 2 {
		s.errorf(-1, "'%s' expects <status_code> and <url> as arguments", s.name())
		return
	}
	if !s.oneOf(0, "status code", strings.Fields(errorStatuses)...) || !s.atMost(2) {
		return
	}
	url := s.text(1)
	if strings.ContainsFunc(url, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		s.errorf(1, "'%s' : blanks and control characters are not permitted in a URL", s.name())
		return
	}
	code, _ := strconv.Atoi(s.text(0)) // one of the list
	fixed := func(text string) *sample.Format {
		f, err := sample.ParseFormat(strings.ReplaceAll(text, "%", "%%"), sample.MessageFormat, true, sample.Env{})
		if err != nil { // it has no expression
			s.errorf(1, "'%s' : %s", s.name(), err)
		}
		return f
	}
	s.p.proxy.setErrorReply(code, &Reply{Status: status, Headers: []ReplyHeader{{"cache-control", fixed("no-cache")}, {"location", fixed(url)}}})
}

// resolveErrors gives the uses of http-errors sections their pages.
func (p *parser) resolveErrors(s *proxyState) {
	for _, use := range s.errorUses {
		i := slices.IndexFunc(p.errorSets, func(e *errorSet) bool { return e.name == use.set })
		if i < 0 {
			var names []string
			for _, e := range p.errorSets {
				names = append(names, e.name)
			}
			p.alert(use.at, "%s '%s' : unknown http-errors section '%s'%s", s.Kind, s.Name, use.set, didYouMean(use.set, names))
			continue
		}
		pages := p.errorSets[i].pages
		codes := use.codes
		if use.reply != nil {
			codes = []int{use.reply.Status}
		} else if codes == nil {
			codes = slices.Sorted(maps.Keys(pages))
		}
		for _, code := range codes {
			page, ok := pages[code]
			switch {
			case !ok && use.reply != nil:
				use.reply.ErrorPage = true
			case !ok:
				p.alert(use.at, "%s '%s' : status '%d' is not declared in http-errors section '%s'", s.Kind, s.Name, code, use.set)
			case use.reply != nil:
				use.reply.Page = page
			default:
				s.setErrorReply(code, &Reply{Status: code, Page: page})
			}
		}
	}
}
