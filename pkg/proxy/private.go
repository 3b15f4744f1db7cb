package proxy

import (
	"bytes"
	"strings"

	"waggle/pkg/pool"
)

// notePrivate has the server's connection be the client's alone when the server asks for a password in a way that
// authenticates the connection instead of each request, as HAProxy does (configuration manual, http-reuse).
func (s *session) notePrivate() {
	var name string
	switch s.status {
	case 401:
		name = "www-authenticate"
	case 407:
		name = "proxy-authenticate"
	default:
		return
	}
	s.resp.Rebase(s.link.in.bytes()) // they may have moved while the client's buffer was full
	s.resp.Headers(name, func(challenges []byte) bool {
		for one := range bytes.SplitSeq(challenges, []byte{','}) {
			scheme, _, _ := bytes.Cut(bytes.TrimSpace(one), []byte{' '})
			switch strings.ToLower(string(scheme)) {
			case "ntlm", "negotiate", "nego2":
				s.link.private, s.private = s.id, true
			}
		}
		return true
	})
}

// idleLink finds an idle connection for the request. What is the client's own comes first.
func (s *session) idleLink(t pool.Target) *link {
	if s.private {
		if l := s.w.idle.take(t, s.id, s.idleFor(nil)); l != nil {
			return l
		}
	}
	return s.w.idle.take(t, 0, s.idleFor(s.mayReuse()))
}

// discardPrivate closes what is private to a session that ends.
func (i *idleLinks) discardPrivate(session uint64) {
	for _, list := range i.byServer {
		for l := list.newest; l != nil; {
			older := l.older
			if l.private == session {
				i.remove(l)
				l.discard()
			}
			l = older
		}
	}
}
