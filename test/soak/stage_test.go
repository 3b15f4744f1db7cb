package soak

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/pki"
	"waggle/test/program"
)

func TestMain(m *testing.M) {
	program.Main()
	os.Exit(m.Run())
}

const (
	httpPort  = 8000
	httpsPort = 8443
	tcpPort   = 8001 // by the kernel
	relayPort = 8002 // by userspace
	statsPort = 8404
	extraPort = 8010 // by every other configuration

	runtimeAPI = "127.0.0.1:9999"

	// tasks is how many tasks each of the two services has between the acts.
	tasks = 3
	// slots is how many its backends have room for.
	slots = 8
)

// stage is a lab with waggle in front of its tasks.
type stage struct {
	*lab.Lab
	t       *testing.T
	process *lab.Process
	journal *journal
	group   string // its control group
	file    string // its configuration
	cert    string
	trust   *tls.Config
	rounds  int  // configurations so far
	long    bool // there is time to wait for everything
}

func open(t *testing.T, seed uint64) *stage {
	t.Helper()
	journal := &journal{out: t.Output()}
	l := labtest.New(t, lab.Options{Tasks: tasks, StopDelay: time.Second, Wires: true, WireSeed: seed, Output: journal})
	for range tasks {
		if _, err := l.AddTask(labtest.Context(t), lab.TaskOptions{Service: "raw", Kind: lab.TCP}); err != nil {
			t.Fatal(err)
		}
	}
	authority, dir := pki.New(t), t.TempDir()
	s := &stage{Lab: l, t: t, journal: journal, file: filepath.Join(dir, "haproxy.cfg")}
	s.cert = authority.File(dir, "cert.pem", pki.Request{CN: "soak.example", Names: []string{"soak.example"}})
	s.trust = &tls.Config{RootCAs: authority.Pool(), ServerName: "soak.example"}
	s.rewrite(s.configuration(0))
	s.start()
	if err := eventually(20*time.Second, "all services answer", func() error {
		for _, l := range lanes() {
			if err := l.do(t.Context(), s, 1000); err != nil {
				return fmt.Errorf("%s: %w", l.name, err)
			}
		}
		return nil
	}); err != nil {
		s.journal.end()
		t.Fatal(err)
	}
	return s
}

func (s *stage) start() {
	s.t.Helper()
	var err error
	if s.process, err = s.Balancer.Start(labtest.Context(s.t), program.In(s.t, "run", "-f", s.file, "--datapath=tc")); err != nil {
		s.t.Fatal(err)
	}
	if s.group, err = confine(s.process.Pid(), memoryLimit); err != nil {
		s.t.Logf("its memory is not limited: %v", err)
		return
	}
	s.t.Cleanup(func() {
		s.process.Kill()
		if err := os.Remove(s.group); err != nil {
			s.t.Error(err)
		}
	})
}

// configuration is the n-th of a series in which what clients use stays and most else changes; 0 is the one to begin with.
func (s *stage) configuration(n int) string {
	values := map[string]any{
		"api": runtimeAPI, "maxconn": 4000 + n%2, "client": 12 + n%3, "server": 12 + n%4,
		"http": httpPort, "https": httpsPort, "cert": s.cert, "tcp": tcpPort, "relay": relayPort, "stats": statsPort, "extra": extraPort,
		"round": n, "balance": []string{"roundrobin", "leastconn", "random"}[n%3], "slots": slots, "web": slots + n%2, "weight": 1 + n%4,
	}
	text := everyConfiguration
	if n%2 == 1 {
		text += extraFrontend
	}
	return os.Expand(text, func(name string) string { return fmt.Sprint(values[name]) })
}

// everyConfiguration has HAProxy's interval between checks, which is also the time that a check has to connect. It must not be less than
// the second after which TCP sends a lost SYN again: the crowds that do not read have the overlay leg drop a third of its frames for as
// long as they stay, so that checks of half a second called healthy servers down, all of a backend at once.
const everyConfiguration = `
global
    stats socket ipv4@$api level admin
    maxconn $maxconn

resolvers docker
    nameserver dns1 127.0.0.11:53
    hold obsolete 30s

defaults
    timeout connect 2s
    timeout client ${client}s
    timeout server ${server}s
    timeout http-request 4s
    timeout http-keep-alive 4s
    retries 3
    option redispatch 1
    option log-health-checks

frontend http_in
    mode http
    bind *:$http
    bind *:$https ssl crt $cert alpn h2,http/1.1
    http-response set-header x-round $round
    default_backend web

backend web
    mode http
    balance $balance
    server-template web- $web web:8000 check inter 2s fastinter 500ms fall 3 rise 1 weight $weight resolvers docker init-addr none

frontend tcp_in
    mode tcp
    bind *:$tcp
    default_backend raw

backend raw
    mode tcp
    balance $balance
    server-template raw- $slots raw:8000 check inter 2s fastinter 500ms fall 3 rise 1 weight $weight resolvers docker init-addr none

frontend relay_in
    mode tcp
    bind *:$relay
    tcp-request connection accept
    default_backend relayed

backend relayed
    mode tcp
    server-template raw- $slots raw:8000 check inter 2s fastinter 500ms fall 3 rise 1 resolvers docker init-addr none

frontend stats_in
    mode http
    bind *:$stats
    http-request use-service prometheus-exporter if { path /metrics }
    stats enable
    stats uri /
`

const extraFrontend = `
frontend extra_in
    mode tcp
    bind *:$extra
    default_backend raw
`

func (s *stage) rewrite(text string) {
	s.t.Helper()
	if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// runtime gives a command to the Runtime API. What it does it does in silence; an answer says why not.
func (s *stage) runtime(ctx context.Context, command string) error {
	conn, err := s.Balancer.DialContext(ctx, "tcp4", runtimeAPI)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintln(conn, command); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if text := strings.TrimSpace(string(answer)); text != "" {
		return fmt.Errorf("%s: %s", command, text)
	}
	return err
}

// metrics returns the sum of each metric over its labels, by name, and by name with each of its sets of labels.
func (s *stage) metrics(ctx context.Context) (map[string]float64, error) {
	client := s.Client.HTTPClient()
	client.Timeout = patience
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Balancer.URL(statsPort, "/metrics"), nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	values := make(map[string]float64)
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		series, number, ok := cutLast(lines.Text(), " ")
		if !ok || strings.HasPrefix(series, "#") {
			continue
		}
		var v float64
		if _, err := fmt.Sscan(number, &v); err != nil {
			return nil, fmt.Errorf("metric line %q: %w", lines.Text(), err)
		}
		name, _, labelled := strings.Cut(series, "{")
		values[name] += v
		if labelled {
			values[series] = v
		}
	}
	return values, lines.Err()
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
