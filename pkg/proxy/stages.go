package proxy

import (
	"bytes"

	"waggle/pkg/config"
	"waggle/pkg/proxy/h1"
	"waggle/pkg/sample"
	"waggle/pkg/userlist"
)

// stage is how far a request has come on its way from its head to a server.
type stage uint8

const (
	frontContent stage = iota // tcp-request content
	frontFixed                // what is answered whatever rules say
	frontBody
	frontRules
	frontPage
	routing
	backBody
	backContent
	backRules
	backPage
	leaving
)

// outcome is what has come of a stage.
type outcome uint8

const (
	passed   outcome = iota
	answered         // or the session has ended, or the request is on its way
	waiting          // for a password to be checked; then the stage is begun again, its rules at the one that waits
)

// proceed takes a request through its stages.
func (s *session) proceed() {
	for {
		switch s.handle() {
		case waiting:
			s.checkLogin()
			return
		case answered:
			return
		}
		s.stage, s.rule = s.stage+1, 0
	}
}

func (s *session) handle() outcome {
	switch s.stage {
	case frontContent:
		return s.contentAllowed(s.fe.cfg)
	case frontFixed:
		return s.fixed()
	case frontBody:
		return s.buffersBody(s.fe.cfg, s.fe.timeouts.httpRequest)
	case frontRules:
		return s.rules(s.fe.cfg)
	case frontPage:
		return s.page(s.fe.cfg)
	case routing:
		return s.route()
	case leaving:
		return s.leave()
	}
	switch b := s.be.cfg; {
	case b == s.fe.cfg: // all this has been done
		return passed
	case s.stage == backBody:
		return s.buffersBody(b, s.be.cfg.Timeouts.HTTPRequest)
	case s.stage == backContent:
		return s.contentAllowed(b)
	case s.stage == backRules:
		return s.rules(b)
	default:
		return s.page(b)
	}
}

// fixed answers what no rule is asked about.
func (s *session) fixed() outcome {
	switch {
	case s.req.Method == h1.MethodConnect:
		s.terminate('P', 'R')
		s.answer(405)
		return answered
	case s.fe.monitor != "" && string(s.req.Target()) == s.fe.monitor:
		return s.monitor()
	}
	return passed
}

// page looks whether the stats page of a proxy is meant.
func (s *session) page(p *config.Proxy) outcome {
	if p.Stats == nil {
		return passed
	}
	if _, ok := p.Stats.Tokens((*subject)(s).URI()); !ok {
		return passed
	}
	return s.servePage(p)
}

// route chooses the backend.
func (s *session) route() outcome {
	b, waits := s.fe.choose((*subject)(s))
	if waits {
		return waiting
	}
	s.enter(b)
	if s.be == nil {
		s.terminate('S', 'C')
		s.answer(503)
		return answered
	}
	return passed
}

// leave sends the request on its way to a server.
func (s *session) leave() outcome {
	if s.persistence() == waiting {
		return waiting
	}
	s.addForwardFor()
	s.addOriginalTo()
	s.addUniqueID()
	s.chooseCoding()
	s.dispatch()
	return answered
}

// credentials are what a rule asks about that takes time to find out.
type credentials struct {
	list           *userlist.List
	user, password []byte
	asked          int // questions about this request
}

// maxQuestions is how many passwords are checked for one request at most: one for each list that rules name.
const maxQuestions = 16

// judge says whether a condition holds. If that waits for a password s.login says for which: of several that it asks
// about, for the last one that is not known.
func (s *session) judge(c *sample.Cond) (holds, waits bool) {
	s.login.list = nil
	return c.Judge((*subject)(s))
}

// Login implements sample.Login.
func (s *subject) Login(list string, user, password []byte) (groups []string, ok, known bool) {
	l := s.fe.plan.userlists[list]
	if l == nil {
		return nil, false, true
	}
	u, known := s.w.e.logins.Known(l, user, password)
	switch {
	case u != nil:
		return u.Groups, true, true
	case known || s.login.asked == maxQuestions:
		return nil, false, true
	}
	s.login.list, s.login.user, s.login.password = l, bytes.Clone(user), bytes.Clone(password)
	return nil, false, false
}

// checkLogin has a password checked apart from the loop, and goes on when that is done. If too many wait for that, the request is
// answered 503.
func (s *session) checkLogin() {
	s.phase = checking
	s.login.asked++
	turn, w, c := s.turn, s.w, &s.login
	began := w.e.logins.Check(c.list, c.user, c.password, s.src.Addr(), func() {
		w.loop.Post(func() {
			if s.phase == checking && s.turn == turn {
				s.loginChecked()
				s.advance()
			}
		})
	})
	c.list, c.user, c.password = nil, nil, nil
	if !began {
		s.terminate('R', 'R')
		s.noServer('R')
	}
}

// loginChecked goes on with a request, or with what a TCP client began with, which has been looked at long enough.
func (s *session) loginChecked() {
	if !s.fe.cfg.HTTP {
		s.phase, s.hurried = inspecting, true
		return
	}
	s.req.Rebase(s.client.in.bytes())
	s.proceed()
}
