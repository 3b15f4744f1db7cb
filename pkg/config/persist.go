package config

import (
	"slices"
	"strings"
	"time"

	"waggle/pkg/sample"
)

// persistDirectives are about clients that come for a certain server.
func persistDirectives() []directive {
	return []directive{
		{name: "cookie", in: backOrDef, args: "<name> [rewrite|insert|prefix] [indirect] [nocache] [postonly] [preserve] [httponly] [secure] [domain <domain>]… [maxidle <time>] [maxlife <time>] [dynamic] [attr <value>]…", doc: "clients come back to their server by a cookie", parse: (*statement).cookie},
		{name: "dynamic-cookie-key", in: backOrDef, args: "<text>", doc: "the secret of cookies that are made of servers' addresses", parse: func(s *statement) {
			if v, ok := s.one("a key"); ok {
				s.p.proxy.CookieKey = v
			}
		}},
		{name: "force-persist", in: backSide, args: "if|unless <condition>", doc: "follows the cookie also to a server that is down", parse: func(s *statement) { s.persistRule(true) }},
		{name: "ignore-persist", in: backSide, args: "if|unless <condition>", doc: "does not look at the cookie", parse: func(s *statement) { s.persistRule(false) }},
		{name: "use-server", in: backSide, args: "<server> if|unless <condition>", doc: "the server for requests or connections that match", parse: (*statement).useServer},
	}
}

func (s *statement) cookie() {
	c := &Cookie{Pos: s.at(-1), Name: s.text(0)}
	if !isToken(c.Name) {
		s.errorf(min(0, len(s.args)-1), "'cookie' expects <cookie_name> as argument")
		return
	}
	flags := map[string]*bool{
		"rewrite": &c.Rewrite, "insert": &c.Insert, "prefix": &c.Prefix, "indirect": &c.Indirect, "nocache": &c.NoCache,
		"postonly": &c.PostOnly, "preserve": &c.Preserve, "httponly": &c.HTTPOnly, "secure": &c.Secure, "dynamic": &c.Dynamic,
	}
	for i := 1; i < len(s.args); i++ {
		word := s.args[i].text
		if flag := flags[word]; flag != nil {
			*flag = true
			continue
		}
		if !slices.Contains([]string{"domain", "attr", "maxidle", "maxlife"}, word) {
			s.errorf(i, "'cookie' supports 'rewrite', 'insert', 'prefix', 'indirect', 'nocache', 'postonly', 'domain', 'maxidle', 'maxlife', 'attr', 'dynamic', 'preserve', 'httponly' and 'secure' options, not '%s'", word)
			return
		}
		if i++; !s.cookieValue(c, word, i) {
			return
		}
	}
	modes := 0
	for _, on := range []bool{c.Rewrite, c.Insert, c.Prefix} {
		if on {
			modes++
		}
	}
	if modes > 1 {
		s.errorf(-1, "'cookie' modes 'rewrite', 'insert' and 'prefix' are incompatible")
		return
	}
	if c.Rewrite && c.Indirect {
		s.errorf(-1, "'cookie' modes 'rewrite' and 'indirect' are incompatible")
		return
	}
	if c.Preserve && !c.Insert && !c.Indirect {
		s.errorf(-1, "'cookie' takes 'preserve' with 'insert' or 'indirect' only")
		return
	}
	s.p.proxy.Cookie = c
}

// cookieValue reads the value of a word of a cookie line.
func (s *statement) cookieValue(c *Cookie, word string, i int) bool {
	value := s.text(i)
	if value == "" {
		s.errorf(i-1, "'%s' of 'cookie' expects a value", word)
		return false
	}
	if word == "maxidle" || word == "maxlife" {
		d, err := parseTime(value, word+"' of 'cookie", time.Second)
		if err != nil {
			s.errorf(i, "%s", err)
			return false
		}
		if d = d.Truncate(time.Second); word == "maxidle" {
			c.MaxIdle = d
		} else {
			c.MaxLife = d
		}
		return true
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == ';' || r == 0x7f }) {
		s.errorf(i, "character ';' and control characters are not permitted in '%s' of 'cookie'", word)
		return false
	}
	if word == "attr" {
		c.Attributes = append(c.Attributes, value)
		return true
	}
	if !strings.HasPrefix(value, ".") && !strings.Contains(value, ".") {
		s.warnf(i, "domain '%s' contains no embedded dots nor does not start with a dot, so most browsers refuse it", value)
	}
	c.Domains = append(c.Domains, value)
	return true
}

func (s *statement) persistRule(force bool) {
	if len(s.args) == 0 {
		s.errorf(-1, "'%s' expects 'if' or 'unless' followed by a condition", s.name())
		return
	}
	if c, ok := s.condition(0, "'"+s.name()+"'"); ok {
		s.p.proxy.Persist = append(s.p.proxy.Persist, PersistRule{Force: force, Cond: c})
	}
}

func (s *statement) useServer() {
	u := UseServer{Pos: s.at(0), Server: s.text(0)}
	if u.Server == "" {
		s.errorf(-1, "'use-server' expects a server name")
		return
	}
	var ok bool
	if strings.Contains(u.Server, "%") {
		if u.Format, ok = s.format(0, "'use-server'", sample.AtRequest); !ok {
			return
		}
		if text, fixed := u.Format.Literal(); fixed {
			u.Server, u.Format = text, nil
		}
	}
	if len(s.args) < 2 {
		s.errorf(-1, "'use-server' expects 'if' or 'unless' followed by a condition")
		return
	}
	if u.Cond, ok = s.condition(1, "'use-server'"); ok {
		s.takesTurn(turnUseServer)
		s.p.proxy.UseServer = append(s.p.proxy.UseServer, u)
	}
}

// checkPersist looks for the servers that use-server lines name, and drops cookies where there is no HTTP.
func (p *parser) checkPersist(s *proxyState) {
	if !s.Kind.HasBackend() {
		s.Cookie, s.CookieKey = nil, ""
		return
	}
	var names []string
	for i := range s.Servers {
		names = append(names, s.Servers[i].names()...)
	}
	for _, u := range s.UseServer {
		if u.Format == nil && !slices.Contains(names, u.Server) {
			p.alert(u.Pos, "%s '%s' : unable to find server '%s' referenced in a 'use-server' rule%s", s.Kind, s.Name, u.Server, didYouMean(u.Server, names))
		}
	}
	if s.Cookie == nil {
		return
	}
	if !s.HTTP {
		p.warn(s.Cookie.Pos, "'cookie' ignored for %s '%s' as it requires HTTP mode", s.Kind, s.Name)
		s.Cookie = nil
		return
	}
	if s.Cookie.Dynamic && s.CookieKey == "" {
		p.warn(s.Cookie.Pos, "%s '%s' : 'cookie … dynamic' without 'dynamic-cookie-key' gives no server a cookie", s.Kind, s.Name)
		s.Cookie.Dynamic = false
	}
}

// names are those of the line's servers.
func (srv *Server) names() []string {
	if !srv.Template() {
		return []string{srv.Name}
	}
	var all []string
	for n := srv.Low; n <= srv.High; n++ {
		all = append(all, srv.slotName(n))
	}
	return all
}
