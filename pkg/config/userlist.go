package config

import (
	"errors"
	"slices"
	"strings"

	"waggle/pkg/userlist"
	"waggle/pkg/userlist/crypt3"
)

func userlistDirectives() []directive {
	return []directive{
		{name: "user", in: inUserlist, args: "<name> [password <hash>|insecure-password <text>] [groups <name>,…]", doc: "a user; hashes are those of crypt(3) that begin with $1$, $5$, $6$, $2a$, $2b$ or $2y$", parse: (*statement).user},
		{name: "group", in: inUserlist, args: "<name> [users <name>,…]", doc: "a group and users who are in it", parse: (*statement).userGroup},
	}
}

// userlistState is a userlist section while it is read: groups may be declared behind their users, and users behind theirs.
type userlistState struct {
	*userlist.List
	groups  []string
	members []membership
}

// membership is a user's place in a group.
type membership struct {
	at          Pos
	user, group string
	ofGroup     bool // a group's line says so
}

func (p *parser) enterUserlist(s *statement) {
	l := &userlistState{List: &userlist.List{Users: make(map[string]*userlist.User)}}
	p.userlist = l
	name, ok := s.one("a name")
	if !ok {
		return
	}
	l.Name = name
	if slices.ContainsFunc(p.userlists, func(o *userlistState) bool { return o.Name == name }) {
		s.warnf(0, "a userlist '%s' has been declared before: this one is ignored, as HAProxy does", name)
		return
	}
	p.userlists = append(p.userlists, l)
}

func (s *statement) user() {
	l, u := s.p.userlist, &userlist.User{Name: s.text(0), Locked: true}
	if u.Name == "" {
		s.errorf(-1, "'user' expects <name> as arguments")
		return
	}
	var members []membership
	for i := 1; i < len(s.args); i += 2 {
		value := s.text(i + 1)
		switch word := s.args[i].text; word {
		case "password":
			if !s.passwordHash(u, i+1) {
				return
			}
		case "insecure-password":
			u.Plain, u.Hash, u.Locked = value, nil, i+1 == len(s.args)
		case "groups":
			for group := range strings.SplitSeq(value, ",") {
				members = append(members, membership{at: s.at(i + 1), user: u.Name, group: group})
			}
		default:
			s.errorf(i, "'user' only supports 'password', 'insecure-password' and 'groups' options%s", didYouMean(word, []string{"password", "insecure-password", "groups"}))
			return
		}
	}
	if _, ok := l.Users[u.Name]; ok {
		s.warnf(0, "user '%s' is named above in userlist '%s'; this line is ignored", u.Name, l.Name)
		return
	}
	if u.Locked && !slices.ContainsFunc(s.args, func(w word) bool { return w.text == "password" }) {
		s.warnf(0, "user '%s' has no password, so that nobody is this user", u.Name)
	}
	l.Users[u.Name] = u
	l.members = append(l.members, members...)
}

// passwordHash reads argument i. What HAProxy would compare with and waggle cannot is an error.
func (s *statement) passwordHash(u *userlist.User, i int) bool {
	h, err := crypt3.Parse(s.text(i))
	switch {
	case errors.Is(err, crypt3.ErrNever):
		s.warnf(i, "user '%s' : %s, so that nobody is this user", u.Name, err)
	case err != nil:
		s.errorf(i, "user '%s' : %s", u.Name, err)
		return false
	}
	u.Hash, u.Plain, u.Locked = h, "", err != nil
	return true
}

func (s *statement) userGroup() {
	l, name := s.p.userlist, s.text(0)
	if name == "" {
		s.errorf(-1, "'group' expects <name> as arguments")
		return
	}
	if len(s.args) > 1 && s.text(1) != "users" || len(s.args) > 3 {
		at := 1
		if s.text(1) == "users" {
			at = 3
		}
		s.errorf(at, "'group' only supports 'users' option")
		return
	}
	if slices.Contains(l.groups, name) {
		s.warnf(0, "ignoring duplicated group '%s' in userlist '%s'", name, l.Name)
		return
	}
	l.groups = append(l.groups, name)
	if s.text(2) == "" {
		return
	}
	for user := range strings.SplitSeq(s.text(2), ",") {
		l.members = append(l.members, membership{at: s.at(2), user: user, group: name, ofGroup: true})
	}
}

// finishUserlists puts users into their groups.
func (p *parser) finishUserlists() {
	for _, l := range p.userlists {
		for _, m := range l.members {
			u := l.Users[m.user]
			switch {
			case u == nil:
				p.alert(m.at, "userlist '%s' : no such user '%s' specified in group '%s'", l.Name, m.user, m.group)
			case !m.ofGroup && !slices.Contains(l.groups, m.group):
				p.alert(m.at, "userlist '%s' : no such group '%s' specified in user '%s'%s", l.Name, m.group, m.user, didYouMean(m.group, l.groups))
			case !slices.Contains(u.Groups, m.group):
				u.Groups = append(u.Groups, m.group)
			}
		}
		if p.cfg.Userlists == nil {
			p.cfg.Userlists = make(map[string]*userlist.List)
		}
		p.cfg.Userlists[l.Name] = l.List
	}
}

// checkUserlistUses looks for the lists of users that expressions name.
func (p *parser) checkUserlistUses(s *proxyState) {
	for _, use := range s.userlistUses {
		if _, ok := p.cfg.Userlists[use.name]; ok {
			continue
		}
		var names []string
		for _, l := range p.userlists {
			names = append(names, l.Name)
		}
		p.alert(use.at, "%s '%s' : unable to find userlist '%s' that is named here%s", s.Kind, s.Name, use.name, didYouMean(use.name, names))
	}
}

// auth reads `[realm <text>]`.
func (r *ruleParser) auth() bool {
	if r.text(r.i) != "realm" {
		return true
	}
	r.i++
	var ok bool
	r.rule.Target, ok = r.next("a text behind 'realm'")
	return ok
}
