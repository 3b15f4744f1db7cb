package peers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/pki"
)

// TestUnixSocketsAsHAProxy: servers and frontends on unix sockets, by path and in the abstract namespace, with and without
// the PROXY protocol and TLS, over TCP and HTTP, are the same in HAProxy: bodies, addresses in rules, in log variables, on the
// statistics page and in the Runtime API.
func TestUnixSocketsAsHAProxy(t *testing.T) {
	dir := t.TempDir()
	server := listenAt(t, filepath.Join(dir, "server.sock"))
	ca := pki.New(t)
	ca.File(dir, "site.pem", pki.Request{CN: "site.test", Names: []string{"site.test"}})
	const text = `
global
    stats socket %[2]s/stats level admin
    unix-bind prefix %[2]s/ mode 600
` + defaults + `
frontend web
    bind %[1]s
    option forwardfor
    http-response set-header x-server "%%s %%si:%%sp %%bi:%%bp %%ci:%%cp %%fi:%%fp"
    use_backend far if { path_beg /far }
    use_backend %%[path,field(2,/)]
backend far
    server s unix@%[3]s check inter 100ms
backend path
    server s unix@%[2]s/in.sock
backend one
    server s %[2]s/one.sock send-proxy
backend two
    server s abns@two-%[4]s send-proxy-v2
backend tls
    server s unix@%[2]s/tls.sock ssl verify none
backend tcp
    server s unix@%[2]s/tcp.sock
backend again
    server s unix@%[2]s/from.sock
frontend at-in
    bind unix@first.sock
    bind unix@in.sock mode 666
    %[5]s
frontend at-one
    bind /one.sock accept-proxy
    %[5]s
frontend at-two
    bind abns@two-%[4]s accept-proxy
    %[5]s
frontend at-tls
    bind unix@tls.sock ssl crt %[2]s/site.pem
    %[5]s
listen at-tcp
    mode tcp
    bind unix@tcp.sock
    server s unix@%[3]s
listen at-from
    bind unix@from.sock
    server s1 unix@%[2]s/one.sock send-proxy
    server s2 abns@two-%[4]s send-proxy-v2
`
	const shows = `http-request return status 200 hdr x-shown "%[src] %[dst] %[src_port] %[dst_port] %[req.hdr(x-forwarded-for)] %ci:%cp %fi:%fp"`
	var told []string
	for _, contender := range []string{"waggle", "haproxy"} {
		addr := labtest.FreeAddr(t).String()
		own := t.TempDir()
		ca.File(own, "site.pem", pki.Request{CN: "site.test", Names: []string{"site.test"}})
		contend(t, contender, fmt.Sprintf(text, addr, own, server, fmt.Sprint(contender, os.Getpid()), shows), addr)
		var b strings.Builder
		for _, path := range []string{"/far", "/path", "/one", "/two", "/tls", "/tcp", "/again", "/again"} {
			fmt.Fprintf(&b, "%s %s\n", path, exchangeBy(t, "tcp", addr, path))
		}
		fmt.Fprintf(&b, "direct %s\n", exchangeBy(t, "unix", filepath.Join(own, "in.sock"), "/"))
		fmt.Fprintf(&b, "%s", addressesIn(ask(t, filepath.Join(own, "stats"), "show stat"), "show servers state far", filepath.Join(own, "stats"), t))
		said := regexp.MustCompile(`127\.0\.0\.1:\d+|(127\.0\.0\.1) \d+ \d+`).ReplaceAllString(b.String(), "$1:PORT")
		told = append(told, strings.ReplaceAll(said, own, "DIR"))
	}
	if told[0] != told[1] {
		t.Errorf("waggle:\n%s\nHAProxy:\n%s", told[0], told[1])
	}
	for _, want := range []string{"/far 200 sum", "unix:0", "direct 200", "unix:2 unix:2", "addr unix"} {
		if !strings.Contains(told[0], want) {
			t.Errorf("no %q in: %s", want, told[0])
		}
	}
}

// listenAt has a server answer on a unix socket with the sum of what it was sent.
func listenAt(t *testing.T, path string) string {
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("body: %v", err)
		}
		w.Header().Set("X-Shown", fmt.Sprintf("sum %x of %s", sha256.Sum256(body), r.Header.Get("X-Forwarded-For")))
		_, _ = w.Write(body)
	}))
	server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	return path
}

// exchangeBy posts some megabytes, checks what comes back of them, and tells what else the answer says.
func exchangeBy(t *testing.T, network, addr, path string) string {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, addr)
	}}
	client := http.Client{Transport: transport, Timeout: patience}
	method, body := "GET", []byte(nil)
	if path == "/far" || path == "/tcp" {
		method, body = "POST", bytes.Repeat([]byte("waggle dance "), 1<<18)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://site.test"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer resp.Body.Close()
	back, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(back, body) {
		t.Errorf("%s: %d bytes came back of %d: %v", path, len(back), len(body), err)
	}
	return fmt.Sprintf("%d %s | %s", resp.StatusCode, resp.Header.Get("X-Shown"), resp.Header.Get("X-Server"))
}

// addressesIn tells where servers are, by the statistics and by the Runtime API, once the check has passed.
func addressesIn(stat, state, socket string, t *testing.T) string {
	t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(stat, "far,s,") || !regexp.MustCompile(`far,s,.*,L4OK,`).MatchString(stat); stat = ask(t, socket, "show stat") {
		if time.Now().After(end) {
			t.Fatalf("the check does not pass: %s", stat)
		}
		time.Sleep(10 * time.Millisecond)
	}
	var b strings.Builder
	for line := range strings.Lines(stat) {
		if f := strings.Split(line, ","); len(f) > 73 && (f[1] == "s" || f[1] == "s1") {
			fmt.Fprintf(&b, "%s/%s %s addr %s\n", f[0], f[1], f[17], f[73])
		}
	}
	f := strings.Fields(ask(t, socket, state))
	fmt.Fprintln(&b, ask(t, socket, "set server far/s addr 192.0.2.1 port 80"), f[len(f)-25:len(f)-20], f[len(f)-7:])
	return b.String()
}
