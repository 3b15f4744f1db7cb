package stats

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Metric declares one metric of the exporter, for its reference and for those who ask whether a dashboard or a
// rule speaks of something that exists.
type Metric struct {
	Name   string
	Kind   string // counter, gauge or histogram
	Labels []string
	Help   string
}

func (m *Metric) desc() *prometheus.Desc { return prometheus.NewDesc(m.Name, m.Help, m.Labels, nil) }

// Metrics lists all that the exporter may show but what the Go runtime and the process have of their own
// (`go_*`, `process_*`): HAProxy's names first, waggle's own behind. Which of them have a series now depends on
// the configuration and on what has been counted.
func Metrics() []Metric {
	t := newMetricTable()
	return slices.Concat(t.defined, t.own.defined)
}

// Uncounted lists the names of HAProxy's metrics that never have a series here.
func Uncounted() []string {
	var names []string
	columns := Columns()
	for _, scope := range []Scope{Frontends, Listeners, Backends, Servers} {
		for i := range columns {
			if c := &columns[i]; c.Metric != "" && c.Scopes&scope != 0 && !c.counted() {
				names = append(names, "haproxy_"+prefixes()[scope]+"_"+c.Metric)
			}
		}
	}
	return names
}

// kindByName goes by the naming rule that promlint checks: a counter's name ends in _total, and only a counter's.
func kindByName(name string) string {
	if strings.HasSuffix(name, "_total") {
		return "counter"
	}
	return "gauge"
}
