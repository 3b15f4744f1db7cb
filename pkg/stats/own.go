package stats

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"waggle/pkg/pool"
)

// ownMetrics are the metrics that HAProxy has no names for.
type ownMetrics struct {
	buildInfo, mode, interfaces, degraded, verdicts, reasons, mapEntries, mapMax, runs, runTime *prometheus.Desc
	portsUsed, ports                                                                            *prometheus.Desc
	path, sessions, sessionsTotal, surplus, slots, configLoaded, configLoadedAt                 *prometheus.Desc
	shortages                                                                                   *prometheus.Desc
	tlsFront, tlsBack, certsReloaded, certsExpire, certsCount                                   *prometheus.Desc
	resolverEvents                                                                              *prometheus.Desc
	connect, response, total                                                                    *prometheus.Desc
	defined                                                                                     []Metric
}

func newOwnMetrics() *ownMetrics {
	var defined []Metric
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		d := Metric{Name: "waggle_" + name, Kind: kindByName(name), Labels: labels, Help: help}
		defined = append(defined, d)
		return d.desc()
	}
	m := &ownMetrics{
		buildInfo:      desc("build_info", "What is running; always 1.", "version", "revision", "goversion"),
		mode:           desc("datapath_mode", "1 for the mode that the kernel path is in, 0 for the others.", "mode"),
		interfaces:     desc("datapath_interface_info", "An interface that the kernel path is attached to, how, and why not by XDP (empty: it is); always 1.", "interface", "attach", "without_xdp"),
		degraded:       desc("datapath_degradations", "Things about the kernel path that do not work as they should; the log and the statistics page name them."),
		verdicts:       desc("datapath_verdicts_total", "Packets that the kernel path left to the network stack, or dropped, by reason; the statistics page says what each reason means.", "reason"),
		reasons:        desc("datapath_reason_info", "Whether packets counted under a reason are normal (yes) or worth a look (no); always 1.", "reason", "normal"),
		mapEntries:     desc("datapath_map_entries", "Entries in a map of the kernel path.", "map"),
		mapMax:         desc("datapath_map_max_entries", "Entries that a map of the kernel path has room for.", "map"),
		portsUsed:      desc("datapath_source_ports_used", "Source ports in use towards a server, those included that connections hold for up to a minute after their end.", "proxy", "server"),
		ports:          desc("datapath_source_ports", "Source ports that the kernel path has towards a server, over all its source addresses.", "proxy", "server"),
		runs:           desc("datapath_runs_total", "Packets that the kernel path has looked at while it was measured (--bpf-stats)."),
		runTime:        desc("datapath_run_seconds_total", "Time that the kernel path has taken for them."),
		path:           desc("frontend_path", "1 for the path that takes a frontend's connections, 0 for the other.", "proxy", "path"),
		sessions:       desc("frontend_current_sessions", "Sessions now, by the path that carries them.", "proxy", "path"),
		sessionsTotal:  desc("frontend_sessions_total", "Sessions since the start, by the path that carried them.", "proxy", "path"),
		surplus:        desc("resolver_surplus_tasks", "Addresses in DNS that found no slot and get no traffic.", "proxy", "name"),
		slots:          desc("resolver_slots", "Slots for the addresses of a name.", "proxy", "name"),
		resolverEvents: desc("resolver_events_total", "What discovery did beyond HAProxy: query cycles, leaving and refused addresses, servers kept by their checks.", "resolver", "event"),
		configLoaded:   desc("config_last_reload_successful", "1 if the last attempt to load a configuration succeeded, otherwise 0."),
		configLoadedAt: desc("config_last_reload_timestamp_seconds", "Time of the last attempt to load a configuration."),
		shortages:      desc("open_failures_total", "Times that a connection could not be opened for want of descriptors, memory or source ports: of clients, which wait (accept), or to servers (connect).", "operation"),
		tlsFront:       desc("frontend_tls_handshakes_total", "TLS handshakes of clients, by how they ended: full, resumed (they went on with an earlier session) or failed.", "proxy", "result"),
		tlsBack:        desc("backend_tls_handshakes_total", "TLS handshakes with servers, by how they ended; failed counts those that could not connect, too.", "proxy", "result"),
		certsReloaded:  desc("certificate_reloads_total", "Times that certificates had changed on disk, by whether they could be loaded (loaded, failed); after a failure the old ones stay in use.", "result"),
		certsExpire:    desc("certificate_expiry_timestamp_seconds", "When the first of a bind line's certificates ends to be valid.", "proxy", "bind"),
		certsCount:     desc("certificates", "Certificates of a bind line.", "proxy", "bind"),
	}
	histogram := func(name, help string) *prometheus.Desc {
		d := Metric{Name: "waggle_" + name, Kind: "histogram", Labels: []string{"proxy"}, Help: help + ", on the userspace path."}
		defined = append(defined, d)
		return d.desc()
	}
	m.connect = histogram("backend_connect_seconds", "Time to connect to a server of the backend, of new connections")
	m.response = histogram("backend_response_seconds", "Time from a request to its response's head")
	m.total = histogram("backend_total_seconds", "Time of a whole request, or TCP session")
	m.defined = defined
	return m
}

// feed takes the series of one scrape.
type feed chan<- prometheus.Metric

func (f feed) gauge(d *prometheus.Desc, v float64, labels ...string) {
	f <- series(d, prometheus.GaugeValue, v, labels...)
}

func (f feed) counter(d *prometheus.Desc, v uint64, labels ...string) {
	f <- series(d, prometheus.CounterValue, float64(v), labels...)
}

func (m *ownMetrics) collect(s *Snapshot, out feed) {
	m.collectProcess(s, out)
	m.collectDatapath(&s.Datapath, out)
	for i := range s.Proxies {
		if be := s.Proxies[i].Backend; be != nil {
			m.handshakes(m.tlsBack, be.TLS.Sum(), be.Name, out)
			out <- spread(m.connect, be.Latency.Connect(), be.Name)
			out <- spread(m.response, be.Latency.Response(), be.Name)
			out <- spread(m.total, be.Latency.Total(), be.Name)
		}
		if fe := s.Proxies[i].Frontend; fe != nil {
			m.handshakes(m.tlsFront, fe.TLS.Sum(), fe.Name, out)
			m.collectPaths(fe, out)
		}
	}
	for _, r := range s.Resolvers {
		for _, e := range r.Events {
			out.counter(m.resolverEvents, e.Value, r.Name, e.Name)
		}
	}
	for _, sp := range mergeSurpluses(s.surpluses()) {
		out.gauge(m.surplus, float64(len(sp.Tasks)), sp.Proxy, sp.Name)
		out.gauge(m.slots, float64(sp.Slots), sp.Proxy, sp.Name)
	}
}

func (m *ownMetrics) collectProcess(s *Snapshot, out feed) {
	p := &s.Process
	out.gauge(m.buildInfo, 1, p.Version, p.Revision, p.GoVersion)
	if !p.Config.LoadedAt.IsZero() {
		out.gauge(m.configLoaded, float64(oneIf(!p.Config.Failed)))
		out.gauge(m.configLoadedAt, float64(p.Config.LoadedAt.UnixMilli())/1000)
	}
	out.counter(m.shortages, p.Shortages.Accepts, "accept")
	out.counter(m.shortages, p.Shortages.Connects, "connect")
	out.counter(m.certsReloaded, p.Certificates.Loaded, "loaded")
	out.counter(m.certsReloaded, p.Certificates.Failed, "failed")
	for _, c := range mergeCertificates(s.Certificates) {
		out.gauge(m.certsExpire, float64(c.Expires.Unix()), c.Proxy, c.Bind)
		out.gauge(m.certsCount, float64(c.Count), c.Proxy, c.Bind)
	}
}

func (m *ownMetrics) collectDatapath(d *Datapath, out feed) {
	for _, mode := range datapathModes(d.Mode) {
		out.gauge(m.mode, float64(oneIf(mode == d.Mode)), mode)
	}
	out.gauge(m.degraded, float64(len(d.Degraded)))
	for _, i := range d.Interfaces {
		out.gauge(m.interfaces, 1, i.Name, i.Attach, i.WithoutXDP)
	}
	for _, r := range d.Reasons {
		out.counter(m.verdicts, r.Count, r.Name)
		out.gauge(m.reasons, 1, r.Name, yesNo(r.Expected))
	}
	if d.Runs > 0 {
		out.counter(m.runs, d.Runs)
		out <- series(m.runTime, prometheus.CounterValue, d.RunTime.Seconds())
	}
	for _, u := range d.SourcePorts {
		out.gauge(m.portsUsed, float64(u.Used), u.Proxy, u.Server)
		out.gauge(m.ports, float64(u.Max), u.Proxy, u.Server)
	}
	for _, u := range d.Maps {
		out.gauge(m.mapEntries, float64(u.Entries), u.Name)
		out.gauge(m.mapMax, float64(u.Max), u.Name)
	}
}

// handshakes says nothing of a proxy that speaks clear text, as most do.
func (m *ownMetrics) handshakes(d *prometheus.Desc, t pool.TLSTotals, proxy string, out feed) {
	if t.All() > 0 {
		out.counter(d, t.Full, proxy, "full")
		out.counter(d, t.Resumed, proxy, "resumed")
		out.counter(d, t.Failed, proxy, "failed")
	}
}

func (m *ownMetrics) collectPaths(fe *pool.Frontend, out feed) {
	kernel := fe.Path().Kernel
	out.gauge(m.path, float64(oneIf(kernel)), fe.Name, "kernel")
	out.gauge(m.path, float64(oneIf(!kernel)), fe.Name, "userspace")
	out.gauge(m.sessions, float64(fe.Sessions.Kernel()), fe.Name, "kernel")
	out.gauge(m.sessions, float64(fe.Sessions.User()), fe.Name, "userspace")
	kernelTotal, userTotal := sessionsByPath(&fe.Counters)
	out.counter(m.sessionsTotal, kernelTotal, fe.Name, "kernel")
	out.counter(m.sessionsTotal, userTotal, fe.Name, "userspace")
}

// spread makes a histogram.
func spread(d *prometheus.Desc, s pool.Spread, proxy string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(s.Buckets))
	for i, bound := range pool.LatencyBounds() {
		buckets[bound.Seconds()] = s.Buckets[i]
	}
	m, err := prometheus.NewConstHistogram(d, s.Count, s.Sum.Seconds(), buckets, strings.ToValidUTF8(proxy, "\uFFFD"))
	if err != nil {
		return prometheus.NewInvalidMetric(d, err)
	}
	return m
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// datapathModes lists the modes of the kernel path, and the present one if it is none of them.
func datapathModes(present string) []string {
	modes := []string{"off", "tc", "xdp", "xdp-generic"}
	if present != "" && !slices.Contains(modes, present) {
		modes = append(modes, present)
	}
	return modes
}

// sessionsByPath splits a total by the writers that counted it. Each part only ever grows.
func sessionsByPath(c *pool.Counters) (kernel, user uint64) {
	for i := range c.Len() {
		n := c.SessionsOf(i)
		if i == pool.KernelShard {
			kernel += n
		} else {
			user += n
		}
	}
	return kernel, user
}

// mergeCertificates makes one of the bind lines of a proxy with one address, on several interfaces: all their certificates, and the
// end of the first.
func mergeCertificates(all []Certificates) []Certificates {
	same := func(a, b *Certificates) bool { return a.Proxy == b.Proxy && a.Bind == b.Bind }
	return merge(all, same, func(into, c *Certificates) {
		into.Count += c.Count
		if c.Expires.Before(into.Expires) {
			into.Expires = c.Expires
		}
	})
}

// mergeSurpluses makes one of several templates of a backend that resolve the same name: all their
// slots, and the largest surplus.
func mergeSurpluses(all []Surplus) []Surplus {
	same := func(a, b *Surplus) bool { return a.Proxy == b.Proxy && a.Name == b.Name }
	return merge(all, same, func(into, sp *Surplus) {
		into.Slots += sp.Slots
		if len(sp.Tasks) > len(into.Tasks) {
			into.Tasks = sp.Tasks
		}
	})
}

// merge adds those that are the same into the first of them.
func merge[T any](all []T, same func(a, b *T) bool, add func(into, from *T)) []T {
	var merged []T
	for i := range all {
		at := slices.IndexFunc(merged, func(m T) bool { return same(&m, &all[i]) })
		if at < 0 {
			merged = append(merged, all[i])
			continue
		}
		add(&merged[at], &all[i])
	}
	return merged
}
