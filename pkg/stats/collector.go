package stats

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"waggle/pkg/unixaddr"
)

// metricTable holds a description of every metric that the tables of statistics declare.
type metricTable struct {
	columns []Column
	byScope map[Scope][]*prometheus.Desc // by position of the column; nil where there is no metric
	fields  []Field
	process []*prometheus.Desc
	dns     []*prometheus.Desc
	sticks  []*prometheus.Desc // of stick tables: size, used
	own     *ownMetrics
	defined []Metric // of HAProxy's names
}

// define notes a metric and returns its description. Columns that differ in a fixed label share one metric.
func (t *metricTable) define(m Metric) *prometheus.Desc {
	if !slices.ContainsFunc(t.defined, func(d Metric) bool { return d.Name == m.Name }) {
		t.defined = append(t.defined, m)
	}
	return m.desc()
}

// prefixes are the kinds of objects as the names of their metrics have them.
func prefixes() map[Scope]string {
	return map[Scope]string{Frontends: "frontend", Listeners: "listener", Backends: "backend", Servers: "server"}
}

func newMetricTable() *metricTable {
	t := &metricTable{columns: Columns(), byScope: map[Scope][]*prometheus.Desc{}, fields: processFields(), own: newOwnMetrics()}
	for _, scope := range []Scope{Frontends, Listeners, Backends, Servers} {
		prefix := prefixes()[scope]
		descs := make([]*prometheus.Desc, len(t.columns))
		for i := range t.columns {
			if c := &t.columns[i]; c.Metric != "" && c.Scopes&scope != 0 && c.counted() {
				descs[i] = t.define(Metric{Name: "haproxy_" + prefix + "_" + c.Metric, Kind: c.Tags.kind(), Labels: c.labels(scope), Help: c.Help})
			}
		}
		t.byScope[scope] = descs
	}
	for _, f := range t.fields {
		var d *prometheus.Desc
		if f.Metric != "" && f.Value != nil {
			var labels []string
			if f.Label != "" {
				labels = []string{f.Label}
			}
			d = t.define(Metric{Name: "haproxy_process_" + f.Metric, Kind: f.Tags.kind(), Labels: labels, Help: f.Help})
		}
		t.process = append(t.process, d)
	}
	for _, c := range (&Nameserver{}).Counts() {
		name := "haproxy_resolver_" + resolverMetric(c.Name)
		t.dns = append(t.dns, t.define(Metric{
			Name: name, Kind: "gauge", Labels: []string{"resolver", "nameserver"},
			Help: "Queries to a nameserver, by outcome: " + c.Name + ".",
		}))
	}
	for _, m := range []Metric{{Name: "haproxy_sticktable_size", Help: "Entries that a stick table has room for."}, {Name: "haproxy_sticktable_used", Help: "Entries of a stick table."}} {
		m.Kind, m.Labels = "gauge", []string{"name", "type"}
		t.sticks = append(t.sticks, t.define(m))
	}
	return t
}

// resolverMetric is the name of a nameserver's counter in Prometheus, where one differs from that of
// `show resolvers`.
func resolverMetric(name string) string {
	if name == "snd_error" {
		return "send_error"
	}
	return name
}

func (c *Column) counted() bool { return c.Value != nil || c.States != nil }

// labels names the labels of a column's series in their order.
func (c *Column) labels(scope Scope) []string {
	l := []string{"proxy"}
	switch scope {
	case Servers:
		l = append(l, "server")
	case Listeners:
		l = append(l, "listener")
	}
	switch {
	case c.States != nil:
		l = append(l, "state")
	case c.Label[0] != "":
		l = append(l, c.Label[0])
	}
	return l
}

func (t Tags) valueType() prometheus.ValueType {
	if t.counts() {
		return prometheus.CounterValue
	}
	return prometheus.GaugeValue
}

// kind is the valueType in Prometheus' word for it.
func (t Tags) kind() string {
	if t.counts() {
		return "counter"
	}
	return "gauge"
}

// series makes one sample. Names may hold bytes that are no UTF-8, which Prometheus does not take.
func series(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) prometheus.Metric {
	valid := make([]string, len(labels))
	for i, l := range labels {
		valid[i] = strings.ToValidUTF8(l, "\uFFFD")
	}
	m, err := prometheus.NewConstMetric(d, t, v, valid...)
	if err != nil {
		return prometheus.NewInvalidMetric(d, err)
	}
	return m
}

// collector turns one snapshot into series.
type collector struct {
	table    *metricTable
	snapshot *Snapshot
	query    metricQuery
}

// Describe implements prometheus.Collector. It describes nothing: which series there are depends on the
// snapshot.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	if c.query.global {
		c.process(out)
		c.table.own.collect(c.snapshot, out)
	}
	if c.query.scopes != 0 {
		rows := Rows(c.snapshot, Filter{NoMaint: c.query.noMaint, Scopes: c.query.scopes})
		for i := range rows {
			c.row(&rows[i], out)
		}
	}
	if c.query.resolvers {
		c.resolvers(out)
	}
	if c.query.tables {
		for _, s := range c.snapshot.Tables {
			out <- series(c.table.sticks[0], prometheus.GaugeValue, float64(s.Size), s.Name, s.Type)
			out <- series(c.table.sticks[1], prometheus.GaugeValue, float64(s.Used), s.Name, s.Type)
		}
	}
}

func (c *collector) process(out chan<- prometheus.Metric) {
	counts := newProcessCounts(c.snapshot)
	for i := range c.table.fields {
		f, desc := &c.table.fields[i], c.table.process[i]
		if desc == nil {
			continue
		}
		v := f.Value(&c.snapshot.Process, counts)
		switch {
		case v.Empty():
		case f.Label != "":
			out <- series(desc, prometheus.GaugeValue, 1, v.String())
		default:
			out <- series(desc, f.Tags.valueType(), v.Float())
		}
	}
}

func (c *collector) row(r *Row, out chan<- prometheus.Metric) {
	labels := []string{r.ProxyName()}
	switch r.Scope {
	case Servers:
		labels = append(labels, r.Name())
	case Listeners:
		labels = append(labels, listenerLabel(r))
	}
	labels = labels[:len(labels):len(labels)] // each series appends to a copy
	descs := c.table.byScope[r.Scope]
	for i := range c.table.columns {
		col, desc := &c.table.columns[i], descs[i]
		switch {
		case desc == nil:
		case col.States != nil:
			for _, s := range col.States(r) {
				out <- series(desc, prometheus.GaugeValue, float64(s.Count), append(labels, s.Name)...)
			}
		default:
			v := col.Cell(r)
			if v.Empty() {
				continue
			}
			all := labels
			if col.Label[0] != "" {
				all = append(all, col.Label[1])
			}
			out <- series(desc, col.Tags.valueType(), v.Float(), all...)
		}
	}
}

// listenerLabel is a listener's name. Those of a range of ports, or of several addresses on a line, share one, and Prometheus takes no
// series twice: their addresses tell them apart.
func listenerLabel(r *Row) string {
	for _, other := range r.Frontend.Listeners {
		if other != r.Listener && other.Name == r.Listener.Name {
			return r.Listener.Name + "@" + unixaddr.String(r.Listener.Addr)
		}
	}
	return r.Listener.Name
}

func (c *collector) resolvers(out chan<- prometheus.Metric) {
	for _, r := range c.snapshot.Resolvers {
		for i := range r.Nameservers {
			for j, n := range r.Nameservers[i].Counts() {
				out <- series(c.table.dns[j], prometheus.GaugeValue, float64(n.Value), r.Name, r.Nameservers[i].Name)
			}
		}
	}
}
