package config

import (
	"slices"
	"strconv"
	"strings"

	"waggle/pkg/sample"
)

// replyParser reads what `return`, `deny` and `http-error` have in common.
type replyParser struct {
	*statement
	what    string
	i       int
	codes   func(int) bool // which statuses there may be
	statusW []string       // words for the status
	where   sample.Where   // when the answer is made
	reply   *Reply
	said    bool // something about the answer, apart from its status
	page    bool // the body is a whole page, which headers cannot be added to
	// needsPage says that it is one of those by status.
	needsPage bool
}

func (r *ruleParser) returns() bool {
	p := &replyParser{statement: r.statement, what: r.what, i: r.i, where: r.set.where(), statusW: []string{"status"}, codes: between(200, 599), reply: &Reply{Status: 200}}
	ok := p.parse()
	r.i, r.rule.Reply, r.rule.Status = p.i, p.reply, p.reply.Status
	return ok
}

func (r *ruleParser) deny() bool {
	status := 403
	switch {
	case r.set == onResponse:
		status = 502
	case r.rule.Action == ActionTarpit:
		status = 500
	}
	p := &replyParser{statement: r.statement, what: r.what, i: r.i, where: r.set.where(), statusW: []string{"deny_status", "status"}, codes: between(200, 599), reply: &Reply{Status: status}}
	ok := p.parse()
	r.i, r.rule.Status = p.i, p.reply.Status
	if ok && !p.said && !hasErrorPage(p.reply.Status) {
		r.errorf(-1, "%s : there is no error page for status %d; say what to answer, or one of %s", r.what, p.reply.Status, quoteList(strings.Fields(errorStatuses)))
		return false
	}
	if p.said { // HAProxy 2.6 has no body where a header is set or a content type named, and the proxy's page where nothing is said
		r.rule.Reply = p.reply
	}
	return ok
}

func between(low, high int) func(int) bool { return func(n int) bool { return n >= low && n <= high } }

// parse reads up to a condition.
func (p *replyParser) parse() bool {
	contentType, header := -1, -1
	for p.i < len(p.args) {
		word := p.args[p.i].text
		if word == "if" || word == "unless" {
			break
		}
		at := p.i
		p.said = p.said || !slices.Contains(p.statusW, word)
		switch {
		case slices.Contains(p.statusW, word):
			if !p.status(word) {
				return false
			}
		case word == "content-type":
			contentType = at
			p.reply.ContentType = p.text(p.i + 1)
			if p.reply.ContentType == "" || strings.ContainsAny(p.reply.ContentType, "\r\n\x00") {
				p.errorf(at, "%s : 'content-type' expects a type", p.what)
				return false
			}
			p.i += 2
		case word == "hdr":
			header = at
			if !p.header() {
				return false
			}
		case word == "default-errorfiles":
			p.page, p.reply.ErrorPage, p.needsPage = true, true, true
			p.i++
		case word == "errorfiles":
			if p.text(p.i+1) == "" {
				p.errorf(at, "%s : 'errorfiles' expects the name of an http-errors section", p.what)
				return false
			}
			p.p.proxy.errorUses = append(p.p.proxy.errorUses, errorUse{at: p.at(p.i + 1), set: p.text(p.i + 1), reply: p.reply})
			p.page, p.i, p.reply.ErrorPage, p.needsPage = true, p.i+2, false, true
		case slices.Contains(payloads, word):
			if !p.body(word) {
				return false
			}
		default:
			p.errorf(at, "%s : unknown keyword '%s'%s", p.what, word, didYouMean(word, append([]string{"content-type", "hdr", "default-errorfiles", "if", "unless"}, append(p.statusW, payloads...)...)))
			return false
		}
	}
	return p.check(contentType, header)
}

// payloads are the ways to give a body.
var payloads = []string{"string", "lf-string", "file", "lf-file", "errorfile"}

// check gets the places of the last of both words, -1 for none.
func (p *replyParser) check(contentType, header int) bool {
	r := p.reply
	if p.needsPage && !hasErrorPage(r.Status) {
		p.errorf(-1, "%s : there is no error page for status %d", p.what, r.Status)
		return false
	}
	hasBody := r.Body != "" || r.Format != nil
	if p.page && header >= 0 {
		p.warnf(header, "%s : 'hdr' is ignored because an error page is a whole response; write its headers into the page", p.what)
		r.Headers = nil
	}
	switch {
	case hasBody && r.ContentType == "":
		p.errorf(-1, "%s : a content type must be defined when there is a body", p.what)
		return false
	case contentType >= 0 && p.page:
		p.warnf(contentType, "%s : 'content-type' is ignored because an error page is a whole response; write it into the page", p.what)
		r.ContentType = ""
	case contentType >= 0 && !hasBody:
		p.warnf(contentType, "%s : 'content-type' is ignored because there is no body", p.what)
		r.ContentType = ""
	}
	return true
}

func (p *replyParser) status(word string) bool {
	code, err := strconv.Atoi(p.text(p.i + 1))
	if err != nil || !p.codes(code) {
		p.errorf(min(p.i+1, len(p.args)-1), "%s : '%s' expects a status code between 200 and 599", p.what, word)
		return false
	}
	p.reply.Status = code
	p.i += 2
	return true
}

func (p *replyParser) header() bool {
	name := p.text(p.i + 1)
	if !isToken(name) || p.text(p.i+2) == "" {
		p.errorf(p.i, "%s : 'hdr' expects a name and a format", p.what)
		return false
	}
	switch strings.ToLower(name) {
	case "content-length", "transfer-encoding", "content-type", "connection":
		p.warnf(p.i+1, "%s : header '%s' is always ignored, since it belongs to the framing", p.what, name)
		p.i += 3
		return true
	}
	f, ok := p.format(p.i+2, p.what, p.where)
	if !ok {
		return false
	}
	p.reply.Headers = append(p.reply.Headers, ReplyHeader{name, f})
	p.i += 3
	return true
}

// body reads the body, or where it comes from; files are read once.
func (p *replyParser) body(word string) bool {
	i := p.i + 1
	if p.text(i) == "" {
		p.errorf(p.i, "%s : '%s' expects an argument", p.what, word)
		return false
	}
	p.i, p.reply.ErrorPage, p.needsPage, p.page = p.i+2, false, false, word == "errorfile"
	text := p.args[i].text
	if strings.HasSuffix(word, "file") {
		content, err := p.p.opts.ReadFile(p.p.path(text))
		if err != nil {
			p.errorf(i, "%s : cannot read '%s': %s", p.what, text, err)
			return false
		}
		text = string(content)
	}
	switch word {
	case "errorfile":
		p.reply.Page = []byte(text)
		return true
	case "string", "file":
		p.reply.Body = text
		return true
	}
	env := p.exprEnv(i)
	env.Where = p.where
	f, err := sample.ParseFormat(text, sample.MessageFormat, true, env)
	if err != nil {
		p.exprError(err, i, p.what)
		return false
	}
	p.reply.Format = f
	return true
}

// httpError reads `http-error status <code> …`, a reply in place of an error page.
func (s *statement) httpError() {
	codes := strings.Fields(errorStatuses)
	p := &replyParser{statement: s, what: "'http-error'", statusW: []string{"status"}, reply: &Reply{}, codes: func(n int) bool { return slices.Contains(codes, strconv.Itoa(n)) }}
	for _, a := range s.args {
		if a.text == "if" || a.text == "unless" {
			s.errorf(-1, "'http-error' takes no condition")
			return
		}
	}
	if s.text(0) == "status" && s.text(1) != "" && !slices.Contains(codes, s.text(1)) {
		s.errorf(1, "'http-error' : 'status' expects one of %s, not '%s'", quoteList(codes), s.text(1))
		return
	}
	if !p.parse() {
		return
	}
	if p.reply.Status == 0 {
		s.errorf(-1, "'http-error' expects 'status' and a code")
		return
	}
	if p.reply.ErrorPage { // as if nothing had been said
		delete(s.p.proxy.HTTPErrors, p.reply.Status)
		return
	}
	s.p.proxy.setErrorReply(p.reply.Status, p.reply)
}

// hasErrorPage says whether a status may be asked for without saying what to answer: those of errorStatuses, and some that
// HAProxy has a page for, too.
func hasErrorPage(status int) bool {
	return slices.Contains(strings.Fields(errorStatuses+" 414 421 422 431"), strconv.Itoa(status))
}

// errorStatuses are the statuses that have error pages.
const errorStatuses = "200 400 401 403 404 405 407 408 410 413 425 429 500 501 502 503 504"
