package check

import (
	"bytes"
	"encoding/hex"
	"strings"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// step is one thing that a check does; one of connect, send and expect is set, none for a comment.
type step struct {
	number  int    // as messages count it, from 1; 0: they do not tell
	what    string // as messages of tcp-check tell it, e.g. "expect string 'PONG'"
	comment string

	connect *config.CheckConnect
	send    func(*probe) []byte
	expect  *expectation
}

// remark is the comment as results about what was received have it.
func (st *step) remark() string {
	if st.comment == "" {
		return ""
	}
	return " comment: " + st.comment
}

// expectation judges what was received.
type expectation struct {
	// judge says what the answer so far comes to, and whether that is sure; it is when final, which means that no more
	// will come or be kept.
	judge     func(p *probe, in []byte, final bool) (r pool.CheckResult, sure bool)
	minRecv   int              // bytes before it is asked
	onEmpty   pool.CheckStatus // if the connection ends without a byte; CheckUnknown: judge is asked
	onTimeout pool.CheckStatus
}

// script is what a check does behind its implied first connection.
func script(c *config.HealthCheck) []step {
	if c == nil {
		return nil
	}
	switch c.Protocol {
	case config.CheckTCP, config.CheckHTTP:
		return configured(c)
	case config.CheckSSLHello:
		return sslHello()
	case config.CheckSMTP:
		return smtp(c.Hello)
	case config.CheckLDAP:
		return ldap()
	case config.CheckMySQL:
		return mysql(c)
	case config.CheckPgSQL:
		return pgsql(c.User)
	case config.CheckRedis:
		return redis()
	}
	return nil
}

// configured are the steps of the configuration.
func configured(c *config.HealthCheck) []step {
	http := c.Protocol == config.CheckHTTP
	var all []step
	for i := range c.Steps {
		line := &c.Steps[i]
		st := step{number: i + 1, comment: line.Comment, connect: line.Connect}
		switch {
		case line.Connect != nil:
			st.what = "connect"
			if line.Connect.Port != 0 {
				st.what = "connect port " + itoa(line.Connect.Port)
			}
		case line.Send != nil && http:
			st.what, st.send = "send", requester(c, line.Send)
		case line.Send != nil:
			st.what, st.send = "send", sender(line.Send)
		case line.Expect != nil && http:
			st.expect = expectHTTP(c, line.Expect, method(c.Steps[:i]), st.remark())
		case line.Expect != nil:
			st.what, st.expect = described(line.Expect), expectBytes(line.Expect, " at step "+itoa(st.number)+st.remark())
		}
		all = append(all, st)
	}
	return all
}

func sender(line *config.CheckSend) func(*probe) []byte {
	if line.Format == nil {
		return func(*probe) []byte { return line.Data }
	}
	return func(p *probe) []byte { return line.Format.Append(nil, subject{server: p.Server}, nil) }
}

// described is an expectation as messages about a failing connection tell it.
func described(e *config.CheckExpect) string {
	switch e.Match {
	case config.MatchString:
		return "expect string '" + e.Pattern + "'"
	case config.MatchBinary:
		return "expect binary '" + printable(string(e.Data)) + "'"
	case config.MatchRegex:
		return "expect regex"
	default:
		return "expect binary regex"
	}
}

// expectBytes looks for a text, bytes or a pattern anywhere in the answer. What must be there is sure once it is found,
// and what must not be there once all has come, or as much as is waited for.
func expectBytes(e *config.CheckExpect, where string) *expectation {
	pattern := map[config.CheckMatch]string{
		config.MatchString: "content '" + e.Pattern + "'", config.MatchRegex: "content (regex)",
		config.MatchBinary: "content (binary)", config.MatchRBinary: "content (binary regex)",
	}[e.Match]
	good := pool.CheckResult{Status: named(e.OKStatus, pool.CheckL7OK), Info: orWord(e.OnSuccess, "(tcp-check)")}
	bad := pool.CheckResult{Status: named(e.ErrorStatus, pool.CheckL7Rsp), Info: orWord(e.OnError, "TCPCHK did not match "+pattern+where)}
	if e.Not && e.OnError == "" {
		bad.Info = "TCPCHK matched unwanted " + pattern + where
	}
	return &expectation{
		minRecv: e.MinRecv, onEmpty: bad.Status, onTimeout: named(e.TimeoutStatus, pool.CheckL7Tout),
		judge: func(_ *probe, in []byte, final bool) (pool.CheckResult, bool) {
			switch found := matches(e, in); {
			case found && e.Not:
				return bad, true
			case found:
				return good, true
			case !final && e.MinRecv < 0: // with a least length, what does not match then never will
				return pool.CheckResult{}, false
			case e.Not:
				return good, true
			default:
				return bad, true
			}
		},
	}
}

func matches(e *config.CheckExpect, in []byte) bool {
	switch e.Match {
	case config.MatchRegex:
		return e.Regexp.Match(in)
	case config.MatchRBinary:
		return e.Regexp.MatchString(strings.ToUpper(hex.EncodeToString(in)))
	default:
		return bytes.Contains(in, e.Data)
	}
}

// named finds a status by its code.
func named(code string, fallback pool.CheckStatus) pool.CheckStatus {
	for _, s := range pool.CheckStatuses() {
		if s.String() == code {
			return s
		}
	}
	return fallback
}
