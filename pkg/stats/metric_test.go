package stats

import (
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

// TestMetricsAreDeclaredAsTheyAreShown compares the list of metrics with a scrape, both ways: whatever a scrape
// shows is declared with that type and those labels, and each declared family of a scope has a help text.
func TestMetricsAreDeclaredAsTheyAreShown(t *testing.T) {
	declared := map[string]Metric{}
	for _, m := range Metrics() {
		if _, twice := declared[m.Name]; twice {
			t.Errorf("%s is declared twice", m.Name)
		}
		declared[m.Name] = m
	}
	kinds := map[dto.MetricType]string{dto.MetricType_COUNTER: "counter", dto.MetricType_GAUGE: "gauge", dto.MetricType_HISTOGRAM: "histogram"}
	seen := 0
	for name, family := range scrape(t, swarm(), "/metrics") {
		if !strings.HasPrefix(name, "haproxy_") && !strings.HasPrefix(name, "waggle_") {
			continue
		}
		seen++
		m, ok := declared[name]
		if !ok {
			t.Errorf("%s is shown and not declared", name)
			continue
		}
		if got := kinds[family.GetType()]; got != m.Kind {
			t.Errorf("%s is shown as a %s, declared as a %s", name, got, m.Kind)
		}
		var labels []string
		for _, l := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		want := slices.Sorted(slices.Values(m.Labels))
		if slices.Sort(labels); !slices.Equal(labels, want) {
			t.Errorf("%s is shown with labels %v, declared with %v", name, labels, want)
		}
	}
	if seen < 100 {
		t.Errorf("only %d metrics were compared", seen)
	}
}
