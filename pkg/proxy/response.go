package proxy

import (
	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/proxy/h1"
	"waggle/pkg/sample"
)

// responseRules runs the rules for a response of the server, the backend's before the frontend's, and then
// those for all responses. It reports whether the response has been replaced.
func (s *session) responseRules() bool {
	s.resp.Rebase(s.link.in.bytes()) // they may have moved while the client's buffer was full
	s.msg.answered, s.msg.headGone = true, true
	s.msg.vars[sample.Request].Reset() // they live until the response is looked at (HAProxy, section 2.8, scope req)
	s.keepResponse()
	s.stickResponse()
	for _, p := range s.proxies() {
		if p != nil && s.runResponse(p.HTTPResponse) {
			return true
		}
	}
	if c := s.be.cookies; c != nil {
		s.serverCookie(c)
	}
	s.afterRules()
	return false
}

// proxies gives those whose rules apply to responses, in their order; nil for none.
func (s *session) proxies() [2]*config.Proxy {
	if s.be == nil || s.be.cfg == s.fe.cfg {
		return [2]*config.Proxy{nil, s.fe.cfg}
	}
	return [2]*config.Proxy{s.be.cfg, s.fe.cfg}
}

// afterRules runs http-after-response rules.
func (s *session) afterRules() {
	if !s.fe.after {
		return
	}
	for _, p := range s.proxies() {
		if p != nil {
			s.runResponse(p.HTTPAfterResponse)
		}
	}
}

// runResponse runs rules for a response until one ends the evaluation. It reports whether the response has
// been replaced.
func (s *session) runResponse(rules []config.HTTPRule) bool {
	for i := range rules {
		r := &rules[i]
		if !r.Cond.Eval((*subject)(s)) {
			continue
		}
		switch r.Action {
		case config.ActionAllow:
			return false
		case config.ActionDeny:
			s.denyResponse(r)
			return true
		case config.ActionSilentDrop:
			s.silentDropResponse(r)
			return true
		case config.ActionReturn:
			s.replaceResponse()
			s.sendReply(r.Reply)
			return true
		case config.ActionRedirect:
			if s.redirectResponse(r) {
				return true
			}
		case config.ActionSetStatus:
			if s.msg.response.SetStatus(&s.resp, r.Status, r.Target) {
				s.status = r.Status
			}
		default:
			s.act(r, &s.msg.response, &s.resp.Head, 1)
		}
	}
	return false
}

func (s *session) countDeniedResponse() {
	s.feShard().DeniedResp.Add(1)
	s.bothShards(func(sh *pool.Shard) { sh.DeniedResp.Add(1) })
}

// denyResponse answers in place of the server.
func (s *session) denyResponse(r *config.HTTPRule) {
	s.countDeniedResponse()
	s.terminate('P', 'H')
	s.replaceResponse()
	if r.Reply != nil {
		s.sendReply(r.Reply)
		return
	}
	s.answer(r.Status)
}

// replaceResponse forgets the response of the server, of which nothing has been sent: what follows answers in its place.
func (s *session) replaceResponse() {
	s.terminate('L', 'H')
	s.clock.response = 0 // as if the head had never come
	s.dropLink(false)
	s.msg.response.Reset()
	s.msg.answered, s.msg.replaced = false, true
}

// redirectResponse answers with a redirect in place of the server. It reports whether it did.
func (s *session) redirectResponse(r *config.HTTPRule) bool {
	location := s.location(r)
	if len(location) == 0 && r.IgnoreEmpty {
		return false
	}
	s.replaceResponse()
	s.sendRedirect(r, location)
	return true
}

// responseEdits gives the changes to the response, nil for an interim one.
func (s *session) responseEdits() *h1.Edits {
	if s.resp.Interim() {
		return nil
	}
	return &s.msg.response
}

// afterResponse runs the rules for all responses on one of our own, and gives it with their changes.
func (s *session) afterResponse(message []byte) []byte {
	s.resp.Reset()
	s.msg.response.Reset()
	n, why := s.resp.Parse(message, h1.Asked{Method: s.req.Method})
	if why != h1.OK || n == 0 {
		return message // an errorfile that says what it likes
	}
	s.msg.answered, s.msg.headGone = true, true
	s.status = s.resp.Status
	s.afterRules()
	s.keep = s.keep && !s.msg.response.Closes()
	out := s.resp.AppendTo(nil, &s.msg.response, h1.Hop{Minor: s.replyMinor(), KeepAlive: s.keep})
	return append(out, message[n:]...)
}

// errorReply is what http-error says of a status, nil if nothing.
func (s *session) errorReply(status int) *config.Reply {
	if s.be != nil {
		if r := s.be.cfg.HTTPErrors[status]; r != nil {
			return r
		}
	}
	return s.fe.cfg.HTTPErrors[status]
}

// sendReply answers as `return`, `deny` or `http-error` say.
func (s *session) sendReply(r *config.Reply) {
	if r.ErrorPage {
		s.answer(r.Status)
		return
	}
	s.sendReplyAs(r, r.Status)
}

// sendReplyAs logs and counts another status than that of the reply: an error page may be a redirect.
func (s *session) sendReplyAs(r *config.Reply, status int) {
	s.status = status
	if r.Page != nil {
		s.replyPage(r.Page)
		return
	}
	var fields []byte // made while the body of the request can be looked at

	for _, h := range r.Headers {
		fields = append(append(fields, h.Name...), ": "...)
		fields = h.Value.Append(fields, (*subject)(s), s)
		fields = append(fields, "\r\n"...)
	}
	body := []byte(r.Body)
	if r.Format != nil {
		body = r.Format.Append(nil, (*subject)(s), s)
	}
	s.keep = s.keepsClient() && status != 408 && status != 400
	s.reply(h1.AppendReply(nil, r.Status, r.ContentType, string(fields), body, s.how()))
}
