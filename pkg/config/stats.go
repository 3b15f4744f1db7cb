package config

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"waggle/pkg/sample"
)

// Permission is a `stats admin` line: what its condition says is allowed.
type Permission struct{ Cond *sample.Cond }

// Stats is what the `stats` lines of a proxy say.
type Stats struct {
	Pos         Pos
	URI         string        // never ""
	Refresh     time.Duration // 0 = none
	Legends     bool          // show-legends
	ShowNode    bool
	Node        string // "" = the host's name
	Description string
	ShowDesc    bool
	HideVersion bool
	Realm       string
	Auth        []string     // user:password
	Admin       []Permission // who may change servers from the page; the first whose condition holds
	Scope       []string
	Rules       []StatsRule
}

// DefaultStatsURI is where the page is when `stats uri` is not set (HAProxy's manual, `stats enable`).
const DefaultStatsURI = "/haproxy?stats"

// Tokens says whether a request target is one of the page, and gives what is behind the page's URI, such as `;csv`. The URI is
// compared with case; scheme and authority of an absolute target do not matter (RFC 9112, section 3.2.2).
func (s *Stats) Tokens(target []byte) (tokens []byte, ok bool) {
	if len(target) > 0 && target[0] != '/' {
		if _, rest, absolute := bytes.Cut(target, []byte("://")); absolute {
			target = []byte{'/'}
			if i := bytes.IndexByte(rest, '/'); i >= 0 {
				target = rest[i:]
			}
		}
	}
	if len(target) < len(s.URI) || string(target[:len(s.URI)]) != s.URI {
		return nil, false
	}
	return target[len(s.URI):], true
}

// StatsRealm is what a browser is told where the configuration says nothing (HAProxy's manual, `stats realm`).
const StatsRealm = "HAProxy Statistics"

// StatsRule is a `stats http-request` line; the first one whose condition holds decides.
type StatsRule struct {
	Pos    Pos
	Action string       // allow, deny, auth
	Realm  string       // of auth; "" = StatsRealm
	Cond   *sample.Cond // nil = always
}

// statsDirectives are the `stats` lines of proxies. Any of them turns the statistics on.
func statsDirectives() []directive {
	flag := func(name, doc string, field func(*Stats) *bool) directive {
		return directive{name: "stats " + name, in: anyProxy, doc: doc, parse: func(s *statement) {
			if s.atMost(0) {
				*field(s.stats()) = true
			}
		}}
	}
	rows := []directive{
		{name: "stats enable", in: anyProxy, doc: "serves the statistics here", parse: func(s *statement) {
			if s.atMost(0) {
				s.stats()
			}
		}},
		{name: "stats uri", in: anyProxy, args: "<prefix>", doc: "where the page is", parse: func(s *statement) {
			if v, ok := s.one("a URI prefix"); ok {
				s.stats().URI = v
			}
		}},
		{name: "stats refresh", in: anyProxy, args: "<time>", doc: "how often browsers reload it; seconds without a unit", parse: func(s *statement) {
			s.duration(time.Second, &s.stats().Refresh)
		}},
		flag("show-legends", "shows parameters when pointed at", func(st *Stats) *bool { return &st.Legends }),
		flag("hide-version", "leaves the version out", func(st *Stats) *bool { return &st.HideVersion }),
		{name: "stats show-node", in: anyProxy, args: "[<name>]", doc: "shows this node's name", parse: func(s *statement) {
			if s.atMost(1) {
				s.stats().ShowNode, s.stats().Node = true, s.text(0)
			}
		}},
		{name: "stats show-desc", in: anyProxy, args: "[<text>]", doc: "shows a description", parse: func(s *statement) {
			s.stats().ShowDesc, s.stats().Description = true, s.rest()
		}},
		{name: "stats realm", in: anyProxy, args: "<text>", doc: "what a browser shows when it asks for a password", parse: func(s *statement) {
			if v, ok := s.one("a realm"); ok {
				s.stats().Realm = v
			}
		}},
		{name: "stats auth", in: anyProxy, args: "<user>:<password>", doc: "asks for a password", parse: (*statement).statsAuth},
		{name: "stats admin", in: inProxies, args: "if|unless <condition>", doc: "lets the page change servers", parse: (*statement).statsAdmin},
		{name: "stats http-request", in: anyProxy, args: "allow|deny|auth [realm <text>] [if|unless <condition>]", doc: "who may see the page; the first rule whose condition holds decides", parse: (*statement).statsRule},
		{name: "stats scope", in: anyProxy, args: "<proxy>|.", doc: "shows these proxies only", parse: func(s *statement) {
			if v, ok := s.one("the name of a proxy"); ok {
				s.stats().Scope = append(s.stats().Scope, v)
			}
		}},
	}
	return append(rows, group(anyProxy, Unsupported, "further statistics", "", "stats+show-modules")...)
}

func (s *statement) stats() *Stats {
	if d := s.p.proxy.Stats; d != nil && s.p.proxy.inheritedStats && s.p.in != inDefaults {
		s.warnf(-1, "'%s' : this %s has a 'stats' line of its own, so nothing counts of those in the defaults section (%s)", s.name(), s.p.section, d.Pos)
		s.p.proxy.Stats = nil // HAProxy begins anew, too, passwords included
	}
	s.p.proxy.inheritedStats = false
	if s.p.proxy.Stats == nil {
		s.p.proxy.Stats = &Stats{Pos: s.at(-1), URI: DefaultStatsURI}
	}
	return s.p.proxy.Stats
}

func (s *statement) statsAuth() {
	v, ok := s.one("<user>:<password>")
	if !ok {
		return
	}
	user, _, found := strings.Cut(v, ":")
	if !found || user == "" {
		s.errorf(0, "'stats auth' expects <user>:<password>")
		return
	}
	if slices.ContainsFunc(s.stats().Auth, func(known string) bool { return strings.HasPrefix(known, user+":") }) {
		s.warnf(0, "'stats auth' : user '%s' is named above; this line is ignored", user)
		return
	}
	s.stats().Auth = append(s.stats().Auth, v)
}

func (s *statement) statsAdmin() {
	if len(s.args) == 0 {
		s.errorf(-1, "'stats admin' expects 'if' or 'unless' followed by a condition")
		return
	}
	if c, ok := s.condition(0, "'stats admin'"); ok {
		stats := s.stats()
		stats.Admin = append(stats.Admin, Permission{Cond: c})
	}
}

// statsRule reads `stats http-request`, of which HAProxy's manual knows three actions.
func (s *statement) statsRule() {
	actions := []string{"allow", "deny", "auth"}
	r := StatsRule{Pos: s.at(-1), Action: s.text(0)}
	if !slices.Contains(actions, r.Action) {
		s.errorf(min(0, len(s.args)-1), "'stats http-request' expects 'allow', 'deny' or 'auth', not '%s'%s", r.Action, didYouMean(r.Action, actions))
		return
	}
	next := 1
	if r.Action == "auth" && s.text(1) == "realm" {
		if r.Realm = s.text(2); r.Realm == "" {
			s.errorf(1, "'realm' expects a text")
			return
		}
		next = 3
	}
	if next < len(s.args) {
		cond, ok := s.condition(next, "'stats http-request'")
		if !ok {
			return
		}
		r.Cond = cond
	}
	if rules := s.stats().Rules; len(rules) > 0 && rules[len(rules)-1].Cond == nil {
		s.warnf(-1, "'stats http-request' rules from here on never run: the one before has no condition")
	}
	s.stats().Rules = append(s.stats().Rules, r)
}

// checkStats finds what HAProxy refuses: rules of the page's own and a password that is asked for beside them.
func (p *parser) checkStats(s *proxyState) {
	if s.Stats != nil && len(s.Stats.Rules) > 0 && (len(s.Stats.Auth) > 0 || s.Stats.Realm != "") {
		p.alert(s.Stats.Rules[0].Pos, "'stats http-request' and 'stats auth' or 'stats realm' exclude each other")
	}
}
