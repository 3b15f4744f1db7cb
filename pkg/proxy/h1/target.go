package h1

import "bytes"

// splitTarget finds the form and the parts of the request target (RFC 9112 section 3.2).
func (r *Request) splitTarget() Reason {
	t := r.at(r.target)
	if !all(t, isTarget) || len(t) == 0 {
		return BadTarget
	}
	r.path = r.target
	switch {
	case r.Method == MethodConnect:
		if !validHost(t, true) {
			return BadTarget
		}
		r.Form, r.authority = AuthorityForm, r.target
		return OK
	case t[0] == '/':
		r.Form = OriginForm
		r.cutQuery()
		return OK
	case len(t) == 1 && t[0] == '*' && r.Method == MethodOptions:
		r.Form = AsteriskForm
		return OK
	}
	return r.splitAbsolute(t)
}

// splitAbsolute reads http://authority[/path][?query]. Other schemes are not ours to serve.
func (r *Request) splitAbsolute(t []byte) Reason {
	scheme := len("http://")
	if len(t) > 4 && lower(t[4]) == 's' {
		scheme++
		r.https = true
	}
	if len(t) < scheme || !equalFold(t[:scheme], "http://") && !equalFold(t[:scheme], "https://") {
		return BadTarget
	}
	end := bytes.IndexAny(t[scheme:], "/?")
	if end >= 0 && t[scheme+end] == '?' {
		return BadTarget // servers disagree about where this authority ends, and HAProxy refuses it
	}
	if end < 0 {
		end = len(t) - scheme
	}
	if end == 0 || !validHost(t[scheme:scheme+end], false) {
		return BadTarget // also userinfo, RFC 9110 section 4.2.4
	}
	from := r.target.from + uint32(scheme)
	r.Form = AbsoluteForm
	r.authority = span{from, from + uint32(end)}
	r.path = span{r.authority.to, r.target.to}
	r.cutQuery()
	return OK
}

// cutQuery divides path at its first '?'.
func (r *Request) cutQuery() {
	if i := bytes.IndexByte(r.at(r.path), '?'); i >= 0 {
		r.query = span{r.path.from + uint32(i) + 1, r.path.to}
		r.path.to = r.path.from + uint32(i)
	}
}

// checkHost applies the rules of RFC 9112 section 3.2 about Host, and finds the authority.
func (r *Request) checkHost() Reason {
	if r.facts.hosts == 0 {
		if r.Minor == 1 {
			return MissingHost
		}
		return OK
	}
	switch r.Form {
	case OriginForm, AsteriskForm:
		r.authority = r.facts.host
	case AbsoluteForm:
		if !equalFold(TrimPort(r.at(r.authority), r.https), TrimPort(r.at(r.facts.host), r.https)) {
			return HostMismatch
		}
	}
	return OK
}

// TrimPort removes the port that http or https implies, and an empty one, from the end of an authority.
func TrimPort(a []byte, https bool) []byte {
	port := "80"
	if https {
		port = "443"
	}
	i := bytes.LastIndexByte(a, ':')
	if i < 0 || bytes.IndexByte(a[i:], ']') >= 0 {
		return a
	}
	if p := a[i+1:]; len(p) == 0 || string(p) == port {
		return a[:i]
	}
	return a
}

// validHost says whether b is host[:port] (RFC 3986 section 3.2). An empty host is one unless a port is
// demanded, as it is for CONNECT.
func validHost(b []byte, needPort bool) bool {
	var rest []byte
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 3 || !validLiteral(b[1:end]) {
			return false
		}
		rest = b[end+1:]
	} else {
		i := 0
		for ; i < len(b) && b[i] != ':'; i++ {
			if is(b[i], isHost) {
				continue
			}
			if b[i] != '%' || i+2 >= len(b) || !is(b[i+1], isHex) || !is(b[i+2], isHex) {
				return false
			}
		}
		rest = b[i:]
		if i == 0 && (needPort || len(rest) > 0) {
			return false
		}
	}
	if len(rest) == 0 {
		return !needPort
	}
	if rest[0] != ':' || len(rest) > len(":65535") {
		return false
	}
	return all(rest[1:], isDigit) && !(needPort && len(rest) == 1)
}

// validLiteral says whether b may stand between brackets: an IPv6 address by its bytes. Zones and future
// versions are refused.
func validLiteral(b []byte) bool {
	for _, c := range b {
		if !is(c, isHex) && c != ':' && c != '.' {
			return false
		}
	}
	return true
}
