package stats

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// Exporter answers requests for metrics in Prometheus' formats, for `http-request use-service
// prometheus-exporter`. It is safe for concurrent use.
type Exporter struct {
	src     Source
	table   *metricTable
	runtime *prometheus.Registry // of the Go runtime and the process
}

// NewExporter returns an exporter of src.
func NewExporter(src Source) *Exporter {
	e := &Exporter{src: src, table: newMetricTable(), runtime: prometheus.NewRegistry()}
	e.runtime.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return e
}

// Serve answers a request for the metrics. The query may hold, as in HAProxy's exporter (its README):
// `scope=` global, frontend, backend, server, listener, sticktable, resolver or `*`, repeatable, an
// empty one resets; `metrics=`, repeatable, a list of names with commas between, where a minus sign before
// a name leaves it out and any name without one leaves out all that is not named; and `no-maint`, which
// leaves servers in maintenance out. What is waggle's own, and of the Go runtime, belongs to the scope global.
//
// A statistic without a value has no series; HAProxy's exporter shows NaN, which spoils sums. The form
// is always the text format 0.0.4, as HAProxy's: OpenMetrics would rename counters.
func (e *Exporter) Serve(req Request) Response {
	if !readable(req.Method) {
		return methodNotAllowed("GET, HEAD")
	}
	q, ok := parseMetricQuery(req.URI)
	if !ok {
		return reply(http.StatusBadRequest, "text/html", []byte("<html><body><h1>400 Bad request</h1>\n"+
			"Your browser sent an invalid request.\n</body></html>\n"))
	}
	families, err := e.gather(q)
	if err != nil && len(families) == 0 {
		return reply(http.StatusInternalServerError, plainText, []byte("gather metrics: "+err.Error()+"\n"))
	}
	format := expfmt.NewFormat(expfmt.TypeTextPlain)
	var b bytes.Buffer
	enc := expfmt.NewEncoder(&b, format)
	for _, f := range families {
		if err := enc.Encode(f); err != nil {
			return reply(http.StatusInternalServerError, plainText, []byte("encode metrics: "+err.Error()+"\n"))
		}
	}
	if err != nil { // of single series: the others are told all the same
		b.WriteString("# " + oneLine(err.Error()) + "\n")
	}
	return reply(http.StatusOK, string(format), b.Bytes())
}

// gather collects a snapshot's series. They live as long as this answer: the series of a server that is
// no more are not there the next time.
func (e *Exporter) gather(q metricQuery) ([]*dto.MetricFamily, error) {
	reg := prometheus.NewRegistry()
	if err := reg.Register(&collector{table: e.table, snapshot: e.src.Snapshot(), query: q}); err != nil {
		return nil, err
	}
	from := prometheus.Gatherers{reg}
	if q.global {
		from = append(from, e.runtime)
	}
	families, err := from.Gather()
	return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return !q.names.shows(f.GetName()) }), err
}

// metricQuery says which series are asked for.
type metricQuery struct {
	global, resolvers, tables bool
	scopes                    Scope
	noMaint                   bool
	names                     nameFilter
}

// nameFilter says which metrics are asked for by name.
type nameFilter struct{ only, without []string }

func (f *nameFilter) add(list string) {
	for _, name := range strings.Split(list, ",") {
		switch unwanted, minus := strings.CutPrefix(name, "-"); {
		case minus:
			f.without = append(f.without, unwanted)
		case name != "":
			f.only = append(f.only, name)
		}
	}
}

func (f *nameFilter) shows(name string) bool {
	return !slices.Contains(f.without, name) && (len(f.only) == 0 || slices.Contains(f.only, name))
}

// parseMetricQuery reads the query of a request target; it is false for one that HAProxy refuses.
func parseMetricQuery(uri string) (metricQuery, bool) {
	all := metricQuery{global: true, resolvers: true, tables: true, scopes: everything}
	q := all
	chosen := false
	_, query, _ := strings.Cut(uri, "?")
	for _, pair := range strings.Split(query, "&") {
		name, value, hasValue := strings.Cut(pair, "=")
		switch name {
		case "no-maint":
			q.noMaint = true
			continue
		case "metrics":
			list, err := url.QueryUnescape(value)
			if err != nil {
				return q, false
			}
			q.names.add(list)
			continue
		case "scope":
		default:
			continue
		}
		value, err := url.QueryUnescape(value)
		if err != nil || !hasValue {
			return q, false
		}
		if !chosen || value == "" {
			q = metricQuery{noMaint: q.noMaint, names: q.names}
			chosen = true
		}
		switch value {
		case "":
		case "sticktable":
			q.tables = true
		case "global":
			q.global = true
		case "frontend":
			q.scopes |= Frontends
		case "listener":
			q.scopes |= Listeners
		case "backend":
			q.scopes |= Backends
		case "server":
			q.scopes |= Servers
		case "resolver":
			q.resolvers = true
		case "*":
			q = metricQuery{global: true, resolvers: true, tables: true, scopes: everything, noMaint: q.noMaint, names: q.names}
		default:
			return q, false
		}
	}
	return q, true
}
