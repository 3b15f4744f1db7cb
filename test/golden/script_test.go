package golden

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// scenario is one file of testdata: a txtar archive whose comment says what the configuration is for. It has the
// files haproxy.cfg and requests, and any that the configuration reads.
//
// In haproxy.cfg {{f1}} … are addresses to bind, {{s1}} … those of servers that answer, {{dead}} one that refuses,
// {{log}} one that collects log lines, and {{dir}} is where the other files are. Servers answer with their name in
// x-server and what they were sent in the body; the request header x-set adds a header to the response, x-status
// sets its status.
//
// requests has a line for each request,
//
//	[jar] [f2] METHOD TARGET [HTTP/1.0] [| header: value]…
//
// with `jar` for a client that keeps cookies from one such line to the next, and below it, indented, what is expected:
//
//	200 s1            the status and the server, - for an answer of the proxy's own, * for any server
//	name: value       a header of the response; ! name for one that must not be there
//	> text            a line of the request that the server was sent; >! text for one that it must not have been sent
//	= text            a part of the body
//	log text          a part of the log line
//	closed            the connection ends without a response
//	differs what: why HAProxy may differ in that: status, server, body, log, a response header, or > and a request header
type scenario struct {
	files   []txtar.File
	config  string
	clauses []exchange
	// haproxyLacks says why HAProxy 2.6 is not asked; "" means that it is.
	haproxyLacks string
}

// exchange is one request with its expectations.
type exchange struct {
	line     int
	jar      bool
	front    string
	method   string
	target   string
	version  string
	headers  []string
	expected []expectation
	differs  map[string]string // what, and why
}

type expectation struct {
	kind string // status, header, no header, sent, not sent, body, log, closed
	text string
}

func readScenario(t *testing.T, file string) *scenario {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &scenario{haproxyLacks: waggleOnly(archive)}
	for _, f := range archive.Files {
		switch f.Name {
		case "haproxy.cfg":
			s.config = string(f.Data)
		case "requests":
			if s.clauses, err = parseRequests(string(f.Data)); err != nil {
				t.Fatalf("%s: requests: %v", file, err)
			}
		default:
			s.files = append(s.files, f)
		}
	}
	if s.config == "" || len(s.clauses) == 0 {
		t.Fatalf("%s has no haproxy.cfg, or no requests", file)
	}
	return s
}

// waggleOnly says why a file is not for HAProxy, "" if it is.
func waggleOnly(a *txtar.Archive) (why string) {
	for line := range strings.Lines(string(a.Comment)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "waggle only: "); ok {
			why = text
		}
	}
	return why
}

func parseRequests(text string) (all []exchange, err error) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || strings.HasPrefix(trimmed, "#"):
		case line[0] != ' ' && line[0] != '\t':
			x, err := parseRequest(trimmed)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			x.line = n
			all = append(all, x)
		case len(all) == 0:
			return nil, fmt.Errorf("line %d: an expectation without a request", n)
		default:
			if err := all[len(all)-1].expect(trimmed); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
		}
	}
	for _, x := range all {
		if len(x.expected) == 0 {
			return nil, fmt.Errorf("line %d: nothing is expected", x.line)
		}
	}
	return all, nil
}

func parseRequest(line string) (exchange, error) {
	x := exchange{front: "f1", version: "HTTP/1.1", differs: map[string]string{}}
	parts := strings.Split(line, " | ")
	words := strings.Fields(parts[0])
	for len(words) > 0 && (words[0] == "jar" || words[0][0] == 'f') {
		if words[0] == "jar" {
			x.jar = true
		} else {
			x.front = words[0]
		}
		words = words[1:]
	}
	if len(words) < 2 || len(words) > 3 {
		return x, fmt.Errorf("%q is no request", line)
	}
	x.method, x.target = words[0], words[1]
	if len(words) == 3 {
		x.version = words[2]
	}
	for _, h := range parts[1:] {
		x.headers = append(x.headers, strings.TrimSpace(h))
	}
	return x, nil
}

func (x *exchange) expect(line string) error {
	add := func(kind, text string) error {
		x.expected = append(x.expected, expectation{kind, strings.TrimSpace(text)})
		return nil
	}
	for _, p := range [][2]string{{">! ", "not sent"}, {"> ", "sent"}, {"= ", "body"}, {"log ", "log"}, {"! ", "no header"}} {
		if rest, ok := strings.CutPrefix(line, p[0]); ok {
			return add(p[1], rest)
		}
	}
	switch {
	case line == "closed":
		return add("closed", "")
	case strings.HasPrefix(line, "differs "):
		what, why, ok := strings.Cut(strings.TrimPrefix(line, "differs "), ": ")
		if !ok || why == "" {
			return fmt.Errorf("%q does not say why", line)
		}
		x.differs[what] = why
		return nil
	case line[0] >= '1' && line[0] <= '9':
		return add("status", line)
	case strings.Contains(line, ":"):
		return add("header", line)
	}
	return fmt.Errorf("%q is no expectation", line)
}

// fill replaces {{name}} in text.
func fill(text string, values map[string]string) (string, error) {
	for name, value := range values {
		text = strings.ReplaceAll(text, "{{"+name+"}}", value)
	}
	if i := strings.Index(text, "{{"); i >= 0 {
		end := min(len(text), i+20)
		return "", fmt.Errorf("nothing is known for %q", text[i:end])
	}
	return text, nil
}
