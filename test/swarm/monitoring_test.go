package swarm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/require"
	"waggle/test/swarm/drive"
	"waggle/test/swarm/engine"
)

const grafanaPort = 3000

// deployMonitoring deploys deploy/stack-monitoring.yml as it stands, with Debian's Prometheus and a stand-in for Grafana in the
// places of the images that it names. network is that of the stack with waggle.
func deployMonitoring(t *testing.T, e *engine.Engine, network string) {
	t.Helper()
	require.Tool(t, "prometheus")
	const file = "deploy/stack-monitoring.yml"
	for what, build := range map[string]func(image string) error{
		"prom/prometheus": func(image string) error {
			return drive.BuildPrometheus(t.Context(), e, image)
		},
		"grafana/grafana": func(image string) error {
			return drive.BuildGrafana(t.Context(), e, root, image)
		},
	} {
		if err := build(imageOf(t, file, what)); err != nil {
			t.Fatal(err)
		}
	}
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("a secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	docker(t, e, "secret", "create", "grafana_admin", password)
	deployFile(t, e, file, "monitoring", "WAGGLE_NETWORK="+network)
	showServiceOnFailure(t, e, "monitoring_prometheus")
	showServiceOnFailure(t, e, "monitoring_grafana")
}

// imageOf finds the tag that a stack file has of an image.
func imageOf(t *testing.T, file, image string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(content), "image: "+image+":")
	if !found {
		t.Fatalf("%s has no image %s", file, image)
	}
	tag, _, _ := strings.Cut(rest, "\n")
	return image + ":" + tag
}

// monitors: Prometheus has found waggle by DNS and reads it, its rules are loaded, and each query of the dashboard that Grafana
// is given gets an answer from the data source that Grafana is given.
func monitors(t *testing.T, e *engine.Engine) {
	awaitRunning(t, e, "monitoring_prometheus", 1)
	awaitRunning(t, e, "monitoring_grafana", 1)
	var err error
	for end := time.Now().Add(deployTimeout); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		var n int
		if n, err = query(t, e, `up{job="waggle"} == 1`); err == nil && n == 1 {
			break
		}
		err = errors.Join(err, fmt.Errorf("%d targets are up", n))
	}
	if err != nil {
		t.Fatal(err)
	}
	if a := ask(t.Context(), e, grafanaPort, "/api/v1/rules"); !strings.Contains(a.body, `"name":"WaggleServerDown"`) {
		t.Errorf("the rules are not loaded: %v", a)
	}
	for series, want := range map[string]int{
		`haproxy_server_status{proxy="web",state="UP"} == 1`: 3,
		`waggle_build_info`: 1,
	} {
		if n, err := query(t, e, series); err != nil || n != want {
			t.Errorf("%s has %d series, want %d: %v", series, n, want, err)
		}
	}
	dashboard := ask(t.Context(), e, grafanaPort, "/dashboards/waggle.json")
	var content struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(dashboard.body), &content); err != nil || len(content.Panels) < 10 {
		t.Fatalf("the dashboard: %v, %v", dashboard, err)
	}
	fill := strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*", "$proxy", ".*")
	for _, p := range content.Panels {
		for _, target := range p.Targets {
			if _, err := query(t, e, fill.Replace(target.Expr)); err != nil {
				t.Errorf("panel %s: %v", p.Title, err)
			}
		}
	}
}

// query asks Prometheus by way of Grafana, and returns how many series answer.
func query(t *testing.T, e *engine.Engine, expr string) (series int, err error) {
	t.Helper()
	a := ask(t.Context(), e, grafanaPort, "/api/v1/query?query="+url.QueryEscape(expr))
	if a.err != nil || a.status != http.StatusOK {
		return 0, fmt.Errorf("%s: %v", expr, a)
	}
	var reply struct {
		Data struct{ Result []json.RawMessage }
	}
	err = json.Unmarshal([]byte(a.body), &reply)
	return len(reply.Data.Result), err
}
