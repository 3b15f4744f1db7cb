// Package consumers runs tools that people have for HAProxy, as Debian ships them, against waggle: a terminal user
// interface, exporters, monitoring plugins, readers of logs. None of them knows waggle.
package consumers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/require"
	"waggle/test/program"
)

func TestMain(m *testing.M) {
	program.Main()
	os.Exit(m.Run())
}

// patience bounds every wait; no test passes by using it up.
const patience = time.Minute

// maxconn is a number that no other limit is by chance, on however many CPUs.
const maxconn = "301"

// balancer is a running waggle with two web servers that are up and one that is down.
type balancer struct {
	socket, csv, log string
	requests         int
}

// start runs it until the test ends, and sends it so many requests.
func start(t *testing.T, requests int) *balancer {
	t.Helper()
	dir := t.TempDir()
	b := &balancer{socket: filepath.Join(dir, "stats.sock"), log: filepath.Join(dir, "log"), requests: requests}
	web, stats := labtest.FreeAddr(t).Port(), labtest.FreeAddr(t).Port()
	b.csv = fmt.Sprintf("http://127.0.0.1:%d/stats;csv", stats)
	config := fmt.Sprintf(`global
    stats socket %s mode 600 level admin
    maxconn `+maxconn+`
    log stdout format rfc3164 local0
defaults
    mode http
    log global
    option httplog
    timeout client 30s
    timeout server 30s
    timeout connect 10s
frontend shop
    bind 127.0.0.1:%d
    default_backend web
frontend stats
    bind 127.0.0.1:%d
    no log
    stats enable
    stats uri /stats
backend web
    server up-1 %s check inter 100ms
    server up-2 %s check inter 100ms
    server gone 127.0.0.1:%d check inter 100ms fall 1
`, b.socket, web, stats, server(t, "one"), server(t, "two"), labtest.ClosedAddr(t).Port())
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	b.run(t, file)
	eventually(t, "the server that is gone is known to be down", func() error {
		text, err := get(b.csv)
		if err == nil && !regexp.MustCompile(`(?m)^web,gone,.*,DOWN,`).MatchString(text) {
			err = fmt.Errorf("%s", text)
		}
		return err
	})
	for range requests {
		if _, err := get(fmt.Sprintf("http://127.0.0.1:%d/", web)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the last session has ended", func() error { // a moment after its client has the answer
		text, err := get(b.csv)
		if err == nil && len(regexp.MustCompile(`(?m)^(shop,FRONTEND|web,BACKEND),\d*,\d*,0,`).FindAllString(text, -1)) != 2 {
			err = fmt.Errorf("%s", text)
		}
		return err
	})
	return b
}

// run starts the program, its log in a file, and ends it with the test.
func (b *balancer) run(t *testing.T, config string) {
	t.Helper()
	out, err := os.Create(b.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	waggle := program.Command(t, "-f", config, "--datapath=off", "--health-socket=@"+filepath.Dir(config))
	waggle.Stdout = out
	runUntilEnd(t, waggle)
}

// runUntilEnd starts a program, ends it with the test, and tells what it said on standard error if that failed.
func runUntilEnd(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var said bytes.Buffer
	cmd.Stderr, cmd.WaitDelay = &said, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("%s said:\n%s", cmd.Path, said.String())
		}
	})
}

// server runs a web server until the test ends and returns its address.
func server(t *testing.T, name string) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, name) })}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

func get(url string) (string, error) {
	// A connection that is kept would count among the sessions.
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", r.Status, body)
	}
	return string(body), err
}

func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, patience, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// output runs a tool and returns what it says and its exit code.
func output(t *testing.T, stdin io.Reader, env []string, name string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin, cmd.Env, cmd.WaitDelay = stdin, append(os.Environ(), env...), time.Second
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// wants fails the test for each text that is not in what a tool said.
func wants(t *testing.T, tool, said string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(said, text) {
			t.Errorf("%s does not say %q:\n%s", tool, text, said)
		}
	}
}

// TestHatop draws HAProxy's terminal user interface from the stats socket.
func TestHatop(t *testing.T) {
	hatop, script := require.Tool(t, "hatop"), require.Tool(t, "script")
	b := start(t, 12)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, script, "-qec", "stty rows 40 cols 120; "+hatop+" -s "+b.socket, "/dev/null")
	cmd.Env = append(os.Environ(), "TERM=xterm", "LC_ALL=C.UTF-8")
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var screen labtest.Transcript
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &screen, &screen, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "hatop draws", func() error {
		text := screen.String()
		for _, want := range []string{"HATop version", ">>> web", "gone", "L4CON", "Connections"} {
			if !strings.Contains(text, want) {
				return fmt.Errorf("no %q on the screen: %q", want, text)
			}
		}
		if !regexp.MustCompile(`\d/` + maxconn).MatchString(text) { // the first request of all may still be there
			return fmt.Errorf("no limit of connections on the screen: %q", text)
		}
		return nil
	})
	if _, err := io.WriteString(keys, "q"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("hatop: %v\n%s", err, screen.String())
	}
}

// TestPrometheusExporter scrapes the exporter that was there before HAProxy had its own, by HTTP and by the socket.
func TestPrometheusExporter(t *testing.T) {
	exporter := require.Tool(t, "prometheus-haproxy-exporter")
	b := start(t, 12)
	for _, uri := range []string{b.csv, "unix:" + b.socket} {
		port := labtest.FreeAddr(t).Port()
		cmd := exec.Command(exporter, "--haproxy.scrape-uri="+uri, fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port))
		runUntilEnd(t, cmd)
		var text string
		eventually(t, "the exporter answers", func() (err error) {
			text, err = get(fmt.Sprintf("http://127.0.0.1:%d/metrics", port))
			return err
		})
		wants(t, "the exporter of "+uri, text, "haproxy_up 1\n", "haproxy_exporter_csv_parse_failures_total 0\n",
			`haproxy_frontend_http_requests_total{frontend="shop"} 12`, `haproxy_server_up{backend="web",server="gone"} 0`,
			`haproxy_server_up{backend="web",server="up-1"} 1`, `haproxy_server_sessions_total{backend="web",server="up-2"} 6`)
	}
}

// TestMonitoringPlugins asks as Nagios and its kin do.
func TestMonitoringPlugins(t *testing.T) {
	const dir = "/usr/lib/nagios/plugins/"
	b := start(t, 12)
	said, code := output(t, nil, nil, require.Tool(t, dir+"check_haproxy"), "-u", b.csv)
	if code != 2 {
		t.Errorf("check_haproxy exits with %d, want 2 (critical)", code)
	}
	wants(t, "check_haproxy", said, "HAPROXY CRITICAL", "'gone' is DOWN on 'web' proxy", "sess_web=0sessions")

	said, code = output(t, nil, nil, require.Tool(t, dir+"check_haproxy_stats"), "-s", b.socket)
	if code != 2 {
		t.Errorf("check_haproxy_stats exits with %d, want 2 (critical)", code)
	}
	wants(t, "check_haproxy_stats", said, "server: web:gone is DOWN (check status: connection error)", "shop-FRONTEND=0;")
}

// TestMunin draws the graphs of munin's plugin.
func TestMunin(t *testing.T) {
	plugin := require.Tool(t, "/usr/share/munin/plugins/haproxy_ng")
	b := start(t, 12)
	env := []string{"url=" + b.csv, "MUNIN_CAP_MULTIGRAPH=1", "MUNIN_LIBDIR=/usr/share/munin"}
	said, _ := output(t, nil, env, plugin)
	wants(t, "munin's plugin", said, "multigraph HAPActive\nweb_act.value 2\n", "multigraph HAPBandwidthBack")
	said, _ = output(t, nil, env, plugin, "config")
	wants(t, "munin's plugin", said, "web_act.label web\n")
}

// TestNetdata collects with netdata's plugin over the socket.
func TestNetdata(t *testing.T) {
	plugin := require.Tool(t, "/usr/lib/netdata/plugins.d/python.d.plugin")
	b := start(t, 12)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "python.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	job := "via_socket:\n  socket: '" + b.socket + "'\n"
	if err := os.WriteFile(filepath.Join(dir, "python.d", "haproxy.conf"), []byte(job), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, plugin, "nolock", "haproxy", "1")
	cmd.Env = append(os.Environ(), "NETDATA_USER_CONFIG_DIR="+dir, "NETDATA_STOCK_CONFIG_DIR=/usr/lib/netdata/conf.d", "NETDATA_PLUGINS_DIR="+filepath.Dir(plugin))
	var said labtest.Transcript
	cmd.Stdout, cmd.WaitDelay = &said, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = cmd.Wait() // it goes on for ever, and was killed
	}()
	eventually(t, "netdata collects", func() error {
		for _, want := range []string{"CHART haproxy_via_socket.fbin", "SET 'frontend_scur_shop' = 0", "SET 'backend_"} {
			if !strings.Contains(said.String(), want) {
				return fmt.Errorf("no %q in %s", want, said.String())
			}
		}
		return nil
	})
}

// TestLogReaders has two programs for HAProxy's HTTP logs read ours: HAProxy's own, and a Python one.
func TestLogReaders(t *testing.T) {
	halog, analysis := require.Tool(t, "halog"), require.Tool(t, "haproxy_log_analysis")
	b := start(t, 12)
	line := regexp.MustCompile(`(?m)^<\d+>(.*: 127\.0\.0\.1:\d+ \[.*"GET / HTTP/1\.1")$`)
	var lines []string
	eventually(t, "all requests are logged", func() error {
		text, err := os.ReadFile(b.log)
		if err != nil {
			return err
		}
		lines = nil
		for _, m := range line.FindAllStringSubmatch(string(text), -1) {
			lines = append(lines, m[1]+"\n")
		}
		if len(lines) != b.requests {
			return fmt.Errorf("%d lines in %q", len(lines), text)
		}
		return nil
	})
	said, _ := output(t, strings.NewReader(strings.Join(lines, "")), nil, halog, "-srv")
	wants(t, "halog -srv", said, "12 lines in", " 0 parsing errors")
	if m := regexp.MustCompile(`(?m)^web/up-1 0 (\d+) `).FindStringSubmatch(said); m == nil || m[1] != "6" {
		t.Errorf("halog does not count 6 responses of web/up-1:\n%s", said)
	}
	said, _ = output(t, strings.NewReader(strings.Join(lines, "")), nil, halog, "-st")
	wants(t, "halog -st", said, "200 "+strconv.Itoa(b.requests))

	// It reads what syslogd writes to a file, host included, as ours are with a real one.
	file := filepath.Join(t.TempDir(), "haproxy.log")
	var stored strings.Builder
	for _, l := range lines {
		stamp, rest := l[:15], l[16:]
		if !strings.HasPrefix(rest, "localhost ") {
			rest = "localhost " + rest
		}
		stored.WriteString(stamp + " " + rest)
	}
	if err := os.WriteFile(file, []byte(stored.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	said, _ = output(t, nil, nil, analysis, "-l", file, "-c", "status_codes_counter", "-n")
	wants(t, "haproxy_log_analysis", said, "200")
	said, _ = output(t, nil, nil, analysis, "-l", file, "-c", "counter", "-n")
	wants(t, "haproxy_log_analysis", said, "12")
}
