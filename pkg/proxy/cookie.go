package proxy

import (
	"bytes"
	"cmp"
	"strings"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/proxy/h1"
	"waggle/pkg/sample"
)

// What came of the client's cookie and of the server's, as log lines say it (HAProxy configuration manual, 8.5).
const (
	cookieNone    = 'N'
	cookieInvalid = 'I'
	cookieDown    = 'D'
	cookieValid   = 'V'
	cookieExpired = 'E'
	cookieOld     = 'O'
	cookieUnused  = 'U'

	answerNone     = 'N'
	answerInserted = 'I'
	answerUpdated  = 'U'
	answerPresent  = 'P'
	answerReplaced = 'R'
	answerDeleted  = 'D'
)

// clientCookie looks for the backend's cookie in the request. What belongs to us alone does not go to the server.
func (s *session) clientCookie(c *cookies) {
	s.persist.cookie, s.persist.answer = cookieNone, answerNone
	var lines [][]byte
	changed := false
	s.edits.Headers(&s.req.Head, "cookie", func(line []byte) bool {
		out, edited := s.cookieLine(c, line)
		changed = changed || edited
		if len(out) > 0 {
			lines = append(lines, out)
		}
		return true
	})
	if changed {
		rewriteLines(&s.edits, "cookie", lines)
	}
}

// rewriteLines gives a header other lines.
func rewriteLines(edits *h1.Edits, name string, lines [][]byte) {
	edits.Del(name)
	for _, line := range lines {
		edits.AddBytes(name, line)
	}
}

// cookieLine looks through one line of cookies and gives it as the server is to see it. The line is copied only where it
// changes, and once, however many of its cookies do.
func (s *session) cookieLine(c *cookies, line []byte) (out []byte, edited bool) {
	edit := func(at int) {
		if !edited {
			out, edited = append(make([]byte, 0, len(line)+2), line[:at]...), true
		}
	}
	going := false // the cookie before has gone, and its attributes, which begin with $ (RFC 2109), go with it
	some := false  // a cookie stays
	for at := 0; at < len(line); {
		end := at + sample.CookieEnd(line[at:])
		next := min(end+1, len(line)) // where the one behind it begins
		label, value, ok := bytes.Cut(line[at:end], []byte{'='})
		name := bytes.TrimSpace(label)
		attribute := len(name) > 0 && name[0] == '$'
		ours := ok && string(name) == c.line.Name
		var rest []byte
		if ours {
			value = bytes.TrimSpace(value)
			rest = s.cookieValue(c, value)
		}
		gone := ours && c.line.Insert && c.line.Indirect || going && attribute
		switch {
		case ours && c.line.Prefix && len(rest) != len(value):
			edit(at)
			out = append(append(append(out, label...), '='), rest...)
			out = append(out, line[end:next]...)
		case gone:
			edit(at)
			out = bytes.TrimRight(out, " ;,")
			for next < len(line) && line[next] == ' ' {
				next++
			}
			if len(out) > 0 && next < len(line) {
				out = append(out, line[end], ' ')
			}
		case edited:
			out = append(out, line[at:next]...)
		}
		some = some || !gone && !attribute
		going = gone
		at = next
	}
	switch {
	case !edited:
		return line, false
	case !some: // attributes of no cookie
		return nil, true
	}
	return out, true
}

// cookieValue follows a value to its server. It gives what of the value belongs to the servers, in prefix mode.
func (s *session) cookieValue(c *cookies, value []byte) (rest []byte) {
	p := &s.persist
	mine, rest, dated := value, value, true
	if c.line.Prefix {
		if i := bytes.IndexByte(value, '~'); i >= 0 {
			mine, rest = value[:i], value[i+1:]
		}
	} else {
		mine, dated = s.cookieDates(c.line, value)
	}
	switch {
	case p.none || p.direct:
		if p.cookie == cookieNone {
			p.cookie = cookieUnused
		}
		return rest
	case !dated:
		return rest
	case p.cookie == cookieNone:
		p.cookie = cookieInvalid
	}
	t := c.current()
	for _, i := range t.byValue[string(mine)] {
		k := &t.snapshot.Known[i]
		if p.cookie = cookieDown; k.Up {
			p.cookie = cookieValid
		}
		if s.follows(k) {
			s.aimAt(k)
			break
		}
	}
	return rest
}

// cookieDates takes the dates off a value: `server|last seen|first seen`. ok is false for one that is too old and so
// leads nowhere. Of several cookies each says what it has, as with HAProxy 2.6.
func (s *session) cookieDates(line *config.Cookie, value []byte) (mine []byte, ok bool) {
	mine, dates, dated := bytes.Cut(value, []byte{'|'})
	if !dated {
		return mine, true
	}
	seen, born, _ := bytes.Cut(dates, []byte{'|'})
	p := &s.persist
	p.seen, p.born = cmp.Or(readDate(seen), p.seen), cmp.Or(readDate(born), p.born)
	now := s.w.unix()
	switch {
	case line.MaxLife > 0 && p.born > 0 && outdated(p.born, now, line.MaxLife):
		p.cookie = cookieOld
	case line.MaxIdle > 0 && p.seen > 0 && outdated(p.seen, now, line.MaxIdle):
		p.cookie = cookieExpired
	default:
		return mine, true
	}
	p.seen, p.born = 0, 0
	return nil, false
}

// outdated says whether a date is too long ago, or so far in the future that it is not to be trusted.
func outdated(date, now int64, limit time.Duration) bool {
	return now-date > int64(limit/time.Second) || date-now > trustedAhead
}

// trustedAhead is how many seconds a date may be ahead of our clock.
const trustedAhead = 86400

// serverCookie deals with the backend's cookie in the server's response, and inserts one.
func (s *session) serverCookie(c *cookies) {
	if s.resp.Interim() {
		return
	}
	if s.persist.cookie == 0 { // the request has been handled before there were cookies
		return
	}
	s.answeredCookie(c)
	if s.insertsCookie(c.line) {
		s.insertCookie(c)
	}
}

// answeredCookie looks for the cookie among those that the server sets.
func (s *session) answeredCookie(c *cookies) {
	p, edits := &s.persist, &s.msg.response
	var lines [][]byte
	changed := false
	edits.Headers(&s.resp.Head, "set-cookie", func(line []byte) bool {
		name, rest, ok := bytes.Cut(line, []byte{'='})
		if !ok || string(bytes.TrimSpace(name)) != c.line.Name {
			lines = append(lines, line)
			return true
		}
		if p.answer == answerNone {
			p.answer = answerPresent
		}
		mine := c.valueOf(s.target.Server)
		switch {
		case p.none || c.line.Preserve:
			lines = append(lines, line)
		case c.line.Insert || p.direct && c.line.Indirect:
			p.answer, changed = answerDeleted, true
		case mine != "" && c.line.Rewrite:
			_, attributes, more := bytes.Cut(rest, []byte{';'})
			out := append(append(append([]byte{}, name...), '='), mine...)
			if more {
				out = append(append(out, ';'), attributes...)
			}
			lines = append(lines, out)
			p.answer, changed = answerReplaced, true
		case mine != "" && c.line.Prefix:
			out := append(append(append([]byte{}, name...), '='), mine...)
			lines = append(lines, append(append(out, '~'), rest...))
			p.answer, changed = answerReplaced, true
		default:
			lines = append(lines, line)
		}
		return true
	})
	if changed {
		rewriteLines(edits, "set-cookie", lines)
	}
}

// insertsCookie says whether the client is to be given a cookie: it came with none that is as good.
func (s *session) insertsCookie(line *config.Cookie) bool {
	p := &s.persist
	if !line.Insert || p.none || p.answer == answerPresent && line.Preserve || line.PostOnly && s.req.Method != h1.MethodPost {
		return false
	}
	if !p.direct {
		return true
	}
	dated, now := line.MaxIdle > 0 || p.seen > 0, s.w.unix()
	return dated && (p.seen < now || p.seen-now > trustedAhead) || line.MaxLife > 0 && p.born == 0 || line.MaxLife == 0 && p.born > 0
}

func (s *session) insertCookie(c *cookies) {
	p, line := &s.persist, c.line
	mine := c.valueOf(s.target.Server)
	out := append(append(s.w.text[:0], line.Name...), '=')
	if mine == "" { // a server without a cookie: the client forgets its own
		out = append(out, "; Expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/"...)
	} else {
		out = append(out, mine...)
		now := s.w.unix()
		if line.MaxIdle > 0 || line.MaxLife > 0 {
			out = appendDate(append(out, '|'), now+3)
		}
		if line.MaxLife > 0 {
			born := p.born
			if born == 0 {
				born = now + 3
			}
			out = appendDate(append(out, '|'), born)
		}
		out = append(out, "; path=/"...)
	}
	for _, d := range line.Domains {
		out = append(append(out, "; domain="...), d...)
	}
	if line.HTTPOnly {
		out = append(out, "; HttpOnly"...)
	}
	if line.Secure {
		out = append(out, "; Secure"...)
	}
	for _, a := range line.Attributes {
		out = append(append(out, "; "...), a...)
	}
	s.w.text = out
	s.msg.response.AddBytes("set-cookie", out)
	if p.answer = answerInserted; mine != "" && p.direct {
		p.answer = answerUpdated
	}
	if line.NoCache && s.cacheable() {
		s.msg.response.Add("cache-control", "private")
	}
}

// cacheable says whether a cache may keep the response, with somebody's cookie in it: by its status and method, as its
// headers say for how long or how to ask again, and as nothing forbids it (RFC 9111 section 3; HAProxy 2.6 was seen to
// go by these).
func (s *session) cacheable() bool {
	switch s.resp.Status {
	case 200, 203, 204, 206, 300, 301, 404, 405, 410, 414, 501:
	default:
		return false
	}
	if s.req.Method == h1.MethodPost {
		return false
	}
	edits, head := &s.msg.response, &s.resp.Head
	allowed, forbidden := false, false
	for _, name := range []string{"expires", "etag", "last-modified"} {
		allowed = allowed || edits.Header(head, name) != nil
	}
	edits.Headers(head, "cache-control", func(line []byte) bool {
		for item := range bytes.SplitSeq(bytes.ToLower(line), []byte{','}) {
			switch word := string(bytes.TrimSpace(item)); {
			case word == "no-cache=set-cookie", word == `no-cache="set-cookie"`: // the cookie alone
			case word == "max-age=0", word == "s-maxage=0", word == "private", word == "no-store", strings.HasPrefix(word, "no-cache"):
				forbidden = true
			case strings.HasPrefix(word, "max-age="), strings.HasPrefix(word, "s-maxage="):
				allowed = true
			}
		}
		return !forbidden
	})
	return allowed && !forbidden
}

// Dates in cookies are the time in units of four seconds, as five digits of base 64.
const dateDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

func appendDate(dst []byte, seconds int64) []byte {
	n := uint32(seconds >> 2)
	for shift := 24; shift >= 0; shift -= 6 {
		dst = append(dst, dateDigits[n>>shift&63])
	}
	return dst
}

// readDate gives 0 for what is no date.
func readDate(b []byte) (seconds int64) {
	if len(b) < 5 {
		return 0
	}
	for _, c := range b[:5] {
		i := strings.IndexByte(dateDigits, c)
		if i < 0 {
			return 0
		}
		seconds = seconds<<6 | int64(i)
	}
	return seconds << 2
}
