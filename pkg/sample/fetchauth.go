package sample

import (
	"bytes"
	"encoding/base64"
)

// The credentials of a request as HAProxy 2.6 reads them: those of Basic that cannot be decoded are none at all, and only the first
// header of the name counts.
var authFetches = map[string]*fetch{
	"http_auth_type":   {out: String, from: fromRequest, do: fetchAuthType},
	"http_auth_user":   {out: String, from: fromRequest, do: func(e *evaluator, _ *args) { user, _ := e.basic(); e.offerText(user) }},
	"http_auth_pass":   {out: String, from: fromRequest, do: func(e *evaluator, _ *args) { _, pass := e.basic(); e.offerText(pass) }},
	"http_auth":        {out: Bool, from: fromRequest, arg: userlistArg, login: true, do: func(e *evaluator, a *args) { e.login(a, func([]string) { e.offer(boolean(true)) }) }},
	"http_auth_group":  {out: String, from: fromRequest, arg: userlistArg, login: true, do: fetchAuthGroup},
	"http_auth_bearer": {out: String, from: fromRequest, arg: optName, do: fetchBearer},
}

// credentials gives what a header says behind a scheme (RFC 9110, section 11.4), nil if its scheme is another one.
func (e *evaluator) credentials(header, scheme string) []byte {
	value := e.subject.Header(header)
	if len(value) <= len(scheme) || value[len(scheme)] != ' ' || !bytes.EqualFold(value[:len(scheme)], []byte(scheme)) {
		return nil
	}
	return bytes.TrimLeft(value[len(scheme):], " ")
}

// basic gives name and password of RFC 7617, nil for none.
func (e *evaluator) basic() (user, password []byte) {
	encoded := e.credentials("authorization", "basic")
	plain := make([]byte, base64.StdEncoding.DecodedLen(len(encoded)))
	n, err := base64.StdEncoding.Decode(plain, encoded)
	if err != nil {
		return nil, nil
	}
	user, password, found := bytes.Cut(plain[:n], []byte{':'})
	if !found {
		return nil, nil
	}
	return user, password
}

func fetchAuthType(e *evaluator, _ *args) {
	if user, _ := e.basic(); user != nil {
		e.offerString("Basic")
	} else if len(e.credentials("authorization", "bearer")) > 0 {
		e.offerString("Bearer")
	}
}

// fetchBearer offers the token of RFC 6750.
func fetchBearer(e *evaluator, a *args) {
	header := a.name
	if header == "" {
		header = "authorization"
	}
	e.offerText(e.credentials(header, "bearer"))
}

// Login is a Subject that checks credentials against users that the configuration names.
type Login interface {
	// Login gives the groups of a user of a list whose password it is; ok is false if it is not. Where that takes time, known is
	// false, and the answer comes with another evaluation: see [Cond.Judge].
	Login(list string, user, password []byte) (groups []string, ok, known bool)
}

var userlistArg = argSpec{1, 1, func(p *argParser) *Error {
	p.out.name = p.list[0]
	if p.env.Userlist != nil {
		p.env.Userlist(p.out.name)
	}
	return nil
}}

// login calls right if the request has the credentials of a user, and says false of wrong ones where a boolean is asked for. Of
// none there is nothing to say, as with HAProxy 2.6.
func (e *evaluator) login(a *args, right func(groups []string)) {
	user, password := e.basic()
	l, able := e.subject.(Login)
	if user == nil || !able {
		return
	}
	groups, ok, known := l.Login(a.name, user, password)
	switch {
	case !known:
		e.unsure = true
	case ok:
		right(groups)
	case e.expr.fetch.out == Bool:
		e.offer(boolean(false))
	}
}

// fetchAuthGroup offers the user's groups to a condition, and the name of the user to others, as HAProxy does.
func fetchAuthGroup(e *evaluator, a *args) {
	e.login(a, func(groups []string) {
		if !e.iterating() {
			user, _ := e.basic()
			e.offerText(user)
			return
		}
		for _, g := range groups {
			e.offerString(g)
			if e.matched {
				return
			}
		}
	})
}
