package proxy

import (
	"waggle/pkg/config"
	"waggle/pkg/proxy/h1"
)

// rules runs http-request rules until one ends the evaluation. It reports whether the request has been
// answered.
func (s *session) rules(rules []config.HTTPRule) bool {
	for i := range rules {
		r := &rules[i]
		if !r.Cond.Eval((*subject)(s)) {
			continue
		}
		switch r.Action {
		case config.ActionAllow:
			return false
		case config.ActionDeny:
			s.deny(r)
			return true
		case config.ActionRedirect:
			s.redirect(r)
			return true
		case config.ActionPrometheus:
			s.feShard().Intercepted.Add(1)
			s.serveMetrics()
			return true
		case config.ActionSetHeader:
			s.edits.Set(r.Target, r.Value)
		case config.ActionAddHeader:
			s.edits.Add(r.Target, r.Value)
		case config.ActionDelHeader:
			s.edits.Del(r.Target)
		}
	}
	return false
}

func (s *session) deny(r *config.HTTPRule) {
	s.feShard().DeniedReq.Add(1)
	if s.be != nil {
		s.be.stats.Counters.Shard(s.w.shard).DeniedReq.Add(1)
	}
	s.terminate('P', 'R')
	status := r.Status
	if status == 0 {
		status = 403
	}
	s.answer(status)
}

// redirect answers with the place that a rule names: as it is, in front of the whole target, or with
// another scheme.
func (s *session) redirect(r *config.HTTPRule) {
	s.terminate('L', 'R')
	s.feShard().Intercepted.Add(1)
	status := r.Status
	if status == 0 {
		status = 302
	}
	var location []byte
	switch r.RedirectKind {
	case config.RedirectLocation:
		location = append(location, r.Target...)
	case config.RedirectPrefix:
		if r.Target != "/" { // HAProxy: a prefix of "/" alone leaves the target as it is
			location = append(location, r.Target...)
		}
		location = s.appendPathQuery(location)
	case config.RedirectScheme:
		location = append(append(location, r.Target...), "://"...)
		location = append(location, s.req.Host()...)
		location = s.appendPathQuery(location)
	}
	s.status = status
	s.keep = s.mayKeep() && s.up.complete()
	s.reply(h1.AppendRedirect(nil, status, location, s.how()))
}

func (s *session) appendPathQuery(dst []byte) []byte {
	dst = append(dst, s.req.Path()...)
	if q := s.req.Query(); q != nil {
		dst = append(append(dst, '?'), q...)
	}
	return dst
}
