package e2e

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waggle/pkg/cli"
	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/pki"
)

// migrated is an example of deploy/examples as somebody with HAProxy would bring it along: it is checked, explained and run before
// tasks of its services.
type migrated struct {
	*balancer
	file string
}

// migrate starts a lab with the services that the example names, each with two tasks.
func migrate(t *testing.T, example string, services map[string]lab.Kind, env ...string) *migrated {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../deploy/examples", example))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	authority := pki.New(t)
	pem, err := os.ReadFile(authority.File(dir, "site.pem", pki.Request{CN: "example.com", Names: []string{"example.com", "admin.example.com"}}))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"site.pem": pem, "503.http": []byte("HTTP/1.0 503 Sorry\r\nContent-Type: text/plain\r\n\r\nback soon\n"), "blocked.lst": []byte("# a neighbour\n203.0.113.0/24\n")}
	place := func(dir string) []byte { // secrets and configs are mounted elsewhere in a lab
		there := strings.NewReplacer("/run/secrets/", dir+"/", "/usr/local/etc/haproxy/errors/", dir+"/", "/usr/local/etc/haproxy/", dir+"/")
		return []byte(there.Replace(string(text)))
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	m := &migrated{file: filepath.Join(dir, "haproxy.cfg")}
	if err := os.WriteFile(m.file, place(dir), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-c", "-f", m.file}, {"check", "--strict", "-f", m.file}} {
		if code, out := ask(t, args...); code != 0 {
			t.Errorf("waggle %s ends with %d:\n%s", strings.Join(args, " "), code, out)
		}
	}
	l := newLab(t, lab.Options{})
	for service, kind := range services {
		for range 2 {
			if _, err := l.AddTask(labtest.Context(t), lab.TaskOptions{Service: service, Kind: kind}); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.balancer = &balancer{Lab: l, t: t}
	c := m.command("haproxy", "-W", "-db", "-f", lab.FilesDir+"/haproxy.cfg") // as the official image's entrypoint starts it
	c.Files = files
	c.Files["haproxy.cfg"] = place(lab.FilesDir)
	c.Env = append(c.Env, env...)
	if m.process, err = m.Balancer.Start(labtest.Context(t), c); err != nil {
		t.Fatal(err)
	}
	return m
}

// ask runs a command of waggle in this process.
func ask(t *testing.T, args ...string) (code int, output string) {
	t.Helper()
	var out bytes.Buffer
	code = cli.Run(t.Context(), args, strings.NewReader(""), &out, &out)
	return code, out.String()
}

// explained wants `waggle explain` to give the path of a frontend.
func (m *migrated) explained(frontend, path string) {
	m.t.Helper()
	_, out := ask(m.t, "explain", "-f", m.file)
	for line := range strings.Lines(out) {
		if strings.Contains(line, frontend) && strings.Contains(line, path) {
			return
		}
	}
	m.t.Errorf("explain does not say that %s is %s:\n%s", frontend, path, out)
}

// fetch makes a request on a connection of its own.
func (m *migrated) fetch(url, host string, change func(*http.Request)) (*http.Response, string, error) {
	client := m.Client.HTTPClient()
	client.Timeout = patience
	client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true, ServerName: "example.com"}
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, "", err
	}
	r.Host = host
	if change != nil {
		change(r)
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// served waits until a request is answered by a task of a service.
func (m *migrated) served(url, host, service string) *http.Response {
	m.t.Helper()
	var resp *http.Response
	m.eventually(url+" of "+host+" is served by "+service, func() error {
		var body string
		var err error
		if resp, body, err = m.fetch(url, host, nil); err != nil {
			return err
		}
		if resp.StatusCode != 200 || !strings.Contains(body, "hostname: "+service+"-") {
			return fmt.Errorf("status %d, %q", resp.StatusCode, body)
		}
		return nil
	})
	return resp
}

func TestMigrateAnEdgeWithTLS(t *testing.T) {
	m := migrate(t, "tls-edge.cfg", map[string]lab.Kind{"web": lab.HTTP11, "api": lab.HTTP11, "admin": lab.HTTP11})
	m.explained("https", "userspace")
	https := strings.Replace(m.Balancer.URL(443, ""), "http:", "https:", 1)
	resp := m.served(https+"/", "example.com", "web")
	if got := resp.Header.Get("Strict-Transport-Security"); !strings.HasPrefix(got, "max-age=") {
		t.Errorf("Strict-Transport-Security is %q", got)
	}
	m.served(https+"/api/users", "example.com", "api")
	_, seen, err := m.fetch(https+"/api/headers", "example.com", nil)
	if err != nil || !strings.Contains(seen, "GET /headers HTTP/1.1") || !strings.Contains(seen, "X-Forwarded-Proto: https") ||
		!strings.Contains(seen, "X-Forwarded-For: "+m.Client.Addr().String()) {
		t.Errorf("the api's server sees %q, %v", seen, err)
	}
	if resp, _, err := m.fetch(https+"/", "admin.example.com", nil); err != nil || resp.StatusCode != 403 { // 198.18/15 is no private network
		t.Errorf("the admin's page: %v, %v", resp, err)
	}
	if resp, _, err := m.fetch(m.Balancer.URL(80, "/x?y=1"), "example.com", nil); err != nil || resp.StatusCode != 301 || resp.Header.Get("Location") != "https://example.com/x?y=1" {
		t.Errorf("http: %v, %v", resp, err)
	}
	m.served(m.Balancer.URL(80, "/.well-known/acme-challenge/x"), "example.com", "web")
}

func TestMigrateDatabasesAndStatistics(t *testing.T) {
	m := migrate(t, "databases.cfg", map[string]lab.Kind{"postgres": lab.TCP, "redis": lab.TCP, "web": lab.HTTP11})
	m.explained("postgres", "kernel")
	m.explained("redis", "kernel")
	m.explained("web_in", "userspace")
	for port, service := range map[int]string{5432: "postgres", 6379: "redis"} {
		m.eventually(service+" answers", func() error {
			conn, err := m.dial(port)
			if err != nil {
				return err
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "hostname\n")
			if text, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(text), "hostname: "+service+"-") {
				return fmt.Errorf("%q, %w", text, errors.Join(err))
			}
			return nil
		})
	}
	m.served(m.Balancer.URL(80, "/"), "x", "web")
	stats := m.Balancer.URL(8404, "/stats")
	if resp, _, err := m.fetch(stats, "x", nil); err != nil || resp.StatusCode != 401 || !strings.Contains(resp.Header.Get("WWW-Authenticate"), `"Operators"`) {
		t.Errorf("without a password: %v, %v", resp, err)
	}
	login := func(r *http.Request) { r.SetBasicAuth("admin", "changeme") }
	for path, want := range map[string]string{"": "postgres", ";csv": "# pxname,svname,", "?;csv": "redis,FRONTEND,"} {
		if resp, body, err := m.fetch(stats+path, "x", login); err != nil || resp.StatusCode != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %v, %v", path, resp, err)
		}
	}
	if _, body, err := m.fetch(m.Balancer.URL(8404, "/metrics"), "x", nil); err != nil || !strings.Contains(body, `haproxy_server_status{proxy="postgres"`) {
		t.Errorf("metrics: %v, %.200s", err, body)
	}
}

func TestMigrateAContainerSetUpByItsEnvironment(t *testing.T) {
	env := []string{"HTTP_PORT=8080", "SYSLOG_HOST=127.0.0.1", "APP_SERVICE=app", "APP_SLOTS=3"}
	m := migrate(t, "environment.cfg", map[string]lab.Kind{"app": lab.HTTP11, "static": lab.HTTP11}, env...)
	var logs labtest.Transcript
	var syslog net.PacketConn
	err := m.Balancer.Do(func() (err error) {
		syslog, err = net.ListenPacket("udp4", "127.0.0.1:514")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syslog.Close() })
	go func() { // ends with the socket
		b := make([]byte, 4096)
		for {
			n, _, err := syslog.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = logs.Write(append(b[:n], '\n'))
		}
	}()
	front := m.Balancer.URL(8080, "")
	cookie := m.served(front+"/", "x", "app").Header.Get("Set-Cookie")
	if !strings.HasPrefix(cookie, "SRV=") || !strings.Contains(cookie, "HttpOnly") {
		t.Fatalf("the cookie is %q", cookie)
	}
	names := map[string]int{}
	for range 8 {
		_, body, err := m.fetch(front+"/", "x", func(r *http.Request) { r.Header.Set("Cookie", strings.SplitN(cookie, ";", 2)[0]) })
		if err != nil {
			t.Fatal(err)
		}
		names[body]++
	}
	if len(names) != 1 {
		t.Errorf("a client with a cookie went to %v", names)
	}
	m.served(front+"/style.css", "x", "static")
	if resp, _, err := m.fetch(front+"/alive", "x", nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("the monitor: %v, %v", resp, err)
	}
	m.eventually("the line of a request comes to the syslog server", func() error {
		for line := range strings.Lines(logs.String()) {
			if strings.Contains(line, " edge[") && strings.Contains(line, `main app/app-`) && strings.Contains(line, "{x}") {
				return nil
			}
		}
		return errors.New(logs.String())
	})
}

func TestMigrateAnAPIGateway(t *testing.T) {
	m := migrate(t, "gateway.cfg", map[string]lab.Kind{"api": lab.HTTP11, "api-canary": lab.HTTP11, "legacy": lab.HTTP11})
	m.explained("api", "userspace")
	front := m.Balancer.URL(8080, "")
	m.eventually("the service has tasks", func() error {
		if resp, _, err := m.fetch(front+"/healthz", "x", nil); err != nil || resp.StatusCode != 200 {
			return fmt.Errorf("%v, %w", resp, errors.Join(err))
		}
		return nil
	})
	const token, stable, origin = "Authorization: Bearer a.b.c", "Cookie: canary=0", "Origin: https://app.example.com"
	for _, row := range []struct {
		method, path string
		headers      []string
		status       int
		header, body string // a header of the response; a part of its body
	}{
		{"GET", "/v1/headers", []string{stable}, 401, `Www-Authenticate: Bearer realm="api"`, ""},
		{"GET", "/v1/headers", []string{stable, token}, 200, "Vary: Origin", "GET /headers HTTP/1.1"},
		{"GET", "/v2/headers", []string{stable, token}, 200, "", "X-Api-Version: v2"},
		{"GET", "/v2/headers", []string{stable, token}, 200, "", fmt.Sprintf("_%X:1F90_", m.Balancer.Addr().As4())}, // X-Request-ID
		{"GET", "/v2/", []string{"X-Canary: always", token, origin}, 200, "Access-Control-Allow-Origin: https://app.example.com", "hostname: api-canary-"},
		{"GET", "/v2/", []string{"Cookie: canary=1", token}, 200, "Set-Cookie: canary=1; Path=/; Max-Age=3600", "hostname: api-canary-"},
		{"GET", "/v1/docs/", []string{stable}, 200, "Cache-Control: public, max-age=3600", "hostname: api-"},
		{"GET", "/legacy/", []string{stable, token}, 200, "", "hostname: legacy-"},
		{"OPTIONS", "/v1/x", []string{origin}, 204, "Access-Control-Max-Age: 3600", ""},
		{"TRACE", "/v1/docs/", nil, 405, "", ""},
		{"GET", "/v1/docs/x.PHP", nil, 400, "", ""},
		{"GET", "/v1/docs/../x", nil, 400, "", ""},
	} {
		m.eventually(fmt.Sprintf("%s %s %v is answered", row.method, row.path, row.headers), func() error {
			resp, body, err := m.fetch(front+row.path, "x", func(r *http.Request) {
				r.Method = row.method
				for _, h := range row.headers {
					name, value, _ := strings.Cut(h, ": ")
					r.Header.Set(name, value)
				}
			})
			if err != nil {
				return err
			}
			name, value, _ := strings.Cut(row.header, ": ")
			if resp.StatusCode != row.status || resp.Header.Get(name) != value || !strings.Contains(body, row.body) {
				return fmt.Errorf("status %d, %v, %q", resp.StatusCode, resp.Header, body)
			}
			return nil
		})
	}
	limited := 0
	for range 103 {
		resp, _, err := m.fetch(front+"/v1/docs/", "x", func(r *http.Request) { r.Header.Set("X-Api-Key", "k"); r.Header.Set("Cookie", "canary=0") })
		if err == nil && resp.StatusCode == 429 && resp.Header.Get("Retry-After") == "60" {
			limited++
		}
	}
	if limited != 3 {
		t.Errorf("%d of 103 requests of a key were refused, want 3", limited)
	}
	if _, body, err := m.fetch(m.Balancer.URL(8405, "/metrics"), "x", nil); err != nil || !strings.Contains(body, `haproxy_frontend_http_requests_total{proxy="api"}`) {
		t.Errorf("metrics: %v, %.200s", err, body)
	}
}
