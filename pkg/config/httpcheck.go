package config

import (
	"strconv"
	"strings"
)

func httpCheckDirectives() []directive {
	rows := []directive{
		{name: "http-check send", in: backOrDef, args: "[meth <m>] [uri <u>] [ver <v>] [hdr <name> <value>]… [body <text>]", doc: "the request of a health check", parse: (*statement).httpCheckSend},
		{name: "http-check expect", in: backOrDef, args: "status <list>", doc: "the status codes of a healthy server", parse: (*statement).httpCheckExpect},
		{name: "http-check comment", in: backOrDef, args: "<text>", doc: "a name for the step", status: Ignored, why: "steps are not named here"},
	}
	return append(rows, group(backOrDef, Unsupported, "further steps of HTTP health checks", "",
		"http-check+connect http-check+disable-on-404 http-check+send-state http-check+set-var http-check+set-var-fmt http-check+unset-var")...)
}

// httpCheck gives the proxy's check to change.
func (s *proxyState) httpCheck() *HTTPCheck {
	if s.HTTPCheck == nil {
		s.HTTPCheck = &HTTPCheck{Method: "OPTIONS", URI: "/", Version: "HTTP/1.0"}
	}
	return s.HTTPCheck
}

// httpCheckOption reads `[<uri>]`, `<method> <uri>` and `<method> <uri> <version>`. An old habit is a
// version that carries headers behind a line end; they are taken apart.
func (s *statement) httpCheckOption() {
	if s.off || s.reset {
		s.p.proxy.HTTPCheck = nil
		s.p.proxy.httpChecked = false
		return
	}
	if !s.atMost(3) {
		return
	}
	s.p.proxy.httpChecked = true
	c := s.p.proxy.httpCheck()
	switch len(s.args) {
	case 0:
		return
	case 1:
		c.URI = s.text(0)
		return
	}
	c.Method, c.URI = s.text(0), s.text(1)
	if len(s.args) == 3 {
		lines := strings.Split(strings.ReplaceAll(s.text(2), "\r\n", "\n"), "\n")
		if s.checkVersion(2, lines[0]) {
			c.Version = lines[0]
			s.oldCheckHeaders(c, lines[1:])
		}
	}
}

func (s *statement) checkVersion(i int, version string) bool {
	if version == "HTTP/1.0" || version == "HTTP/1.1" {
		return true
	}
	if strings.HasPrefix(version, "HTTP/") {
		s.unsupported(i, "version '"+version+"' of a health check")
	} else {
		s.errorf(i, "'%s' expects HTTP/1.0 or HTTP/1.1 as version, not '%s'", s.name(), version)
	}
	return false
}

func (s *statement) oldCheckHeaders(c *HTTPCheck, lines []string) {
	for _, line := range lines {
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) {
			s.errorf(2, "'option httpchk' : '%s' behind the version is not a header", line)
			return
		}
		c.Headers = append(c.Headers, [2]string{name, strings.TrimSpace(value)})
	}
	if len(c.Headers) > 0 {
		s.warnf(2, "'option httpchk' : headers behind the version are deprecated; write 'http-check send hdr <name> <value>'")
	}
}

func (s *statement) httpCheckSend() {
	c := s.p.proxy.httpCheck()
	c.Headers, c.Body = nil, ""
	for i := 0; i < len(s.args); i++ {
		word, value := s.args[i].text, s.text(i+1)
		at := i
		if value == "" && word != "comment" {
			s.errorf(i, "'http-check send' : '%s' expects a value", word)
			return
		}
		i++
		switch word {
		case "meth":
			c.Method = value
		case "uri":
			c.URI = value
		case "ver":
			if !s.checkVersion(i, value) {
				return
			}
			c.Version = value
		case "body":
			c.Body = value
		case "hdr":
			i++
			if len(s.args) <= i || !isToken(value) {
				s.errorf(at, "'http-check send' : 'hdr' expects a name and a value")
				return
			}
			if strings.Contains(s.text(i), "%[") {
				s.unsupported(i, "an expression in a header of 'http-check send'")
				return
			}
			c.Headers = append(c.Headers, [2]string{value, s.text(i)})
		case "comment":
		case "uri-lf", "body-lf":
			s.unsupported(at, "'"+word+"' of 'http-check send'")
			return
		default:
			s.errorf(at, "'http-check send' : unknown keyword '%s'%s", word, didYouMean(word, []string{"meth", "uri", "ver", "hdr", "body"}))
			return
		}
	}
}

func (s *statement) httpCheckExpect() {
	switch s.text(0) {
	case "!", "rstatus", "string", "rstring", "hdr", "fhdr", "min-recv", "comment", "ok-status", "error-status", "tout-status", "on-success", "on-error", "status-code":
		s.unsupported(0, "'"+s.text(0)+"' of 'http-check expect'")
		return
	}
	if !s.oneOf(0, "kind", "status") {
		return
	}
	if len(s.args) < 2 {
		s.errorf(0, "'http-check expect status' expects a list of codes such as 200,204 or 200-399")
		return
	}
	if !s.atMost(2) {
		return
	}
	var ranges []StatusRange
	for part := range strings.SplitSeq(s.text(1), ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		low, err1 := strconv.Atoi(first)
		high, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || low < 100 || high > 999 || low > high {
			s.errorf(1, "'http-check expect status' : '%s' is not a status code or a range of them", part)
			return
		}
		ranges = append(ranges, StatusRange{low, high})
	}
	s.p.proxy.httpCheck().ExpectStatus = ranges
}

// isToken says whether text may be the name of a header or a method (RFC 9110 section 5.6.2).
func isToken(text string) bool {
	for i := 0; i < len(text); i++ {
		c := text[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return text != ""
}
