package proxy

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/lab/haproxy"
)

var update = flag.Bool("update", false, "write testdata/rules.txt from what HAProxy does")

// ruleRow is a paragraph of testdata/rules.txt: lines of a frontend (f) and of its backend (b), a request (>) and what
// comes of it: the response (<) and, where the server was asked, the request as the server saw it (|).
type ruleRow struct {
	front, back, request, want []string
}

func (r ruleRow) String() string { return strings.Join(append(r.front, r.back...), "; ") }

func ruleRows(t *testing.T) (rows []ruleRow) {
	t.Helper()
	content, err := os.ReadFile("testdata/rules.txt")
	if err != nil {
		t.Fatal(err)
	}
	for paragraph := range strings.SplitSeq(strings.TrimSpace(string(content)), "\n\n") {
		var row ruleRow
		for line := range strings.SplitSeq(paragraph, "\n") {
			text := strings.TrimPrefix(line[1:], " ")
			switch line[0] {
			case 'f':
				row.front = append(row.front, text)
			case 'b':
				row.back = append(row.back, text)
			case '>':
				row.request = append(row.request, text)
			default:
				row.want = append(row.want, line)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// mirror is a server that answers with the head of the request, and with headers that rules look at.
func mirror(t *testing.T) netip.AddrPort {
	return listen(t, func(c net.Conn, r *bufio.Reader) {
		for {
			head, err := readHead(r)
			if err != nil {
				return
			}
			cookie := ""
			if _, value, ok := strings.Cut(strings.Replace(head, "X-Set", "x-set", 1), "\r\nx-set: "); ok {
				value, _, _ = strings.Cut(value, "\r\n")
				cookie = "Set-Cookie: " + value + "\r\n"
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-From: server, one\r\nX-From: two\r\n%s\r\n%s", len(head), cookie, head)
		}
	})
}

// seenThrough sends a request and gives what comes of it, in the form of the file.
func seenThrough(t *testing.T, addr string, request []string) (got []string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil { // refused by a rule before connect returned
		return []string{"< closed"}
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c, strings.Join(request, "\r\n")+"\r\nConnection: close\r\n\r\n")
	method, _, _ := strings.Cut(request[0], " ")
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return []string{"< closed"}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, "< "+resp.Status)
	got = append(got, headLines("< ", resp.Header)...)
	if strings.HasSuffix(string(body), "\r\n\r\n") { // the mirror's
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(body))))
		if err != nil {
			t.Fatalf("the server saw %q: %v", body, err)
		}
		first, _, _ := strings.Cut(string(body), "\r\n")
		r.Header.Set("Host", r.Host)
		return append(append(got, "| "+first), headLines("| ", r.Header)...)
	}
	if len(body) > 0 {
		got = append(got, fmt.Sprintf("< %q", body))
	}
	return got
}

// headLines are header lines in order of their names, without what is another program's own business.
func headLines(prefix string, h http.Header) (lines []string) {
	for name, values := range h {
		switch name {
		case "Content-Length", "Connection", "Date", "Cache-Control":
			continue
		}
		for _, v := range values {
			lines = append(lines, prefix+strings.ToLower(name)+": "+v)
		}
	}
	slices.SortStableFunc(lines, func(a, b string) int {
		nameA, _, _ := strings.Cut(a, ":")
		nameB, _, _ := strings.Cut(b, ":")
		return strings.Compare(nameA, nameB)
	})
	return lines
}

// ruleConfig is a configuration of one frontend and backend, and another backend.
func ruleConfig(row ruleRow, bind, server, suffix string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "frontend fe%s\n mode http\n bind %s\n timeout client 1m\n", suffix, bind)
	for _, line := range row.front {
		fmt.Fprintf(&b, " %s\n", line)
	}
	fmt.Fprintf(&b, " default_backend be%s\nbackend be%s\n mode http\n timeout connect 1m\n timeout server 1m\n", suffix, suffix)
	for _, line := range row.back {
		fmt.Fprintf(&b, " %s\n", line)
	}
	fmt.Fprintf(&b, " server s1 %s\n", server)
	return b.String()
}

const otherBackend = "backend other\n mode http\n timeout connect 1m\n timeout server 1m\n http-request set-header X-Backend other\n server s1 %s\n"

// startText runs an engine on a configuration as people write it.
func startText(t *testing.T, row ruleRow, server netip.AddrPort, opts ...option) *world {
	t.Helper()
	text := ruleConfig(row, "127.0.0.1:1", server.String(), "") + fmt.Sprintf(otherBackend, server)
	cfg, _, err := config.Parse("t.cfg", []byte(text), config.LoadOptions{})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return start(t, []netip.AddrPort{server}, append(opts, func(setup *Setup, fe, be *config.Proxy) {
		bind := fe.Binds
		*fe, *be = *cfg.Proxies[0], *cfg.Proxies[1]
		fe.Binds = bind
		setup.Config.Proxies = append(setup.Config.Proxies, cfg.Proxies[2])
	})...)
}

// Every rule does what HAProxy was seen to do.
func TestRules(t *testing.T) {
	rows := ruleRows(t)
	if len(rows) < 40 {
		t.Fatalf("only %d rows", len(rows))
	}
	server := mirror(t)
	for _, row := range rows {
		t.Run(row.String(), func(t *testing.T) {
			w := startText(t, row, server)
			got := seenThrough(t, w.addr, row.request)
			if !slices.Equal(got, row.want) {
				t.Errorf("%s\ngot\n%s\nHAProxy\n%s", row, strings.Join(got, "\n"), strings.Join(row.want, "\n"))
			}
		})
	}
}

// The file says what the HAProxy of this machine does.
func TestRulesAsHAProxy(t *testing.T) {
	if testing.Short() {
		t.Skip("starts HAProxy")
	}
	rows := ruleRows(t)
	server := mirror(t)
	var text strings.Builder
	addrs := make([]string, len(rows))
	sockets := make([]*net.TCPListener, len(rows))
	for i, row := range rows {
		sockets[i], addrs[i] = haproxy.Listen(t)
		text.WriteString(ruleConfig(row, fmt.Sprintf("fd@%d", 3+i), server.String(), fmt.Sprint(i)))
	}
	fmt.Fprintf(&text, otherBackend, server)
	haproxy.Start(t, text.String(), haproxy.Options{Sockets: sockets})
	var written strings.Builder
	for i, row := range rows {
		got := seenThrough(t, addrs[i], row.request)
		if !*update && !slices.Equal(got, row.want) {
			t.Errorf("%s\nHAProxy\n%s\nwant\n%s", row, strings.Join(got, "\n"), strings.Join(row.want, "\n"))
		}
		for _, part := range []struct {
			prefix string
			lines  []string
		}{{"f ", row.front}, {"b ", row.back}, {"> ", row.request}, {"", got}} {
			for _, l := range part.lines {
				written.WriteString(part.prefix + l + "\n")
			}
		}
		written.WriteString("\n")
	}
	if *update {
		if err := os.WriteFile("testdata/rules.txt", []byte(strings.TrimSpace(written.String())+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// What a rule makes the path of is never taken for a part of the name that a target asks for.
func TestPathIsNoAuthority(t *testing.T) {
	w := startText(t, ruleRow{front: []string{"http-request set-path %[query]"}}, mirror(t))
	c := w.dial()
	c.send("GET http://good.test/?.evil.test HTTP/1.1\r\nHost: good.test\r\n\r\n")
	if _, seen := c.response("GET"); !strings.HasPrefix(seen, "GET http://good.test/.evil.test?.evil.test HTTP/1.1\r\nhost: good.test\r\n") {
		t.Errorf("the server has seen %q", seen)
	}
}
