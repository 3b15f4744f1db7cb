package golden

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/pkg/lab/require"
)

// Every scenario gives what its file says, and the same on HAProxy wherever its file does not say why not.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	subnet := byte(1 + os.Getpid()%200)
	servers := startServers(t, subnet)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			s := readScenario(t, file)
			ours := s.run(t, servers, fmt.Sprintf("127.77.%d.1", subnet), "waggle", func(file, _ string) func() { return startWaggle(t, file) })
			for i, x := range s.clauses {
				x.judge(t, ours[i])
			}
			if s.haproxyLacks != "" {
				return
			}
			program := require.Tool(t, "haproxy")
			theirs := s.run(t, servers, fmt.Sprintf("127.77.%d.2", subnet), "haproxy", func(file, probe string) func() { return startHAProxy(t, program, file, probe) })
			for i, x := range s.clauses {
				x.compare(t, ours[i], theirs[i])
			}
		})
	}
}

// outcome is what came of a request.
type outcome struct {
	closed  bool
	status  int
	server  string // "-" for none
	headers []string
	sent    []string // the request that the server was sent
	body    string
	log     string
}

// run starts a contender and makes all requests.
func (s *scenario) run(t *testing.T, servers map[string]string, ip, who string, start func(file, probe string) func()) []outcome {
	t.Helper()
	logs := startCollector(t)
	values := maps.Clone(servers)
	for i := range 4 {
		values[fmt.Sprintf("f%d", i+1)] = fmt.Sprintf("%s:%d", ip, 8000+i)
	}
	values["log"] = logs.conn.LocalAddr().String()
	values["probe"] = ip + ":7999"
	stop := start(s.write(t, values), values["probe"])
	defer stop()
	jar := map[string]string{}
	var all []outcome
	for _, x := range s.clauses {
		o, err := x.do(values[x.front], jar)
		if err != nil {
			t.Fatalf("%s: line %d: %v", who, x.line, err)
		}
		if strings.Contains(s.config, "{{log}}") {
			if o.log, err = logs.next(); err != nil {
				t.Errorf("%s: line %d: no log line: %v", who, x.line, err)
			}
		}
		for name, value := range values { // addresses that differ between the two
			if name[0] == 'f' || name == "dir" {
				o.replace(value, "{{"+name+"}}")
			}
		}
		all = append(all, o)
	}
	return all
}

func (o *outcome) replace(from, to string) {
	o.body, o.log = strings.ReplaceAll(o.body, from, to), strings.ReplaceAll(o.log, from, to)
	for _, list := range [][]string{o.headers, o.sent} {
		for i := range list {
			list[i] = strings.ReplaceAll(list[i], from, to)
		}
	}
}

// do makes a request on a connection of its own.
func (x *exchange) do(addr string, jar map[string]string) (outcome, error) {
	c, err := net.Dial("tcp", addr)
	if errors.Is(err, syscall.ECONNRESET) { // it was refused that fast
		return outcome{closed: true}, nil
	}
	if err != nil {
		return outcome{}, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\r\n", x.method, x.target, x.version)
	body := ""
	for _, h := range x.headers {
		if text, ok := strings.CutPrefix(h, "body "); ok {
			body = text
			fmt.Fprintf(&b, "content-length: %d\r\n", len(text))
			continue
		}
		fmt.Fprintf(&b, "%s\r\n", h)
	}
	if x.jar && len(jar) > 0 {
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(jar)) {
			pairs = append(pairs, name+"="+jar[name])
		}
		fmt.Fprintf(&b, "cookie: %s\r\n", strings.Join(pairs, "; "))
	}
	if _, err := io.WriteString(c, b.String()+"\r\n"+body); err != nil {
		return outcome{closed: true}, nil
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: x.method})
	if err != nil {
		return outcome{closed: true}, nil
	}
	o, err := newOutcome(resp)
	if x.jar {
		for _, k := range resp.Cookies() {
			if jar[k.Name] = k.Value; k.MaxAge < 0 || k.Value == "" {
				delete(jar, k.Name)
			}
		}
	}
	return o, err
}

func newOutcome(resp *http.Response) (outcome, error) {
	defer resp.Body.Close()
	var coded io.Reader = resp.Body
	if resp.Header.Get("content-encoding") == "gzip" {
		var err error
		if coded, err = gzip.NewReader(resp.Body); err != nil {
			return outcome{}, err
		}
	}
	body, err := io.ReadAll(coded)
	if err != nil {
		return outcome{}, err
	}
	o := outcome{status: resp.StatusCode, server: "-", body: string(body)}
	if s := resp.Header.Get("x-server"); s != "" {
		o.server = s
		head, _, _ := strings.Cut(o.body, "\n\n")
		o.sent = strings.Split(head, "\n")
	}
	if resp.Close {
		o.headers = append(o.headers, "connection: close")
	}
	for key, values := range resp.Header {
		for _, v := range values {
			if key != "Date" && key != "X-Server" && key != "Connection" {
				o.headers = append(o.headers, strings.ToLower(key)+": "+v)
			}
		}
	}
	slices.Sort(o.headers)
	return o, nil
}

// judge holds an outcome against what the file says.
func (x *exchange) judge(t *testing.T, o outcome) {
	t.Helper()
	for _, e := range x.expected {
		ok := false
		switch e.kind {
		case "closed":
			ok = o.closed
		case "status":
			status, server, _ := strings.Cut(e.text, " ")
			ok = fmt.Sprint(o.status) == status && (server == "*" && o.server != "-" || server == o.server)
		case "header":
			ok = slices.Contains(o.headers, e.text)
		case "no header":
			ok = !slices.ContainsFunc(o.headers, func(h string) bool { return strings.HasPrefix(h, e.text+":") })
		case "sent":
			ok = slices.ContainsFunc(o.sent, func(l string) bool { return l == e.text || strings.HasPrefix(l, e.text+" HTTP/") })
		case "not sent":
			ok = !slices.ContainsFunc(o.sent, func(l string) bool { return strings.HasPrefix(l, e.text) })
		case "body":
			ok = strings.Contains(o.body, e.text)
		case "log":
			ok = strings.Contains(o.log, e.text)
		}
		if !ok {
			t.Errorf("line %d: %s %s: no %s %q in\n%s", x.line, x.method, x.target, e.kind, e.text, o)
		}
	}
}

// compare holds our outcome against HAProxy's.
func (x *exchange) compare(t *testing.T, ours, theirs outcome) {
	t.Helper()
	report := func(what string, a, b any) {
		if x.differs[what] == "" {
			t.Errorf("line %d: %s %s: %s is %q, with HAProxy %q\nours:\n%s\nHAProxy's:\n%s", x.line, x.method, x.target, what, a, b, ours, theirs)
		}
	}
	same := func(what string, a, b any) {
		if a != b {
			report(what, a, b)
		}
	}
	same("status", ours.status, theirs.status)
	same("server", ours.server, theirs.server)
	same("log", ours.log, theirs.log)
	if ours.server == "-" {
		same("body", ours.body, theirs.body)
	}
	for _, list := range []struct {
		prefix string
		a, b   []string
	}{{"", ours.headers, theirs.headers}, {"> ", ours.sent, theirs.sent}} {
		for _, name := range names(list.a, list.b) {
			a, b := valuesOf(list.a, name), valuesOf(list.b, name)
			if name == "content-length" && ours.server != "-" && list.prefix == "" {
				continue // it follows what was sent
			}
			if a != b {
				report(list.prefix+name, a, b)
			}
		}
	}
}

// names are the names of headers in both lists; a request line counts as one.
func names(lists ...[]string) []string {
	var all []string
	for _, list := range lists {
		for _, line := range list {
			name, _, ok := strings.Cut(line, ": ")
			if !ok {
				name = "request line"
			}
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}

func valuesOf(list []string, name string) string {
	var values []string
	for _, line := range list {
		if got, value, ok := strings.Cut(line, ": "); ok && got == name {
			values = append(values, value)
		} else if !ok && name == "request line" {
			values = append(values, line)
		}
	}
	return strings.Join(values, "\n")
}

// String shows an outcome in a failure.
func (o outcome) String() string {
	if o.closed {
		return "  closed"
	}
	return fmt.Sprintf("  %d %s\n  %s\n  %q\n  log %s", o.status, o.server, strings.Join(o.headers, "\n  "), o.body, o.log)
}
