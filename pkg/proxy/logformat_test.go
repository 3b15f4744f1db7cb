package proxy

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/pkg/accesslog"
	"waggle/pkg/config"
	"waggle/pkg/lab/haproxy"
)

// logRow is a log format, what else the frontend says, a request, and the line that HAProxy 2.6 writes, in which varying
// numbers are N.
type logRow struct{ format, front, request, want string }

const (
	plainGet = "GET /p/a?q=1 HTTP/1.1\nHost: t.example\nX-B: one, two"
	postBody = "POST /up HTTP/1.1\nHost: t.example\nContent-Length: 4\n\nabcd"
)

var logRows = []logRow{
	{"%ci %f %ft %b %s %ST %ts %tsc %rc %sq %bq %r", "", plainGet, `127.0.0.1 fe fe be s1 200 -- ---- 0 0 0 GET /p/a?q=1 HTTP/1.1`},
	{"%{+Q}o %ci %f %ft %b %s %ST %r %HM %HU %HP %HQ %HV %ts", "", plainGet, `"127.0.0.1" "fe" "fe" "be" "s1" 200 "GET /p/a?q=1 HTTP/1.1" "GET" "/p/a?q=1" "/p/a" "?q=1" "HTTP/1.1" --`},
	{"%HM %HU %HP %HQ %HV|%{+Q}HQ", "", "GET /x HTTP/1.1\nHost: t", `GET /x /x  HTTP/1.1|""`},
	{"%HM %ST", "", postBody, `POST 200`},
	{"%fi %si %bi %{+X}ci %{+X}fi", "", plainGet, `127.0.0.1 127.0.0.1 127.0.0.1 7F000001 7F000001`},
	{"%b/%s %ST %ts %si:%sp %bi:%bp %sc %Tw/%Tc/%Tr", "http-request deny", plainGet, `fe/<NOSRV> 403 PR -:- -:- 0 -1/-1/-1`},
	{"%b/%s %ST %ts", "http-request return status 201", plainGet, `fe/<NOSRV> 201 LR`},
	{"%b/%s %ST %ts", "http-request redirect location /x", plainGet, `fe/<NOSRV> 302 LR`},
	{"%b/%s %ST %ts %Tr", "http-response deny", plainGet, `be/s1 502 PH -1`},
	{"%hr %hs|%hrl|%hsl|%{+Q}hr|%{+Q}hrl", "capture request header Host len 5\n capture request header nope len 5\n capture response header X-From len 20", plainGet,
		`{t.exa|} {two}|t.exa -|two|"{t.exa|}"|"t.exa" ""`},
	{"a  %hr   b %hs", "", plainGet, `a b `},
	{"%[capture.req.hdr(0)] %[capture.req.hdr(1)] %[capture.req.method]", "capture request header Host len 50\n declare capture request len 9\n http-request capture path,upper id 1", plainGet, `t.example /P/A GET`},
	{"%[var(txn.a)] %[var(txn.b)] %{+Q}[var(txn.b)]", "http-request set-var(txn.a) path", plainGet, `/p/a - ""`},
	{"%[src] %[fe_name] %[be_name] %[srv_name] %[method]", "", plainGet, `127.0.0.1 fe be s1 GET`},
	{"%ID %{+Q}ID", "unique-id-format %[req.hdr(host)]-%[path]", plainGet, `t.example-/p/a "t.example-/p/a"`},
	{"[x@1 p=%{+Q,+E}[var(txn.a)]]", `http-request set-var(txn.a) str('a]b\"c')`, plainGet, `[x@1 p="a\]b\"c"]`},
	{"%{+E,+Q}HU", "", "GET /a]b HTTP/1.1\nHost: t", `"/a\]b"`},
	{"%CC %CS %{+Q}CC", "", plainGet, `- - ""`},
	{"%CC|%CS", "capture cookie SID= len 8", "GET / HTTP/1.1\nHost: t\nCookie: OSID=0; SIDE=1;SID=abcdefgh; SID=2\nX-Set: SID=xy; path=/", `SID=abcd|SID=xy`},
	{"%CC|%CS|%{+Q}CC", "capture cookie SI len 63", "GET / HTTP/1.1\nHost: t\nCookie: a=b; SIDE=1\nX-Set: other=1", `SIDE=1|-|"SIDE=1"`},
	{"%CC|%CS", "capture cookie SID len 9", "GET / HTTP/1.1\nHost: t\nCookie: a=SID; sid=2", `-|-`},
	{"%TR %Tw %Tc %Tr %Ta %Tt %Td %Th %Ti %Tq %Tu", "", plainGet, `N N N N N N N N N N N`},
	{"%t|%tr|%T|%Tl|%trg|%trl", "", plainGet, `N/M/N:N:N:N.N|N/M/N:N:N:N.N|N/M/N:N:N:N +N|N/M/N:N:N:N +N|N/M/N:N:N:N +N|N/M/N:N:N:N +N`},
	{"%ac %fc %bc %sc", "", plainGet, `1 1 0 0`},
	{"%%ci 100%%", "", plainGet, `%ci 100%`},
}

// These make lines comparable.
var (
	months  = regexp.MustCompile(`/[A-Z][a-z]{2}/`)
	varying = regexp.MustCompile(`\d+`)
	west    = regexp.MustCompile(` -(\d{4})\b`) // the time zone of this machine
)

// comparable blanks what differs from run to run where the row wants that.
func comparable(row logRow, line string) string {
	if strings.Contains(row.format, "%T") || strings.HasPrefix(row.format, "%t|") {
		if !strings.Contains(row.format, "%b") {
			return varying.ReplaceAllString(west.ReplaceAllString(months.ReplaceAllString(line, "/M/"), " +$1"), "N")
		}
	}
	return line
}

func (r logRow) rows() ruleRow {
	front := []string{"log stdout format raw local0", `log-format "` + strings.ReplaceAll(r.format, `"`, `\"`) + `"`}
	if r.front != "" {
		front = append(front, strings.Split(r.front, "\n ")...)
	}
	return ruleRow{front: front}
}

// send sends the row's request and waits for the answer's end.
func (r logRow) send(t *testing.T, addr string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	head, body, _ := strings.Cut(r.request, "\n\n")
	fmt.Fprintf(c, "%s\r\nConnection: close\r\n\r\n%s", strings.ReplaceAll(head, "\n", "\r\n"), body)
	buf := make([]byte, 4096)
	for err == nil {
		_, err = c.Read(buf)
	}
}

// Lines in every form are those of HAProxy.
func TestLogFormats(t *testing.T) {
	server := mirror(t)
	for _, row := range logRows {
		t.Run(row.format, func(t *testing.T) {
			var mu sync.Mutex
			var lines []string
			w := startText(t, row.rows(), server, func(setup *Setup, _, _ *config.Proxy) {
				setup.Access = func(p *config.Proxy, e *accesslog.Entry) {
					mu.Lock()
					defer mu.Unlock()
					e.Style, e.Format = accesslog.Custom, p.LogFormat
					lines = append(lines, string(e.Append(nil, time.UTC)))
				}
			})
			row.send(t, w.addr)
			eventually(t, "a line is written", func() bool { mu.Lock(); defer mu.Unlock(); return len(lines) > 0 })
			if got := comparable(row, lines[0]); got != row.want {
				t.Errorf("%s\ngot     %s\nHAProxy %s", row.format, got, row.want)
			}
		})
	}
}

// HAProxy writes what the rows say.
func TestLogFormatsAsHAProxy(t *testing.T) {
	if testing.Short() {
		t.Skip("starts HAProxy for each of its rows")
	}
	server := mirror(t)
	for _, row := range logRows {
		line := lineOfHAProxy(t, ruleConfig(row.rows(), "fd@3", server.String(), ""), func(addr string) { row.send(t, addr) })
		if comparable(row, line) != row.want {
			t.Errorf("%s\nHAProxy %s\nwant    %s", row.format, comparable(row, line), row.want)
		}
	}
}

// lineOfHAProxy runs HAProxy on a configuration whose frontend is bound to fd@3, and gives the first line that it logs once
// something has been sent there.
func lineOfHAProxy(t *testing.T, text string, send func(addr string)) string {
	t.Helper()
	socket, addr := haproxy.Listen(t)
	out, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	stop := haproxy.Start(t, text, haproxy.Options{Sockets: []*net.TCPListener{socket}, Stdout: stdout})
	defer stop()
	stdout.Close()
	send(addr)
	_ = out.SetReadDeadline(time.Now().Add(patience))
	line, _ := bufio.NewReader(out).ReadString('\n')
	return strings.TrimSuffix(line, "\n")
}

// set-log-level changes the line's level or keeps it away, and what a monitor asks is not logged.
func TestLogLevels(t *testing.T) {
	front := []string{
		"log stdout format raw local0", "monitor-uri /alive", "http-request set-log-level silent if { path /quiet }",
		"http-request set-log-level warning if { path /warn }", "http-response set-log-level err if { status 200 } { var(txn.e) -m found }",
		"http-request set-var(txn.e) int(1) if { path /err }",
	}
	got := make(chan accesslog.Entry, 16)
	w := startText(t, ruleRow{front: front}, mirror(t), func(setup *Setup, _, _ *config.Proxy) {
		setup.Access = func(_ *config.Proxy, e *accesslog.Entry) {
			got <- accesslog.Entry{Level: e.Level, HasLevel: e.HasLevel, Request: append([]byte(nil), e.Request...)}
		}
	})
	for _, path := range []string{"/alive", "/quiet", "/warn", "/err", "/plain"} {
		w.dial().get(path)
	}
	for _, want := range []string{"GET /warn HTTP/1.1 true 4", "GET /err HTTP/1.1 true 3", "GET /plain HTTP/1.1 false 0"} {
		e := <-got
		if s := fmt.Sprintf("%s %v %d", e.Request, e.HasLevel, e.Level); s != want {
			t.Errorf("%s, want %s", s, want)
		}
	}
}

// A line that asks for the server's headers finds none where the client has got an answer of ours, whatever rules for that
// one look at.
func TestLogOfReplacedResponse(t *testing.T) {
	server := scripted(t, "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 0\r\n\r\n")
	for _, after := range []string{"", "http-after-response set-header x-own 1"} {
		for deny, want := range map[string]string{"http-response deny": "502 - -", "http-response deny if FALSE": "200 b -"} {
			row := ruleRow{front: []string{"log stdout format raw local0", `log-format "%ST %[res.hdr(a)] %[res.hdr(content-type)]"`, deny}}
			if after != "" {
				row.front = append(row.front, after)
			}
			lines := make(chan string, 1)
			w := startText(t, row, server, func(setup *Setup, _, _ *config.Proxy) {
				setup.Access = func(p *config.Proxy, e *accesslog.Entry) {
					e.Style, e.Format = accesslog.Custom, p.LogFormat
					lines <- string(e.Append(nil, time.UTC))
				}
			})
			w.dial().get("/")
			if got := nextLine(t, lines); got != want {
				t.Errorf("%s; %s: %s, want %s", deny, after, got, want)
			}
		}
	}
}
