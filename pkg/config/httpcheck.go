package config

import (
	"strconv"
	"strings"
)

func httpCheckDirectives() []directive {
	flag := func(name, doc string, field func(*HealthCheck) *bool) directive {
		return directive{name: "http-check " + name, in: backOrDef, doc: doc, parse: func(s *statement) {
			if s.atMost(0) {
				*field(&s.p.proxy.check.check) = true
			}
		}}
	}
	rows := []directive{
		{name: "http-check connect", in: backOrDef, args: "[default] [port <port>] [send-proxy] [linger] [comment <text>]", doc: "a connection of a health check", parse: func(s *statement) {
			s.checkConnect(&s.p.proxy.check.http)
		}},
		{name: "http-check send", in: backOrDef, args: "[meth <m>] [uri <u>] [ver <v>] [hdr <name> <value>]… [body <text>] [comment <text>]", doc: "the request of a health check", parse: (*statement).httpCheckSend},
		{name: "http-check expect", in: backOrDef, args: "[parameters] [!] status|rstatus|string|rstring <pattern>", doc: "the answer of a healthy server", parse: func(s *statement) {
			s.checkExpect(&s.p.proxy.check.http, true)
		}},
		{name: "http-check comment", in: backOrDef, args: "<text>", doc: "a name for a step", parse: func(s *statement) {
			s.checkComment(&s.p.proxy.check.http)
		}},
		flag("disable-on-404", "404 takes a server out of balancing, without ending what it has", func(c *HealthCheck) *bool { return &c.DisableOn404 }),
		flag("send-state", "tells servers their state in X-Haproxy-Server-State", func(c *HealthCheck) *bool { return &c.SendState }),
	}
	return append(rows, group(backOrDef, Unsupported, "variables of HTTP health checks", "",
		"http-check+set-var http-check+set-var-fmt http-check+unset-var")...)
}

// httpCheckOption reads `[<uri>]`, `<method> <uri>` and `<method> <uri> <version>`. An old habit is a
// version that carries headers behind a line end; they are taken apart.
func (s *statement) httpCheckOption(*HealthCheck) bool {
	if !s.atMost(3) {
		return false
	}
	c := &s.p.proxy.check
	c.http.begin()
	r := defaultRequest()
	c.request = r
	switch len(s.args) {
	case 0:
		return true
	case 1:
		r.URI = s.text(0)
		return true
	}
	r.Method, r.URI = s.text(0), s.text(1)
	if len(s.args) == 3 {
		lines := strings.Split(strings.ReplaceAll(s.text(2), "\r\n", "\n"), "\n")
		if !s.checkVersion(2, lines[0]) {
			return false
		}
		r.Version = lines[0]
		s.oldCheckHeaders(r, lines[1:])
	}
	return true
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

func (s *statement) oldCheckHeaders(r *CheckSend, lines []string) {
	for _, line := range lines {
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) {
			s.errorf(2, "'option httpchk' : '%s' behind the version is not a header", line)
			return
		}
		r.Headers = append(r.Headers, [2]string{name, strings.TrimSpace(value)})
	}
	if len(r.Headers) > 0 {
		s.warnf(2, "'option httpchk' : headers behind the version are deprecated; write 'http-check send hdr <name> <value>'")
	}
}

func (s *statement) httpCheckSend() {
	step, send := CheckStep{}, &CheckSend{}
	for i := 0; i < len(s.args); i++ {
		word, value := s.args[i].text, s.text(i+1)
		at := i
		i++
		if value == "" {
			s.errorf(at, "'http-check send' : '%s' expects a value", word)
			return
		}
		switch word {
		case "meth":
			if !isToken(value) {
				s.errorf(i, "'http-check send' : '%s' is not a method", value)
				return
			}
			send.Method = value
		case "uri":
			send.URI = value
		case "ver":
			if !s.checkVersion(i, value) {
				return
			}
			send.Version = value
		case "body":
			send.Body = value
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
			send.Headers = append(send.Headers, [2]string{value, s.text(i)})
		case "comment":
			step.Comment = value
		case "uri-lf", "body-lf":
			s.unsupported(at, "'"+word+"' of 'http-check send'")
			return
		default:
			s.errorf(at, "'http-check send' : unknown keyword '%s'%s", word, didYouMean(word, []string{"meth", "uri", "ver", "hdr", "body", "comment"}))
			return
		}
	}
	step.Send = send
	s.addStep(&s.p.proxy.check.http, step)
}

// parseStatuses reads codes and ranges of them, as 200,204 or 200-399.
func (s *statement) parseStatuses(i int) ([]StatusRange, bool) {
	var ranges []StatusRange
	for part := range strings.SplitSeq(s.text(i), ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		low, err1 := strconv.Atoi(first)
		high, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || low < 100 || high > 999 || low > high {
			s.errorf(i, "'http-check expect status' : '%s' is not a status code or a range of them", part)
			return nil, false
		}
		ranges = append(ranges, StatusRange{low, high})
	}
	return ranges, true
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
