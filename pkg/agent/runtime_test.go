package agent_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"waggle/pkg/agent"
	"waggle/pkg/config"
	"waggle/pkg/lab/haproxy"
	"waggle/pkg/lab/labtest"
)

var update = flag.Bool("update", false, "record what HAProxy answers")

// golden holds commands of the Runtime API, each with what HAProxy 2.6 answers. Both programs run on the same
// configuration and get all commands, in this order: TestRuntimeAPIOfHAProxy keeps the record true, and
// TestRuntimeAPIAnswers holds waggle to it.
const golden = "testdata/runtimeapi.golden"

const runtimeConfig = `global
  stats socket %[1]s level admin
  maxconn 1000
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend in
  bind 127.0.0.1:%[2]d
  maxconn 100
  default_backend web
backend web
  server one 127.0.0.1:81 check inter 60s weight 4 maxconn 7
  server two 127.0.0.1:82 weight 1 backup
backend still
  balance static-rr
  server s 127.0.0.1:83
backend src
  balance source
  server s 127.0.0.1:83
backend agents
  server ag 127.0.0.1:84 agent-check agent-port 85 agent-inter 60s
backend names
  server n1 web.example:80 resolvers nobody init-addr none
  server-template n 2-3 web.example:80 resolvers nobody init-addr none
  server srv _http._tcp.web.example resolvers nobody init-addr none
resolvers nobody
  nameserver silent 127.0.0.1:1
  timeout resolve 1h
  timeout retry 1h
`

// exchangeAll gives each command of the golden file to a socket and returns the record of that.
func exchangeAll(t *testing.T, golden, socket string) string {
	t.Helper()
	recorded, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(recorded)) {
		if command, ok := strings.CutPrefix(line, "> "); ok {
			out.WriteString(line + quoted(runtimeCommand(t, socket, command)))
		}
	}
	return out.String()
}

// quoted marks each line of an answer, so that empty ones are seen.
func quoted(answer string) string {
	var out strings.Builder
	for line := range strings.Lines(answer) {
		out.WriteString("|" + line)
	}
	return out.String()
}

func runtimeCommand(t *testing.T, socket, command string) string {
	t.Helper()
	conn, err := net.DialTimeout("unix", socket, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, command); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return string(answer)
}

// writeRuntimeConfig writes the configuration with a free port and a socket of its own.
func writeRuntimeConfig(t *testing.T) (file, socket string) {
	t.Helper()
	dir := t.TempDir()
	file, socket = filepath.Join(dir, "haproxy.cfg"), filepath.Join(dir, "s")
	text := fmt.Sprintf(runtimeConfig, socket, labtest.FreeAddr(t).Port())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, socket
}

func waitForSocket(t *testing.T, socket string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			return
		}
	}
	t.Fatal("the stats socket does not answer")
}

// startWaggle runs an agent in this process until the test ends.
func startWaggle(t *testing.T, file string) *agent.Agent {
	t.Helper()
	a := newWaggle(t, file, nil)
	runUntilEnd(t, a)
	return a
}

// newWaggle is an agent that nobody has run yet. load reads the configuration anew.
func newWaggle(t *testing.T, file string, load func() (*config.Config, []string, error)) *agent.Agent {
	t.Helper()
	cfg, _, err := config.Load([]string{file}, config.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := agent.New(t.Context(), agent.Options{Config: cfg, Load: load, Datapath: agent.DatapathOff, Loops: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// runUntilEnd runs an agent until the test ends.
func runUntilEnd(t *testing.T, a *agent.Agent) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestRuntimeAPIAnswers(t *testing.T) {
	file, socket := writeRuntimeConfig(t)
	startWaggle(t, file)
	waitForSocket(t, socket)
	compareRecords(t, golden, exchangeAll(t, golden, socket))
}

func TestRuntimeAPIOfHAProxy(t *testing.T) {
	file, socket := writeRuntimeConfig(t)
	haproxy.StartFile(t, file, haproxy.Options{})
	waitForSocket(t, socket)
	record := exchangeAll(t, golden, socket)
	if *update {
		if err := os.WriteFile(golden, []byte(record), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	compareRecords(t, golden, record)
}

// serverState is a line of `show servers state` up to the seconds since the last change, which are 0 or 1.
var serverState = regexp.MustCompile(`(?m)^(\|\d+ \S+ \d+ \S+ \S+ \d+ \d+ \d+ \d+) \d+ `)

func withoutAges(record string) string { return serverState.ReplaceAllString(record, "$1 AGE ") }

// compareRecords reports each command whose answer is not the recorded one.
func compareRecords(t *testing.T, golden, got string) {
	t.Helper()
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	gots, wants := strings.Split(got, "\n> "), strings.Split(string(want), "\n> ")
	for i := range min(len(gots), len(wants)) {
		if withoutAges(gots[i]) != withoutAges(wants[i]) {
			t.Errorf("answered\n%s\nrecorded\n%s", gots[i], wants[i])
		}
	}
	if len(wants) < 80 || len(gots) != len(wants) {
		t.Errorf("%d commands were answered, and %d are recorded", len(gots), len(wants))
	}
}

// TestStatsAdminEndToEnd posts the page's form to a running balancer: who may is the configuration's say.
func TestStatsAdminEndToEnd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := `defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
listen in
  bind ` + labtest.FreeAddr(t).String() + `
  stats enable
  stats uri /s
  stats admin if { hdr(x-operator) yes }
  server one 127.0.0.1:81
  server two 127.0.0.1:82
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a := startWaggle(t, file)
	url := fmt.Sprintf("http://%s/s", a.Addrs()[0])
	post := func(operator, body string) string {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("x-operator", operator)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusSeeOther {
			t.Errorf("status %d", resp.StatusCode)
		}
		return resp.Header.Get("location")
	}
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	status := func() string { return a.Pool().Backend("in").Servers()[0].View().Status }
	for _, tt := range []struct{ operator, body, location, status string }{
		{"no", "s=one&action=maint&b=in", "/s?;st=DENY", "no check"},
		{"yes", "s=one&action=maint&b=in", "/s?;st=DONE", "MAINT"},
		{"yes", "s=one&action=ready&b=%232", "/s?;st=DONE", "no check"},
		{"yes", strings.Repeat("s=one&", 5000) + "action=maint&b=in", "/s?;st=EXCD", "no check"},
	} {
		if got := post(tt.operator, tt.body); got != tt.location || status() != tt.status {
			t.Errorf("%.40s: %s and %s, want %s and %s", tt.body, got, status(), tt.location, tt.status)
		}
	}
}
