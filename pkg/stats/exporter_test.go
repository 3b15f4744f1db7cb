package stats

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"waggle/pkg/pool"
)

// scrape asks for metrics and parses the answer.
func scrape(t *testing.T, s *Snapshot, uri string) map[string]*dto.MetricFamily {
	t.Helper()
	r := NewExporter(fixed{s}).Serve(Request{Method: "GET", URI: uri})
	if r.Status != 200 {
		t.Fatalf("status %d: %s", r.Status, r.Body)
	}
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(strings.NewReader(string(r.Body)))
	if err != nil {
		t.Fatalf("the text does not parse: %v", err)
	}
	return families
}

// value returns one sample; labels are "name=value".
func value(families map[string]*dto.MetricFamily, name string, labels ...string) (float64, bool) {
	for _, m := range families[name].GetMetric() {
		var got []string
		for _, l := range m.GetLabel() {
			got = append(got, l.GetName()+"="+l.GetValue())
		}
		slices.Sort(labels)
		if slices.Equal(got, labels) {
			if c := m.GetCounter(); c != nil {
				return c.GetValue(), true
			}
			return m.GetGauge().GetValue(), true
		}
	}
	return 0, false
}

func TestMetricValues(t *testing.T) {
	families := scrape(t, swarm(), "/metrics")
	tests := []struct {
		name   string
		labels string
		want   float64
	}{
		{"haproxy_process_current_connections", "", 0},
		{"haproxy_process_connections_total", "", 40},
		{"haproxy_process_max_connections", "", 256},
		{"haproxy_process_build_info", "version=3.2-waggle-0.1.0", 1},
		{"haproxy_process_node", "node=edge-1", 1},
		{"haproxy_frontend_status", "proxy=haproxyPractice state=UP", 1},
		{"haproxy_frontend_status", "proxy=haproxyPractice state=DOWN", 0},
		{"haproxy_frontend_http_responses_total", "proxy=haproxyPractice code=2xx", 1200000},
		{"haproxy_frontend_http_responses_total", "proxy=haproxyPractice code=other", 67},
		{"haproxy_frontend_bytes_out_total", "proxy=haproxyPractice", 7<<30 + 2000},
		{"haproxy_frontend_failed_header_rewriting_total", "proxy=haproxyPractice", 6},
		{"haproxy_frontend_limit_session_rate", "proxy=haproxyPractice", 0},
		{"haproxy_frontend_http_comp_bytes_in_total", "proxy=haproxyPractice", 0},
		{"haproxy_backend_http_cache_hits_total", "proxy=web_service", 0},
		{"haproxy_process_idle_time_percent", "", 70},
		{"haproxy_process_spliced_bytes_out_total", "", 4096},
		{"haproxy_process_bytes_out_rate", "", 1000},
		{"haproxy_process_ssl_cache_lookups_total", "", 0},
		{"haproxy_sticktable_size", "name=haproxyPractice type=ip", 10240},
		{"haproxy_sticktable_used", "name=haproxyPractice type=ip", 3},
		{"haproxy_backend_status", "proxy=web_service state=UP", 1},
		{"haproxy_backend_active_servers", "proxy=web_service", 2},
		{"haproxy_backend_agg_server_status", "proxy=web_service state=MAINT", 1},
		{"haproxy_backend_agg_server_status", "proxy=db state=UP", 2},
		{"haproxy_backend_agg_check_status", "proxy=db state=L4CON", 1},
		{"haproxy_backend_agg_check_status", "proxy=db state=L7OK", 0},
		{"haproxy_backend_total_time_average_seconds", "proxy=web_service", 0.0125},
		{"haproxy_server_status", "proxy=web_service server=web-3 state=MAINT", 1},
		{"haproxy_server_status", "proxy=db server=drained state=DRAIN", 1},
		{"haproxy_server_check_status", "proxy=db server=broken state=L4CON", 1},
		{"haproxy_server_check_duration_seconds", "proxy=web_service server=web-1", 0.0015},
		{"haproxy_server_response_time_average_seconds", "proxy=web_service server=web-1", 0.0023},
		{"haproxy_server_limit_sessions", "proxy=db server=broken", 50},
		{"haproxy_resolver_nx", "resolver=docker nameserver=dns1", 2},
		{"haproxy_resolver_send_error", "resolver=docker nameserver=dns1", 0},
		{"waggle_build_info", "version=0.1.0 revision=99932c2 goversion=go1.26.0", 1},
		{"waggle_datapath_mode", "mode=tc", 1},
		{"waggle_datapath_mode", "mode=off", 0},
		{"waggle_datapath_degradations", "", 0},
		{"waggle_datapath_interface_info", "interface=eth1 attach=tcx without_xdp=--datapath=tc", 1},
		{"waggle_datapath_verdicts_total", "reason=no_server", 12},
		{"waggle_datapath_reason_info", "reason=no_server normal=yes", 1},
		{"waggle_datapath_reason_info", "reason=port_exhausted normal=no", 1},
		{"waggle_datapath_runs_total", "", 2000},
		{"waggle_datapath_run_seconds_total", "", 0.003},
		{"waggle_datapath_map_entries", "map=wg_flows", 10},
		{"waggle_datapath_map_max_entries", "map=wg_flows", 262144},
		{"waggle_frontend_path", "proxy=db path=kernel", 1},
		{"waggle_frontend_path", "proxy=db path=userspace", 0},
		{"waggle_frontend_current_sessions", "proxy=db path=kernel", 4},
		{"waggle_frontend_sessions_total", "proxy=db path=kernel", 1200},
		{"waggle_frontend_sessions_total", "proxy=db path=userspace", 34},
		{"waggle_resolver_surplus_tasks", "proxy=web_service name=web", 0},
		{"waggle_resolver_slots", "proxy=web_service name=web", 3},
		{"waggle_config_last_reload_successful", "", 1},
		{"haproxy_process_current_ssl_connections", "", 1},
		{"haproxy_process_ssl_connections_total", "", 4},
		{"haproxy_process_current_ssl_rate", "", 3},
		{"haproxy_process_frontend_ssl_reuse", "", 67},
		{"haproxy_process_current_frontend_ssl_key_rate", "", 1},
		{"waggle_frontend_tls_handshakes_total", "proxy=haproxyPractice result=resumed", 2},
		{"waggle_frontend_tls_handshakes_total", "proxy=haproxyPractice result=full", 1},
		{"waggle_backend_tls_handshakes_total", "proxy=web_service result=failed", 1},
		{"waggle_certificate_reloads_total", "result=loaded", 3},
		{"waggle_certificate_reloads_total", "result=failed", 1},
		{"waggle_open_failures_total", "operation=accept", 5},
		{"waggle_open_failures_total", "operation=connect", 2},
		{"waggle_certificate_expiry_timestamp_seconds", "proxy=haproxyPractice bind=0.0.0.0:443", 1900000000},
		{"waggle_certificates", "proxy=haproxyPractice bind=0.0.0.0:443", 2},
	}
	for _, tt := range tests {
		got, ok := value(families, tt.name, strings.Fields(tt.labels)...)
		if !ok || got != tt.want {
			t.Errorf("%s{%s} = %v (there: %v), want %v", tt.name, tt.labels, got, ok, tt.want)
		}
	}
	for _, name := range []string{"go_goroutines", "process_cpu_seconds_total"} {
		if families[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
}

// TestNoSeriesWithoutValue: what does not apply is not there, rather than 0 or NaN.
func TestNoSeriesWithoutValue(t *testing.T) {
	families := scrape(t, swarm(), "/metrics")
	for name, labels := range map[string]string{
		"haproxy_server_limit_sessions":         "proxy=db server=plain", // no maxconn
		"haproxy_server_check_failures_total":   "proxy=db server=plain", // no check
		"haproxy_server_check_duration_seconds": "proxy=db server=plain", // no check
		"haproxy_frontend_http_requests_total":  "proxy=db",              // mode tcp
		"haproxy_server_http_responses_total":   "proxy=db server=plain code=2xx",
		"haproxy_backend_agg_server_status":     "proxy=stat state=UP", // no servers
	} {
		if got, ok := value(families, name, strings.Fields(labels)...); ok {
			t.Errorf("%s{%s} = %v", name, labels, got)
		}
	}
}

// TestMetricTypes: counters are counters, and every metric is one that HAProxy has for the kind, ours,
// or of the Go runtime.
func TestMetricTypes(t *testing.T) {
	allowed := map[string]bool{}
	for _, k := range knownColumns(t) {
		for i, prefix := range []string{"listener", "frontend", "backend", "server"} {
			if k.metric != "-" && k.kinds != "-" && k.kinds[i] != '_' {
				allowed["haproxy_"+prefix+"_"+k.metric] = true
			}
		}
	}
	for name, f := range scrape(t, swarm(), "/metrics") {
		switch {
		case strings.HasPrefix(name, "go_"), strings.HasPrefix(name, "process_"):
			continue
		case strings.HasPrefix(name, "waggle_"), strings.HasPrefix(name, "haproxy_process_"), strings.HasPrefix(name, "haproxy_resolver_"), strings.HasPrefix(name, "haproxy_sticktable_"):
		case !allowed[name]:
			t.Errorf("HAProxy has no %s", name)
		}
		if f.GetHelp() == "" {
			t.Errorf("%s has no help", name)
		}
		// HAProxy declares the totals of the process as gauges where it takes them so.
		if isCounter := f.GetType() == dto.MetricType_COUNTER; isCounter != strings.HasSuffix(name, "_total") && !strings.HasPrefix(name, "haproxy_process_") {
			t.Errorf("%s is a %s", name, f.GetType())
		}
	}
}

// TestOurMetricsAreClean lints what is ours; HAProxy's names are as they are.
func TestOurMetricsAreClean(t *testing.T) {
	var ours []*dto.MetricFamily
	for name, f := range scrape(t, swarm(), "/metrics?scope=global") {
		if strings.HasPrefix(name, "waggle_") {
			ours = append(ours, f)
		}
	}
	if len(ours) < 10 {
		t.Fatalf("only %d of our metrics are there", len(ours))
	}
	problems, err := promlint.NewWithMetricFamilies(ours).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestMetricQuery(t *testing.T) {
	tests := []struct {
		uri       string
		has, lack []string
	}{
		{"/metrics?scope=server", []string{"haproxy_server_weight"}, []string{"haproxy_sticktable_size", "haproxy_frontend_status", "haproxy_backend_status", "waggle_build_info", "go_goroutines", "haproxy_resolver_nx"}},
		{"/metrics?scope=frontend&scope=backend", []string{"haproxy_frontend_status", "haproxy_backend_status"}, []string{"haproxy_server_status"}},
		{"/metrics?scope=global", []string{"haproxy_process_nbproc", "waggle_build_info", "go_goroutines"}, []string{"haproxy_frontend_status"}},
		{"/metrics?scope=server&scope=&scope=resolver", []string{"haproxy_resolver_nx"}, []string{"haproxy_server_status"}},
		{"/metrics?scope=server&scope=*", []string{"haproxy_server_status", "haproxy_frontend_status", "haproxy_resolver_nx", "haproxy_sticktable_used"}, nil},
		{"/metrics?scope=sticktable", []string{"haproxy_sticktable_size"}, []string{"haproxy_server_status", "haproxy_process_nbproc"}},
		{"/metrics?scope=%66rontend", []string{"haproxy_frontend_status"}, []string{"haproxy_server_status"}},
	}
	for _, tt := range tests {
		families := scrape(t, swarm(), tt.uri)
		for _, name := range tt.has {
			if families[name] == nil {
				t.Errorf("%s: %s is missing", tt.uri, name)
			}
		}
		for _, name := range tt.lack {
			if families[name] != nil {
				t.Errorf("%s: %s is there", tt.uri, name)
			}
		}
	}
	families := scrape(t, swarm(), "/metrics?no-maint")
	if _, ok := value(families, "haproxy_server_weight", "proxy=web_service", "server=web-3"); ok {
		t.Error("no-maint shows a server in maintenance")
	}
	if _, ok := value(families, "haproxy_server_weight", "proxy=web_service", "server=web-1"); !ok {
		t.Error("no-maint hides a server that is up")
	}
	for _, uri := range []string{"/metrics?scope", "/metrics?scope=moon", "/metrics?scope=%zz"} {
		if r := NewExporter(fixed{swarm()}).Serve(Request{Method: "GET", URI: uri}); r.Status != 400 {
			t.Errorf("%s: status %d, want 400", uri, r.Status)
		}
	}
}

func TestMetricForms(t *testing.T) {
	e := NewExporter(fixed{swarm()})
	r := e.Serve(Request{Method: "GET", URI: "/metrics"})
	if got := r.Get("content-type"); got != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("content-type %q", got)
	}
	if r := e.Serve(Request{Method: "POST", URI: "/metrics"}); r.Status != 405 {
		t.Errorf("POST: status %d", r.Status)
	}
}

// TestVanishedServersVanish: an exporter keeps nothing from one snapshot to the next.
func TestVanishedServersVanish(t *testing.T) {
	src := &changing{s: swarm()}
	e := NewExporter(src)
	if !strings.Contains(string(e.Serve(Request{Method: "GET", URI: "/"}).Body), `server="broken"`) {
		t.Fatal("the server is not there at first")
	}
	src.s.Proxies, src.s.Datapath.SourcePorts = src.s.Proxies[:3], nil
	if strings.Contains(string(e.Serve(Request{Method: "GET", URI: "/"}).Body), `proxy="db"`) {
		t.Error("the proxy is still there")
	}
}

type changing struct{ s *Snapshot }

func (c *changing) Snapshot() *Snapshot { return c.s }

// TestHostileNames: names that Prometheus would refuse, and names that are there twice, do not take the
// answer away.
func TestHostileNames(t *testing.T) {
	s := swarm()
	s.Process.Description = "caf\xe9 \"quoted\"\n"
	s.Process.Node = "\xff"
	b := s.Proxies[1].Backend
	b.AddGroup("web", b.Servers()[:1]).Resolve(pool.Resolution{By: "x", Records: []pool.Record{
		{Addr: netip.MustParseAddr("10.0.1.5")}, {Addr: netip.MustParseAddr("10.0.1.7")}}})
	families := scrape(t, s, "/metrics")
	if got, ok := value(families, "waggle_resolver_surplus_tasks", "proxy=web_service", "name=web"); !ok || got != 1 {
		t.Errorf("surplus %v, %v", got, ok)
	}
	if got, ok := value(families, "waggle_resolver_slots", "proxy=web_service", "name=web"); !ok || got != 4 {
		t.Errorf("slots %v, %v", got, ok)
	}
	if _, ok := value(families, "haproxy_process_node", "node=\uFFFD"); !ok {
		t.Error("the node is missing")
	}
}

// TestSameNames: several addresses of one name, and binds of one address, have a series each, or one for all; what is there twice
// nevertheless takes nothing else away.
func TestSameNames(t *testing.T) {
	s := withListeners()
	s.Proxies[0].Frontend.AddListener("inner", netip.MustParseAddrPort("10.0.0.1:82"), 7)
	first := s.Certificates[0]
	s.Certificates = append(s.Certificates, Certificates{Proxy: first.Proxy, Bind: first.Bind, Count: 5, Expires: first.Expires.Add(-time.Hour)})
	families := scrape(t, s, "/metrics")
	for labels, want := range map[[2]string]float64{
		{"proxy=haproxyPractice", "listener=sock-1"}:            0,
		{"proxy=haproxyPractice", "listener=inner@10.0.0.1:81"}: 2,
		{"proxy=haproxyPractice", "listener=inner@10.0.0.1:82"}: 7,
	} {
		if got, ok := value(families, "haproxy_listener_limit_sessions", labels[:]...); !ok || got != want {
			t.Errorf("%v: %v, %v", labels, got, ok)
		}
	}
	if got, ok := value(families, "waggle_certificates", "proxy="+first.Proxy, "bind="+first.Bind); !ok || got != float64(first.Count+5) {
		t.Errorf("certificates %v, %v", got, ok)
	}
	if got, ok := value(families, "waggle_certificate_expiry_timestamp_seconds", "proxy="+first.Proxy, "bind="+first.Bind); !ok || got != float64(first.Expires.Add(-time.Hour).Unix()) {
		t.Errorf("they expire at %v, %v", got, ok)
	}

	s.Datapath.Maps = append(s.Datapath.Maps, s.Datapath.Maps[0])
	r := NewExporter(fixed{s}).Serve(Request{Method: "GET", URI: "/metrics"})
	if r.Status != 200 || !strings.Contains(string(r.Body), "haproxy_frontend_status{") || !strings.Contains(string(r.Body), "collected before") {
		t.Errorf("status %d, %.300s", r.Status, r.Body)
	}
}

func BenchmarkScrape(b *testing.B) {
	e := NewExporter(fixed{crowd(40)})
	var n int
	for b.Loop() {
		n = len(e.Serve(Request{Method: "GET", URI: "/metrics"}).Body)
	}
	b.ReportMetric(float64(n), "bytes")
}

func TestMetricsByName(t *testing.T) {
	const status = "haproxy_frontend_status"
	everything := len(scrape(t, swarm(), "/metrics"))
	for _, test := range []struct {
		query string
		want  int
		shown bool
	}{
		{"?metrics=haproxy_frontend_status,haproxy_server_status", 2, true},
		{"?metrics=haproxy_frontend_status&metrics=haproxy_server_status&no-maint", 2, true},
		{"?metrics=haproxy_frontend_status%2Chaproxy_server_status", 2, true},
		{"?metrics=haproxy_frontend_status,-haproxy_frontend_status", 0, false},
		{"?metrics=-haproxy_frontend_status", everything - 1, false},
		{"?metrics=haproxy_frontend_status,haproxy_server_status&scope=&scope=server", 1, false},
		{"?metrics=,", everything, true},
		{"?metrics=no_such_metric", 0, false},
	} {
		families := scrape(t, swarm(), "/metrics"+test.query)
		if len(families) != test.want || (families[status] != nil) != test.shown {
			t.Errorf("%s: %d families, want %d; %s shown: %v, want %v", test.query, len(families), test.want, status, families[status] != nil, test.shown)
		}
	}
}
