package config

import (
	"regexp"
	"slices"

	"waggle/pkg/sample"
)

// CheckProtocol is what health checks speak.
type CheckProtocol uint8

// The protocols. Those below CheckHTTP have a dialogue of their own; the steps of the first two are the configuration's.
const (
	CheckTCP      CheckProtocol = iota // option tcp-check
	CheckHTTP                          // option httpchk
	CheckSSLHello                      // option ssl-hello-chk
	CheckSMTP                          // option smtpchk
	CheckLDAP                          // option ldap-check
	CheckMySQL                         // option mysql-check
	CheckPgSQL                         // option pgsql-check
	CheckRedis                         // option redis-check
)

var checkOptionNames = [...]string{
	CheckTCP: "option tcp-check", CheckHTTP: "option httpchk", CheckSSLHello: "option ssl-hello-chk", CheckSMTP: "option smtpchk",
	CheckLDAP: "option ldap-check", CheckMySQL: "option mysql-check", CheckPgSQL: "option pgsql-check", CheckRedis: "option redis-check",
}

// String is the option that chooses the protocol.
func (p CheckProtocol) String() string { return checkOptionNames[p] }

// HealthCheck is how the servers of a backend are checked, beyond connecting.
type HealthCheck struct {
	Protocol CheckProtocol
	// Steps are those of CheckTCP and CheckHTTP, in order. For HTTP the request of `option httpchk` and the expectation
	// that HAProxy implies are among them; the first connection is implied where no step makes it.
	Steps []CheckStep

	User     string // of CheckPgSQL and CheckMySQL; "" = only the greeting is looked at
	OldMySQL bool   // the login is of the protocol before 4.1
	Hello    string // of CheckSMTP, e.g. "HELO localhost"

	DisableOn404 bool // 404 means: no new sessions
	SendState    bool // the request tells the server what its state is
}

// CheckStep is one step of a check; exactly one of the pointers is set, none for a comment.
type CheckStep struct {
	Comment string
	Connect *CheckConnect
	Send    *CheckSend
	Expect  *CheckExpect
}

// CheckConnect makes a connection; what came on the one before is forgotten.
type CheckConnect struct {
	Port      int // 0 = that of the checks
	SendProxy bool
	Linger    bool // closed in order, not by a reset
}

// CheckSend sends data, or in an HTTP check a request.
type CheckSend struct {
	Data   []byte
	Format *sample.Format // of send-lf; nil = Data

	Method, URI, Version string
	Headers              [][2]string
	Body                 string
}

// CheckMatch is what an expectation looks at.
type CheckMatch uint8

// What there is.
const (
	MatchString  CheckMatch = iota // a text in what was received; for HTTP, in the body
	MatchRegex                     // a pattern in the same
	MatchBinary                    // bytes, in hexadecimal digits
	MatchRBinary                   // a pattern over the hexadecimal digits, in capitals
	MatchStatus                    // a list of HTTP status codes
	MatchRStatus                   // a pattern over the status code
)

// CheckExpect is what must, or with Not must not, be received.
type CheckExpect struct {
	Match    CheckMatch
	Not      bool
	Pattern  string // as written
	Data     []byte // of MatchString and MatchBinary
	Regexp   *regexp.Regexp
	Statuses []StatusRange

	// MinRecv is how many bytes must have come before it is judged, for good; -1, the default: what does not match is
	// looked at again with all that comes.
	MinRecv int
	// The statuses that are reported, e.g. L7STS; "" = HAProxy's defaults.
	OKStatus, ErrorStatus, TimeoutStatus string
	OnSuccess, OnError                   string // what is reported instead of HAProxy's own text
}

// StatusRange is an inclusive range of status codes.
type StatusRange struct{ Low, High int }

// checkState is what lines about checks have said so far.
type checkState struct {
	chosen  bool // by an option; without one a check connects only
	check   HealthCheck
	request *CheckSend // of option httpchk
	http    stepList
	tcp     stepList
}

// stepList is the steps of one kind. A section's first own step takes the place of all inherited ones.
type stepList struct {
	steps   []CheckStep
	own     bool
	written bool // by lines of its own, not only by the option
}

func (l *stepList) begin() {
	if !l.own {
		l.steps, l.own = nil, true
	}
}

// inherit gives a copy for a section that begins with what a defaults section says.
func (c checkState) inherit() checkState {
	c.http = stepList{steps: slices.Clone(c.http.steps)}
	c.tcp = stepList{steps: slices.Clone(c.tcp.steps)}
	return c
}

func healthCheckDirectives() []directive {
	option := func(protocol CheckProtocol, args, doc string, parse func(*statement, *HealthCheck) bool) directive {
		return directive{name: protocol.String(), in: backOrDef, args: args, doc: doc, switchable: true, parse: func(s *statement) {
			c := &s.p.proxy.check
			if s.off || s.reset {
				if c.check.Protocol == protocol {
					c.chosen = false
				}
				return
			}
			check := HealthCheck{Protocol: protocol, DisableOn404: c.check.DisableOn404, SendState: c.check.SendState}
			if parse(s, &check) {
				c.chosen, c.check = true, check
			}
		}}
	}
	bare := func(s *statement, _ *HealthCheck) bool { return s.atMost(0) }
	return []directive{
		option(CheckTCP, "", "health checks by steps of tcp-check", bare),
		option(CheckHTTP, "[<method>] [<uri>] [<version>]", "health checks by HTTP requests", (*statement).httpCheckOption),
		option(CheckSSLHello, "", "health checks by an SSLv3 client hello", bare),
		option(CheckSMTP, "[<hello> <domain>]", "health checks of mail servers", (*statement).smtpCheck),
		option(CheckLDAP, "", "health checks of LDAP servers by an anonymous bind", bare),
		option(CheckMySQL, "[user <name> [post-41|pre-41]]", "health checks of MySQL servers", (*statement).mysqlCheck),
		option(CheckPgSQL, "user <name>", "health checks of PostgreSQL servers", (*statement).pgsqlCheck),
		option(CheckRedis, "", "health checks of Redis servers by PING", bare),
	}
}

// smtpCheck reads `[<hello> <domain>]`. As in HAProxy, anything but HELO and EHLO with a domain is `HELO localhost`.
func (s *statement) smtpCheck(check *HealthCheck) bool {
	check.Hello = "HELO localhost"
	if hello := s.text(0); (hello == "HELO" || hello == "EHLO") && s.text(1) != "" {
		check.Hello = hello + " " + s.text(1)
	}
	return s.atMost(2)
}

func (s *statement) mysqlCheck(check *HealthCheck) bool {
	if len(s.args) == 0 {
		return true
	}
	if s.text(0) != "user" || s.text(1) == "" {
		s.errorf(-1, "'option mysql-check user' expects <username> as argument")
		return false
	}
	check.User = s.text(1)
	switch s.text(2) {
	case "", "post-41":
	case "pre-41":
		check.OldMySQL = true
	default:
		s.errorf(2, "'option mysql-check' only supports 'post-41' and 'pre-41' behind the user, not '%s'%s", s.text(2), didYouMean(s.text(2), []string{"post-41", "pre-41"}))
		return false
	}
	return s.userFits(check.User) && s.atMost(3)
}

// maxCheckUser bounds a user name, so that a login fits into one packet whose length has one byte.
const maxCheckUser = 128

func (s *statement) userFits(user string) bool {
	if len(user) > maxCheckUser {
		s.errorf(1, "'%s' : the user name has %d characters, the limit is %d", s.name(), len(user), maxCheckUser)
		return false
	}
	return true
}

func (s *statement) pgsqlCheck(check *HealthCheck) bool {
	if s.text(0) != "user" || s.text(1) == "" {
		s.errorf(-1, "'option pgsql-check' expects 'user <username>' as argument")
		return false
	}
	check.User = s.text(1)
	return s.userFits(check.User) && s.atMost(2)
}

// finishCheck puts together what the lines about checks have said.
func (p *parser) finishCheck(s *proxyState) {
	c := &s.check
	if !s.Kind.HasBackend() {
		return
	}
	for _, rules := range []struct {
		list     *stepList
		words    string
		protocol CheckProtocol
	}{{&c.http, "http-check", CheckHTTP}, {&c.tcp, "tcp-check", CheckTCP}} {
		if rules.list.written && (!c.chosen || c.check.Protocol != rules.protocol) {
			p.warn(s.Pos, "%s '%s' uses %s rules without '%s', so the rules are ignored", s.Kind, s.Name, rules.words, rules.protocol)
		}
	}
	if !c.chosen {
		return
	}
	check := c.check
	switch check.Protocol {
	case CheckTCP:
		check.Steps = c.tcp.steps
	case CheckHTTP:
		check.Steps = impliedHTTP(c.request, c.http.steps)
	}
	s.Proxy.Check = &check
}

// impliedHTTP adds what HAProxy implies: the request of `option httpchk`, which the first `http-check send` completes,
// behind the first connection; and after a last request, that its status must be 200-399.
func impliedHTTP(request *CheckSend, steps []CheckStep) []CheckStep {
	if request == nil {
		request = defaultRequest()
	}
	steps = slices.Clone(steps)
	first := slices.IndexFunc(steps, func(st CheckStep) bool { return st.Send != nil })
	if first >= 0 {
		steps[first].Send = completed(request, steps[first].Send)
	} else {
		at := 0
		if i := slices.IndexFunc(steps, func(st CheckStep) bool { return st.Connect != nil }); i >= 0 {
			at = i + 1
		}
		steps = slices.Insert(steps, at, CheckStep{Send: request})
	}
	for i := range steps {
		if steps[i].Send != nil {
			steps[i].Send = completed(defaultRequest(), steps[i].Send)
		}
	}
	last := len(steps) - 1
	for last >= 0 && steps[last].Expect == nil && steps[last].Send == nil && steps[last].Connect == nil {
		last--
	}
	if last >= 0 && steps[last].Send != nil {
		steps = append(steps, CheckStep{Expect: &CheckExpect{Match: MatchStatus, MinRecv: -1, Statuses: []StatusRange{{200, 399}}}})
	}
	return steps
}

func defaultRequest() *CheckSend { return &CheckSend{Method: "OPTIONS", URI: "/", Version: "HTTP/1.0"} }

// completed gives a request what it does not say itself.
func completed(base, send *CheckSend) *CheckSend {
	c := *send
	if c.Method == "" {
		c.Method = base.Method
	}
	if c.URI == "" {
		c.URI = base.URI
	}
	if c.Version == "" {
		c.Version = base.Version
	}
	if c.Headers == nil {
		c.Headers = base.Headers
	}
	return &c
}
