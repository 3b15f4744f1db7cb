package sample

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/haproxy"
)

// echoRequest is the request on which testdata/formats.txt is evaluated.
func echoRequest() *request {
	return &request{
		src: netip.MustParseAddrPort("127.0.0.1:40000"), dst: netip.MustParseAddrPort("127.0.0.1:80"),
		method: "GET", uri: "/p/a/b?q=1&r=%20x&q=2", version: "1.1", frontend: "f",
		headers: [][2]string{
			{"Host", "www.Ex.org:80"}, {"x", "a, b"}, {"x", "c,d"}, {"Cookie", "a=1; b=2; a=3"}, {"empty", ""}, {"ip", "10.1.2.3"},
		},
	}
}

// formatRows reads testdata/formats.txt: a format, ` => `, and what HAProxy makes of it.
func formatRows(t *testing.T) (rows [][2]string) {
	t.Helper()
	content, err := os.ReadFile("testdata/formats.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		format, quoted, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " => ")
		want, err := strconv.Unquote(quoted)
		if !ok || err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		rows = append(rows, [2]string{format, want})
	}
	return rows
}

func readTestdata(name string) ([]byte, error) { return os.ReadFile(filepath.Join("testdata", name)) }

// echoVariables has the log variables that the formats use.
type echoVariables struct{ r *request }

func (v echoVariables) AppendVariable(dst []byte, name Variable, f Flags) []byte {
	path, query, _ := strings.Cut(v.r.uri, "?")
	line := v.r.method + " " + v.r.uri + " HTTP/1.1"
	switch name {
	case VarClientIP:
		return AppendAddr(dst, v.r.src.Addr(), f)
	case VarFrontend, VarTransport, VarBackend:
		return AppendText(dst, v.r.frontend, f)
	}
	return AppendText(dst, map[Variable]string{VarMethod: v.r.method, VarURIPath: path, VarQuery: "?" + query, VarURI: v.r.uri, VarVersion: "HTTP/1.1", VarRequestLine: line}[name], f)
}

// Every format gives what HAProxy 2.6 was seen to make of it.
func TestFormats(t *testing.T) {
	rows := formatRows(t)
	if len(rows) < 200 {
		t.Fatalf("only %d rows", len(rows))
	}
	r := echoRequest()
	env := Env{ReadFile: readTestdata}
	for _, row := range rows {
		r.vars = [NumScopes]Vars{}
		r.vars[Transaction].Set("a", text([]byte("v1")))
		r.vars[Transaction].Set("n", integer(7))
		f, err := ParseFormat(row[0], MessageFormat, true, env)
		if err != nil {
			t.Errorf("%s: %v", row[0], err)
			continue
		}
		if got := string(f.Append(nil, r, echoVariables{r})); got != row[1] {
			t.Errorf("%s = %q, HAProxy: %q", row[0], got, row[1])
		}
	}
}

// The file is what the HAProxy of this machine says.
func TestFormatsAsHAProxy(t *testing.T) {
	if testing.Short() {
		t.Skip("starts HAProxy")
	}
	rows := formatRows(t)
	var rules strings.Builder
	rules.WriteString(" http-request set-var(txn.a) str(v1)\n http-request set-var(txn.n) int(7)\n")
	for i, row := range rows {
		text := strings.ReplaceAll(strings.ReplaceAll(row[0], `\`, `\\`), `"`, `\"`)
		fmt.Fprintf(&rules, " http-request return status 200 content-type text/plain lf-string \"[%s]\" if { req.hdr(x-case) %d }\n", text, i)
	}
	socket, addr := haproxy.Listen(t)
	haproxy.Start(t, "defaults\n mode http\n timeout client 5s\n timeout connect 5s\n timeout server 5s\nfrontend f\n bind fd@3\n"+rules.String(),
		haproxy.Options{Sockets: []*net.TCPListener{socket}, Dir: "testdata"})
	for i, row := range rows {
		if got := echo(t, addr, echoRequest(), i); got != "["+row[1]+"]" {
			t.Errorf("HAProxy: %s = %q, want %q", row[0], got, row[1])
		}
	}
}

// echo sends the request with the number of a case, and gives the body of the answer.
func echo(t *testing.T, addr string, r *request, n int) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(c, "%s %s HTTP/%s\r\n", r.method, r.uri, r.version)
	for _, h := range r.headers {
		fmt.Fprintf(c, "%s: %s\r\n", h[0], h[1])
	}
	fmt.Fprintf(c, "x-case: %d\r\n\r\n", n)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
