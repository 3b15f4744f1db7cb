package check

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// maxInfo bounds what of a server's words is told in logs and on the stats page, in bytes.
const maxInfo = 127

// requester makes a request.
func requester(c *config.HealthCheck, line *config.CheckSend) func(*probe) []byte {
	if !c.SendState {
		bytes := request(line, "")
		return func(*probe) []byte { return bytes }
	}
	return func(p *probe) []byte { return request(line, p.state()) }
}

// request writes the request of a check: header names in lower case, as HAProxy sends them, and nothing that would keep
// the connection open. A state is told in a header of its own.
func request(line *config.CheckSend, state string) []byte {
	var b strings.Builder
	b.WriteString(orWord(line.Method, "OPTIONS") + " " + orWord(line.URI, "/") + " " + orWord(line.Version, "HTTP/1.0") + "\r\n")
	for _, f := range line.Headers {
		switch textproto.CanonicalMIMEHeaderKey(f[0]) {
		case "Connection", "Content-Length", "Transfer-Encoding":
		default:
			b.WriteString(strings.ToLower(f[0]) + ": " + f[1] + "\r\n")
		}
	}
	if state != "" {
		b.WriteString("x-haproxy-server-state: " + state + "\r\n")
	}
	if line.Body != "" {
		b.WriteString("content-length: " + itoa(len(line.Body)) + "\r\n")
	}
	if line.Version == "HTTP/1.1" {
		b.WriteString("connection: close\r\n")
	}
	return []byte(b.String() + "\r\n" + line.Body)
}

// state tells a server what is thought of it (HAProxy, section 4.2, http-check send-state).
func (p *probe) state() string {
	v, b := p.Server.View(), p.Server.Backend
	text := fmt.Sprintf("%s; address=%s; port=%d; name=%s/%s; node=%s; weight=%d/%d; scur=%d/%d; qcur=%d", v.Status, v.Addr.Addr(), v.Addr.Port(),
		b.Name, p.Server.Name, p.Node, v.Weight, b.View().Weight, p.Server.Sessions.Load(), b.Sessions.Load(), p.Server.Queue.Load())
	if v.Throttle > 0 {
		text += fmt.Sprintf("; throttle=%d%%", v.Throttle)
	}
	return text
}

// method is that of the last request among steps; an answer to HEAD has no body.
func method(steps []config.CheckStep) string {
	m := ""
	for i := range steps {
		if s := steps[i].Send; s != nil {
			m = s.Method
		}
	}
	return m
}

// response is an HTTP answer as far as it has come.
type response struct {
	code   int
	reason string
	body   []byte
	whole  bool // no more of the body will come
}

var errMore = errors.New("the head is not complete")

// parse reads an answer; errMore means that more may make it valid. final says that nothing more will come.
func parse(in []byte, method string, final bool) (response, error) {
	raw := bytes.NewReader(in)
	resp, err := http.ReadResponse(bufio.NewReaderSize(raw, len(in)+1), &http.Request{Method: method})
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return response{}, errMore
	case err != nil:
		return response{}, err
	}
	defer resp.Body.Close()
	r := response{code: resp.StatusCode}
	_, r.reason, _ = strings.Cut(resp.Status, " ")
	r.body, err = io.ReadAll(resp.Body)
	delimited := resp.ContentLength >= 0 || len(resp.TransferEncoding) > 0
	r.whole = final || err == nil && delimited
	return r, nil
}

// expectHTTP judges a response.
func expectHTTP(c *config.HealthCheck, e *config.CheckExpect, method, remark string) *expectation {
	return &expectation{
		onTimeout: named(e.TimeoutStatus, pool.CheckL7Tout),
		judge: func(p *probe, in []byte, final bool) (pool.CheckResult, bool) {
			r, err := parse(in, method, final)
			switch {
			case errors.Is(err, errMore) && !final:
				return pool.CheckResult{}, false
			case err != nil:
				return pool.CheckResult{Status: pool.CheckL7Rsp}, true
			case e.Match == config.MatchStatus || e.Match == config.MatchRStatus:
				return judgeStatus(p, c, e, r, remark), true
			}
			return judgeBody(e, r, remark)
		},
	}
}

func judgeStatus(p *probe, c *config.HealthCheck, e *config.CheckExpect, r response, remark string) pool.CheckResult {
	found := false
	if e.Match == config.MatchRStatus {
		found = e.Regexp.MatchString(strconv.Itoa(r.code))
	}
	for _, want := range e.Statuses {
		found = found || r.code >= want.Low && r.code <= want.High
	}
	switch {
	case c.DisableOn404 && r.code == http.StatusNotFound && p.Server.View().Op != pool.Stopped:
		return pool.CheckResult{Status: pool.CheckL7OKC, Code: r.code}
	case found != e.Not:
		return pool.CheckResult{Status: named(e.OKStatus, pool.CheckL7OK), Code: r.code, Info: e.OnSuccess}
	}
	return pool.CheckResult{Status: named(e.ErrorStatus, pool.CheckL7Sts), Code: r.code, Info: orWord(e.OnError, printable(r.reason)+remark)}
}

func judgeBody(e *config.CheckExpect, r response, remark string) (pool.CheckResult, bool) {
	bad := func(text string) (pool.CheckResult, bool) {
		return pool.CheckResult{Status: named(e.ErrorStatus, pool.CheckL7Rsp), Code: r.code, Info: orWord(e.OnError, text+remark)}, true
	}
	conclusive := r.whole || e.MinRecv >= 0 && len(r.body) >= e.MinRecv
	switch found := len(r.body) > 0 && matches(e, r.body); {
	case found && e.Not:
		return bad("HTTP check matched unwanted content")
	case found, conclusive && e.Not && len(r.body) > 0:
		return pool.CheckResult{Status: named(e.OKStatus, pool.CheckL7OK), Code: r.code, Info: e.OnSuccess}, true
	case !conclusive:
		return pool.CheckResult{}, false
	case len(r.body) == 0:
		return bad("HTTP content check could not find a response body")
	default:
		return bad("HTTP content check did not match")
	}
}

func orWord(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

func itoa(n int) string { return strconv.Itoa(n) }

// printable keeps a server's words harmless in logs, terminals and pages.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), maxInfo)]
}
