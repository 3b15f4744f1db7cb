package proxy

import (
	"bytes"
	"regexp"
	"strings"

	"waggle/pkg/config"
	"waggle/pkg/proxy/h1"
	"waggle/pkg/sample"
)

// rewriteTarget runs a rule that changes the request line; false means that it is another kind of rule.
func (s *session) rewriteTarget(r *config.HTTPRule) bool {
	switch r.Action {
	case config.ActionSetMethod:
		s.edits.SetMethod(&s.req, s.text(r))
	case config.ActionSetURI:
		s.setTarget(s.text(r))
	case config.ActionSetPath:
		u := splitURI((*subject)(s).URI())
		s.joinTarget(u.origin, s.text(r), u.query)
	case config.ActionSetPathQuery:
		s.joinTarget(splitURI((*subject)(s).URI()).origin, s.text(r), nil)
	case config.ActionSetQuery:
		u := splitURI((*subject)(s).URI())
		s.joinTarget(u.origin, u.path, append([]byte{'?'}, s.text(r)...))
	case config.ActionReplaceURI:
		if text, ok := s.replacement(r, (*subject)(s).URI()); ok {
			s.setTarget(text)
		}
	case config.ActionReplacePath:
		u := splitURI((*subject)(s).URI())
		if text, ok := s.replacement(r, u.path); ok {
			s.joinTarget(u.origin, text, u.query)
		}
	case config.ActionReplacePathQuery:
		u := splitURI((*subject)(s).URI())
		if text, ok := s.replacement(r, u.pathQuery); ok {
			s.joinTarget(u.origin, text, nil)
		}
	default:
		return false
	}
	return true
}

// replacement makes what takes the place of b, if the rule's regular expression matches it.
func (s *session) replacement(r *config.HTTPRule, b []byte) (text []byte, ok bool) {
	return sample.Expand(nil, b, r.Regexp, s.text(r))
}

// joinTarget sets the target from its parts. A path that begins with something else than a slash does not become part of
// the authority.
func (s *session) joinTarget(origin, path, query []byte) {
	if len(origin) > 0 && len(path) > 0 && path[0] != '/' && path[0] != '?' {
		path = append([]byte{'/'}, path...)
	}
	s.setTarget(bytes.Join([][]byte{origin, path, query}, nil))
}

// setTarget replaces the request target. An empty one is ignored: there is no such request. Host follows a
// target that names an authority (RFC 9112 section 3.2.2).
func (s *session) setTarget(target []byte) {
	if len(target) == 0 {
		return
	}
	s.edits.SetTarget(target)
	if u := splitURI(target); len(u.authority) > 0 {
		s.edits.SetBytes("host", u.authority)
	}
}

// followHost has a target that names an authority name what a rule has made of Host: servers go by the target then
// (RFC 9112 section 3.2.2).
func (s *session) followHost(r *config.HTTPRule, captured int) {
	if captured != 0 || !equalFold(r.Target, "host") {
		return
	}
	u, host := splitURI((*subject)(s).URI()), (*subject)(s).Header("host")
	if len(u.authority) > 0 && len(host) > 0 && !bytes.Equal(u.authority, host) {
		scheme := u.origin[:len(u.origin)-len(u.authority)]
		s.edits.SetTarget(bytes.Join([][]byte{scheme, host, u.pathQuery}, nil))
	}
}

// uriParts are the parts of a request target.
type uriParts struct {
	origin    []byte // scheme and authority of an absolute form, with the slashes
	authority []byte
	path      []byte
	query     []byte // with its question mark
	pathQuery []byte
}

func splitURI(uri []byte) uriParts {
	var u uriParts
	u.pathQuery = uri
	if i := bytes.Index(uri, schemeEnd); i > 0 && bytes.IndexByte(uri[:i], '/') < 0 {
		rest := uri[i+len(schemeEnd):]
		n := bytes.IndexAny(rest, "/?")
		if n < 0 {
			n = len(rest)
		}
		u.origin, u.authority, u.pathQuery = uri[:i+len(schemeEnd)+n], rest[:n], rest[n:]
	}
	u.path = u.pathQuery
	if i := bytes.IndexByte(u.pathQuery, '?'); i >= 0 {
		u.path, u.query = u.pathQuery[:i], u.pathQuery[i:]
	}
	return u
}

var schemeEnd = []byte("://")

// delHeader removes the headers whose names a rule describes.
func delHeader(r *config.HTTPRule, edits *h1.Edits, head *h1.Head) {
	if r.Match == config.NameIs {
		edits.Del(r.Target)
		return
	}
	edits.DelMatching(head, func(name []byte) bool {
		n := strings.ToLower(string(name))
		switch r.Match {
		case config.NameBegins:
			return strings.HasPrefix(n, r.Target)
		case config.NameEnds:
			return strings.HasSuffix(n, r.Target)
		case config.NameContains:
			return strings.Contains(n, r.Target)
		}
		return r.Regexp.MatchString(n) // HAProxy keeps names in lower case, and the expression is compared as it is written
	})
}

// replaceHeader replaces the lines of a header, or its values between commas, that a regular expression
// matches. Each is replaced as a whole, as in HAProxy.
func (s *session) replaceHeader(r *config.HTTPRule, edits *h1.Edits, head *h1.Head) {
	var lines [][]byte
	changed := false
	template := s.text(r)
	edits.Headers(head, r.Target, func(line []byte) bool {
		out, ok := replaceLine(r.Regexp, line, template, r.Action == config.ActionReplaceValue)
		lines = append(lines, out)
		changed = changed || ok
		return true
	})
	if !changed {
		return
	}
	edits.Del(r.Target)
	for _, line := range lines {
		edits.AddBytes(r.Target, line)
	}
}

func replaceLine(re *regexp.Regexp, line, template []byte, values bool) (out []byte, changed bool) {
	if !values {
		if out, changed = sample.Expand(nil, line, re, template); changed {
			return out, true
		}
		return bytes.Clone(line), false
	}
	for i, value := range bytes.Split(line, []byte(",")) {
		if i > 0 {
			out = append(out, ',')
		}
		expanded, ok := sample.Expand(out, bytes.TrimSpace(value), re, template)
		if !ok {
			expanded = append(out, value...)
		}
		out, changed = expanded, changed || ok
	}
	return out, changed
}
