package proxy

import (
	"cmp"
	"slices"

	"waggle/pkg/accesslog"
	"waggle/pkg/config"
	"waggle/pkg/proxy/h1"
	"waggle/pkg/sample"
)

// rules runs the http-request rules of a proxy, from s.rule on, until one ends the evaluation.
func (s *session) rules(p *config.Proxy) outcome {
	for ; s.rule < len(p.HTTPRequest); s.rule++ {
		r := &p.HTTPRequest[s.rule]
		switch holds, waits := s.judge(r.Cond); {
		case waits, holds && undecided(r, (*subject)(s)):
			return waiting
		case !holds:
			continue
		}
		switch r.Action {
		case config.ActionAllow:
			return passed
		case config.ActionDeny:
			s.deny(r)
			return answered
		case config.ActionAuth:
			s.terminate('L', 'R')
			s.feShard().Intercepted.Add(1)
			s.served(passwordPlease(cmp.Or(r.Target, p.Name)))
			return answered
		case config.ActionTarpit:
			s.tarpit(r)
			return answered
		case config.ActionReject:
			s.reject()
			return answered
		case config.ActionSilentDrop:
			s.silence(r.Hops)
			s.reject()
			return answered
		case config.ActionSetTimeout:
			s.setTimeout(r)
		case config.ActionSetPriorityClass:
			s.setPriorityClass(r.Expr)
		case config.ActionSetPriorityOffset:
			s.setPriorityOffset(r.Expr)
		case config.ActionSetSrc:
			s.setSource(r)
		case config.ActionTrack0, config.ActionTrack1, config.ActionTrack2:
			s.track(int(r.Action-config.ActionTrack0), r.Expr, r.Target, true)
		case config.ActionWaitForBody:
			if !s.gathered(r.Bytes) {
				s.awaitBody(r.Time, r.Bytes)
				return answered
			}
		case config.ActionReturn:
			s.terminate('L', 'R')
			s.feShard().Intercepted.Add(1)
			s.sendReply(r.Reply)
			return answered
		case config.ActionRedirect:
			if s.redirect(r) {
				return answered
			}
		case config.ActionPrometheus:
			s.feShard().Intercepted.Add(1)
			s.serveMetrics()
			return answered
		default:
			if !s.rewriteTarget(r) {
				s.act(r, &s.edits, &s.req.Head, 0)
			}
		}
	}
	return passed
}

// undecided says whether a rule has something to say that cannot be said yet.
func undecided(r *config.HTTPRule, subj *subject) bool {
	if r.Expr.Waits(subj) || r.Format.Waits(subj) || r.Key.Waits(subj) {
		return true
	}
	if r.Reply == nil {
		return false
	}
	return r.Reply.Format.Waits(subj) || slices.ContainsFunc(r.Reply.Headers, func(h config.ReplyHeader) bool { return h.Value.Waits(subj) })
}

// text makes what a rule puts into a message. The result is valid until the next call.
func (s *session) text(r *config.HTTPRule) []byte {
	if r.Format == nil {
		s.w.text = append(s.w.text[:0], r.Value...)
	} else {
		s.w.text = r.Format.Append(s.w.text[:0], (*subject)(s), s)
	}
	return s.w.text
}

// act does what rules for requests and for responses have in common. edits and head are the message's, and
// captured is the index of its captures.
func (s *session) act(r *config.HTTPRule, edits *h1.Edits, head *h1.Head, captured int) {
	switch r.Action {
	case config.ActionSetHeader:
		if r.Format == nil {
			edits.Set(r.Target, r.Value)
		} else {
			edits.SetBytes(r.Target, s.text(r))
		}
		s.followHost(r, captured)
	case config.ActionAddHeader:
		if r.Format == nil {
			edits.Add(r.Target, r.Value)
		} else {
			edits.AddBytes(r.Target, s.text(r))
		}
		s.followHost(r, captured)
	case config.ActionDelHeader:
		delHeader(r, edits, head)
	case config.ActionReplaceHeader, config.ActionReplaceValue:
		s.replaceHeader(r, edits, head)
		s.followHost(r, captured)
	case config.ActionSetVar:
		r.Expr.Store((*subject)(s), r.Var)
	case config.ActionSetVarFormat:
		(*subject)(s).Vars(r.Var.Scope).Set(r.Var.Name, sample.Value{Type: sample.String, Text: s.text(r)})
	case config.ActionUnsetVar:
		(*subject)(s).Vars(r.Var.Scope).Unset(r.Var.Name)
	case config.ActionCapture:
		s.capture(r, captured)
	case config.ActionPutPattern, config.ActionDropPattern:
		s.changePattern(r)
	case config.ActionIncGPC:
		s.bump(r.Slot, r.Target)
	case config.ActionSetGPT:
		s.setTag(r.Slot, r.Expr, r.Bytes)
	case config.ActionDisableRetry:
		s.once = true
	case config.ActionSetLogLevel:
		s.msg.level = r.Target
	}
}

func (s *session) capture(r *config.HTTPRule, captured int) {
	slots := s.fe.cfg.RequestCaptures
	if captured == 1 {
		slots = s.fe.cfg.ResponseCaptures
	}
	if r.Slot >= len(slots) { // a rule of a backend, whose frontend declares fewer
		return
	}
	out, ok := r.Expr.Append(s.w.text[:0], (*subject)(s))
	s.w.text = out
	if ok {
		s.msg.captured[captured].set(r.Slot, out, slots[r.Slot].Length)
	}
}

func (s *session) deny(r *config.HTTPRule) {
	s.countDenied()
	s.terminate('P', 'R')
	s.refusal(r)
}

func (s *session) countDenied() {
	s.feShard().DeniedReq.Add(1)
	if s.be != nil {
		s.be.stats.Counters.Shard(s.w.shard).DeniedReq.Add(1)
	}
}

// refusal answers as a deny or tarpit rule says.
func (s *session) refusal(r *config.HTTPRule) {
	if r.Reply != nil {
		s.sendReply(r.Reply)
		return
	}
	status := r.Status
	if status == 0 {
		status = 403
	}
	s.answer(status)
}

// takeNumber gives the request, or TCP session, its number among all, where a format shows it.
func (s *session) takeNumber() {
	if s.fe.numbers {
		s.number = s.w.e.numbers.Add(1)
	}
}

// monitor answers for monitor-uri, which is not logged.
func (s *session) monitor() outcome {
	status := 200
	for _, c := range s.fe.cfg.MonitorFail {
		holds, waits := s.judge(c)
		if waits {
			return waiting
		}
		if holds {
			status = 503
			break
		}
	}
	s.feShard().Intercepted.Add(1)
	s.msg.level = silent
	s.answer(status)
	return answered
}

// named finds the backend that a format names for this request, nil if there is none.
func (s *subject) named(f *sample.Format) *backend {
	s.w.text = f.Append(s.w.text[:0], s, (*session)(s))
	b := s.fe.plan.backends[string(s.w.text)]
	if b == nil || b.cfg.HTTP != s.fe.cfg.HTTP {
		return nil
	}
	return b
}

// addUniqueID makes the request's identifier while the request can be looked at, and tells the server.
func (s *session) addUniqueID() {
	if s.fe.cfg.UniqueID == nil {
		return
	}
	id := (*subject)(s).UniqueID()
	if name := s.fe.cfg.UniqueIDHeader; name != "" {
		s.edits.AddBytes(name, id)
	}
}

var _ sample.Variables = (*accesslog.Entry)(nil)
