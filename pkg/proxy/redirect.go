package proxy

import (
	"waggle/pkg/config"
	"waggle/pkg/proxy/h1"
)

// redirect answers with the place that a rule names: as it is, in front of the whole target, or with
// another scheme. It reports whether it did: an empty place may be none.
func (s *session) redirect(r *config.HTTPRule) bool {
	location := s.location(r)
	if len(location) == 0 && r.IgnoreEmpty {
		return false
	}
	s.terminate('L', 'R')
	s.feShard().Intercepted.Add(1)
	s.sendRedirect(r, location)
	return true
}

// sendRedirect answers with a redirect to a place.
func (s *session) sendRedirect(r *config.HTTPRule, location []byte) {
	status := r.Status
	if status == 0 {
		status = 302
	}
	s.status = status
	s.keep = s.mayKeep() && s.up.complete() // also with a body that has come HAProxy closes
	message := h1.AppendRedirect(nil, status, location, s.how())
	if r.SetCookie != "" {
		message = withField(message, "set-cookie: "+r.SetCookie+"\r\n")
	}
	s.reply(message)
}

// location is where a redirect leads.
func (s *session) location(r *config.HTTPRule) []byte {
	var to []byte
	if r.Format != nil {
		to = r.Format.Append(nil, (*subject)(s), s)
	} else {
		to = append(to, r.Target...)
	}
	switch r.RedirectKind {
	case config.RedirectLocation:
		return to
	case config.RedirectPrefix:
		if string(to) == "/" { // HAProxy: a prefix of "/" alone leaves the target as it is
			to = to[:0]
		}
	case config.RedirectScheme:
		to = append(append(to, "://"...), (*subject)(s).Header("host")...)
	}
	u := splitURI((*subject)(s).URI())
	if len(u.path) == 0 || u.path[0] != '/' { // of a target without one, and of the asterisk of OPTIONS, as HAProxy does
		u.path = rootPath
	}
	to = append(to, u.path...)
	if !r.DropQuery {
		to = append(to, u.query...)
	}
	if r.AppendSlash && (len(to) == 0 || to[len(to)-1] != '/') {
		to = append(to, '/')
	}
	return to
}

var rootPath = []byte("/")

// withField puts a header line at the end of the head of a message without a body.
func withField(message []byte, line string) []byte {
	end := len(message) - len("\r\n")
	return append(append(message[:end:end], line...), "\r\n"...)
}
