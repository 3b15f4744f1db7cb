package consumers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/require"
)

// TestMonitoring has Prometheus itself scrape a waggle by deploy/prometheus, with three things changed: where waggle is, since
// there is no DNS of a swarm here, how often it looks, and how long a rule has to hold. It sees the target up, evaluates all rules, and
// an alert fires and resolves.
func TestMonitoring(t *testing.T) {
	program := require.Tool(t, "prometheus")
	dir := t.TempDir()
	stats, shaky := labtest.FreeAddr(t).Port(), labtest.FreeAddr(t).Port()
	config := filepath.Join(dir, "haproxy.cfg")
	text := fmt.Sprintf("defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 1s\n"+
		"frontend stats\n bind 127.0.0.1:%d\n http-request use-service prometheus-exporter if { path /metrics }\n"+
		"listen shop\n bind 127.0.0.1:%d\n server steady %s check inter 100ms\n server shaky 127.0.0.1:%d check inter 100ms fall 1 rise 1\n",
		stats, labtest.FreeAddr(t).Port(), server(t, "steady"), shaky)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	(&balancer{log: filepath.Join(dir, "log")}).run(t, config)
	url := runPrometheus(t, program, dir, fmt.Sprintf("127.0.0.1:%d", stats))

	eventually(t, "the target is up and the alert fires", func() error {
		up, err := prometheusStates(url+"/api/v1/targets", `"health":"(\w+)"`)
		if err != nil || strings.Join(up, " ") != "up" {
			return fmt.Errorf("targets %v %w", up, err)
		}
		return firing(url, `WaggleServerDown shaky`)
	})
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", shaky)) // which nobody else is given meanwhile
	if err != nil {
		t.Fatal(err)
	}
	back := &http.Server{Handler: http.NotFoundHandler()}
	go back.Serve(l)
	defer back.Close()
	eventually(t, "the alert resolves", func() error { return firing(url, "") })

	rules, err := prometheusStates(url+"/api/v1/rules", `"health":"(\w+)"`)
	written, readErr := os.ReadFile("../../deploy/prometheus/alerts.yml")
	if err != nil || readErr != nil {
		t.Fatal(err, readErr)
	}
	if n := bytes.Count(written, []byte("- alert: ")); len(rules) != n {
		t.Errorf("%d rules, %d are written", len(rules), n)
	}
	for _, health := range rules {
		if health != "ok" {
			t.Errorf("a rule is %s: %v", health, rules)
		}
	}
}

// runPrometheus starts it beside a target until the test ends, and gives its address.
func runPrometheus(t *testing.T, program, dir, target string) (url string) {
	t.Helper()
	for _, name := range []string{"prometheus.yml", "alerts.yml"} {
		text, err := os.ReadFile(filepath.Join("../../deploy/prometheus", name))
		if err != nil {
			t.Fatal(err)
		}
		text = regexp.MustCompile(`(scrape_interval|evaluation_interval): 15s`).ReplaceAll(text, []byte("$1: 1s"))
		text = regexp.MustCompile(`(?m)^( +for): \d+m$`).ReplaceAll(text, []byte("$1: 1s"))
		text = regexp.MustCompile(`(?s)dns_sd_configs:.*`).ReplaceAll(text, []byte("static_configs: [{targets: ['"+target+"']}]\n"))
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	address := fmt.Sprintf("127.0.0.1:%d", labtest.FreeAddr(t).Port())
	cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	runUntilEnd(t, cmd)
	return "http://" + address
}

// prometheusStates finds words in an answer of Prometheus.
func prometheusStates(url, pattern string) (all []string, err error) {
	text, err := get(url)
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all, err
}

// firing says whether just these alerts fire: name and server.
func firing(url, want string) error {
	text, err := get(url + "/api/v1/alerts")
	if err != nil {
		return err
	}
	var answer struct {
		Data struct {
			Alerts []struct {
				State  string
				Labels map[string]string
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return err
	}
	var got []string
	for _, a := range answer.Data.Alerts {
		if a.State == "firing" {
			got = append(got, a.Labels["alertname"]+" "+a.Labels["server"])
		}
	}
	if s := strings.Join(got, ", "); s != want {
		return fmt.Errorf("firing: %q, want %q, in %s", s, want, text)
	}
	return nil
}
