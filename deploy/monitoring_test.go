package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"waggle/pkg/datapath"
	"waggle/pkg/lab/require"
	"waggle/pkg/stats"
)

const (
	alerts    = "prometheus/alerts.yml"
	dashboard = "grafana/waggle.json"
)

// panelQuery is a query of the dashboard and where it stands.
type panelQuery struct{ panel, expr string }

func dashboardQueries(t *testing.T) []panelQuery {
	t.Helper()
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Name, Definition string }
		}
	}
	if err := json.Unmarshal(read(t, dashboard), &d); err != nil {
		t.Fatal(err)
	}
	var all []panelQuery
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all = append(all, panelQuery{p.Title, target.Expr})
		}
	}
	if len(all) < 10 {
		t.Fatalf("%s has only %d queries", dashboard, len(all))
	}
	for _, v := range d.Templating.List {
		if v.Definition == "" {
			continue // the choice of the data source
		}
		all = append(all, panelQuery{"variable " + v.Name, v.Definition})
	}
	return all
}

// metricName finds what must be a metric of ours, HAProxy's names included.
var metricName = regexp.MustCompile(`\b(?:haproxy|waggle)_[a-z0-9_]+\b`)

// TestMonitoringSpeaksOfMetricsThatExist holds each metric that rules and dashboard name against the exporter's list.
func TestMonitoringSpeaksOfMetricsThatExist(t *testing.T) {
	exists := map[string]bool{}
	for _, m := range stats.Metrics() {
		exists[m.Name] = true
	}
	check := func(where, text string) {
		for _, name := range metricName.FindAllString(text, -1) {
			if !exists[name] && name != "haproxy_" {
				t.Errorf("%s: there is no metric %s", where, name)
			}
		}
	}
	check(alerts, string(read(t, alerts)))
	check("alerts_test.yml", string(read(t, "prometheus/alerts_test.yml")))
	for _, q := range dashboardQueries(t) {
		// A variable over several names matches them by a pattern, which is no name.
		check(q.panel, strings.ReplaceAll(q.expr, `{__name__=~"haproxy_(frontend|backend)_status",`, "{"))
	}
}

// TestAlertsSpeakOfReasonsThatExist does the same for the reasons of the kernel path.
func TestAlertsSpeakOfReasonsThatExist(t *testing.T) {
	exists := map[string]bool{}
	for _, r := range datapath.Reasons() {
		exists[r.Name] = true
	}
	for _, m := range regexp.MustCompile(`reason="(\w+)"`).FindAllStringSubmatch(string(read(t, "prometheus/alerts_test.yml")), -1) {
		if !exists[m[1]] {
			t.Errorf("there is no reason %s", m[1])
		}
	}
}

// promtool runs Prometheus' own checker in the directory of the rules.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command(require.Tool(t, "promtool"), args...)
	cmd.Dir = "prometheus"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPrometheusTakesConfigurationAndAlerts(t *testing.T) {
	promtool(t, "check", "config", "prometheus.yml")
	promtool(t, "check", "rules", "alerts.yml")
	promtool(t, "test", "rules", "alerts_test.yml")
}

// TestEveryAlertIsTestedBothWays: quiet on a healthy balancer, firing when something is wrong.
func TestEveryAlertIsTestedBothWays(t *testing.T) {
	tested := string(read(t, "prometheus/alerts_test.yml"))
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(read(t, alerts)), -1) {
		if !strings.Contains(tested, "alertname: "+m[1]+"}") {
			t.Errorf("%s is not tested to be quiet", m[1])
		}
		if !strings.Contains(tested, "alertname: "+m[1]+"\n        exp_alerts:") {
			t.Errorf("%s is not tested to fire", m[1])
		}
	}
}

// TestDashboardQueriesParse has Prometheus' own parser read every query, its variables filled in as Grafana does.
func TestDashboardQueriesParse(t *testing.T) {
	fill := strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*", "$proxy", ".*")
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for i, q := range dashboardQueries(t) {
		if strings.HasPrefix(q.expr, "label_values(") {
			continue
		}
		expr, err := json.Marshal(fill.Replace(q.expr))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&rules, "  - record: panel:query%d\n    expr: %s\n", i, expr)
	}
	file := filepath.Join(t.TempDir(), "queries.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}
