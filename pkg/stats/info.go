package stats

import (
	"fmt"
	"time"

	"waggle/pkg/pool"
)

// Field declares one statistic of the process: a line of HAProxy's `show info`.
type Field struct {
	// Name is HAProxy's name, and its place in the table its position: both are contracts.
	Name string
	// Metric is the name in Prometheus after `haproxy_process_`; empty if there is none.
	Metric string
	Type   Type
	Tags   Tags
	Help   string
	// Value computes the field; nil while it is not known.
	Value func(*Process, *processCounts) Value
	// Label names the label that carries the value in Prometheus, for texts; the series is then 1.
	Label string
}

// processCounts is what the fields need besides the description of the process.
type processCounts struct {
	uptime time.Duration
	pool   *pool.Pool
	pool.Totals
	ports    SourcePorts // of the server with the fewest left, in proportion
	tlsConns int64       // with clients and servers
	tlsAll   uint64
}

// newProcessCounts sums the frontends of a snapshot up.
func newProcessCounts(s *Snapshot) *processCounts {
	c := &processCounts{uptime: s.uptime(), pool: s.Pool}
	if c.pool == nil {
		c.pool = pool.New(0)
	}
	for _, p := range s.Datapath.SourcePorts {
		if c.ports.Max == 0 || uint64(p.Used)*uint64(c.ports.Max) > uint64(c.ports.Used)*uint64(p.Max) {
			c.ports = p
		}
	}
	for _, f := range c.pool.Frontends {
		t := f.Counters.Sum()
		c.Connections += t.Connections
		c.Sessions += t.Sessions
		c.Requests += t.Requests
		c.BytesOut += t.BytesOut
		c.addTLS(&f.TLS)
	}
	for _, b := range c.pool.Backends {
		c.addTLS(&b.TLS)
	}
	return c
}

func (c *processCounts) addTLS(t *pool.TLS) {
	c.tlsConns += t.Conns.Load()
	c.tlsAll += t.Sum().All()
}

func (c *processCounts) tls() *pool.TLSRates { return &c.pool.Process.TLS }

// reuse is the share of the last second's handshakes that needed no key, in percent.
func (c *processCounts) reuse() uint64 {
	all, keys := c.tls().Rate.Cur(), c.tls().KeyRate.Cur()
	if all == 0 || keys > all {
		return 0
	}
	return 100 - (100*keys+all/2)/all
}

// processFields returns the table of the process in the order of HAProxy 3.2's `show info`. Only the
// position counts for the typed and JSON formats, so fields that will never be known keep their place.
func processFields() []Field {
	return []Field{
		{Name: "Name", Type: Str, Tags: productText, Help: "Name of the product.",
			Value: func(*Process, *processCounts) Value { return word("waggle") }},
		{Name: "Version", Type: Str, Tags: productText, Help: "Version of HAProxy that is spoken, then of the product.",
			Value: func(p *Process, _ *processCounts) Value { return word(p.HAProxyVersion()) }},
		{Name: "Release_date", Type: Str, Tags: productText, Help: "Date of the sources.",
			Value: func(p *Process, _ *processCounts) Value {
				return unless(p.Released.IsZero(), word(p.Released.UTC().Format("2006/01/02")))
			}},
		{Name: "Nbthread", Metric: "nbthread", Type: U32, Tags: setting, Help: "Event loops.",
			Value: func(p *Process, _ *processCounts) Value { return unless(p.Loops == 0, integer(p.Loops)) }},
		{Name: "Nbproc", Metric: "nbproc", Type: U32, Tags: setting, Help: "Processes: always 1.",
			Value: func(*Process, *processCounts) Value { return integer(processNumber) }},
		{Name: "Process_num", Metric: "relative_process_id", Type: U32, Tags: key, Help: "Number of the process: always 1.",
			Value: func(*Process, *processCounts) Value { return integer(processNumber) }},
		{Name: "Pid", Type: U32, Tags: state, Help: "Number of the process for the system.",
			Value: func(p *Process, _ *processCounts) Value { return integer(p.PID) }},
		{Name: "Uptime", Type: Str, Tags: lasting, Help: "Time since the start, in days, hours, minutes and seconds.",
			Value: func(_ *Process, c *processCounts) Value { return word(longUptime(c.uptime)) }},
		{Name: "Uptime_sec", Metric: "uptime_seconds", Type: U32, Tags: lasting, Help: "Time since the start.",
			Value: func(_ *Process, c *processCounts) Value { return seconds(c.uptime) }},
		{Name: "Memmax_MB", Type: U32, Tags: limit, Help: "Limit of memory: there is none, always 0.",
			Value: zero},
		{Name: "PoolAlloc_MB", Type: U32, Tags: gauge, Help: "Memory that the Go runtime has from the system.",
			Value: func(p *Process, _ *processCounts) Value { return count(p.Memory.Total >> 20) }},
		{Name: "PoolUsed_MB", Type: U32, Tags: gauge, Help: "Memory of live objects.",
			Value: func(p *Process, _ *processCounts) Value { return count(p.Memory.Used >> 20) }},
		{Name: "PoolFailed", Metric: "pool_failures_total", Type: U32, Tags: counter, Help: "Allocations that failed: the Go runtime would end the process, always 0.",
			Value: zero},
		{Name: "Ulimit-n", Metric: "max_fds", Type: U32, Tags: limit, Help: "Limit of open files.",
			Value: func(p *Process, _ *processCounts) Value { return unless(p.MaxFiles == 0, integer(p.MaxFiles)) }},
		{Name: "Maxsock", Metric: "max_sockets", Type: U32, Tags: limit, Help: "Limit of sockets, which is that of open files.",
			Value: func(p *Process, _ *processCounts) Value { return unless(p.MaxFiles == 0, integer(p.MaxFiles)) }},
		{Name: "Maxconn", Metric: "max_connections", Type: U32, Tags: limit, Help: "Limit of connections now.",
			Value: func(p *Process, c *processCounts) Value { return integer(p.limit(c.pool)) }},
		{Name: "Hard_maxconn", Metric: "hard_max_connections", Type: U32, Tags: limit, Help: "Limit of connections that was configured.",
			Value: func(p *Process, _ *processCounts) Value { return integer(p.MaxConn) }},
		{Name: "CurrConns", Metric: "current_connections", Type: U32, Tags: gauge, Help: "Connections now, on both paths.",
			Value: func(_ *Process, c *processCounts) Value { return integer(c.pool.Process.Conns.Load()) }},
		{Name: "CumConns", Metric: "connections_total", Type: U32, Tags: counter, Help: "Connections since the start.",
			Value: func(_ *Process, c *processCounts) Value { return count(c.Connections) }},
		{Name: "CumReq", Metric: "requests_total", Type: U32, Tags: counter, Help: "Requests since the start.",
			Value: func(_ *Process, c *processCounts) Value { return count(c.Requests) }},
		{Name: "MaxSslConns", Metric: "max_ssl_connections", Type: U32, Tags: maximum, Help: "Limit of TLS connections: there is none but that of all connections, always 0.",
			Value: zero},
		{Name: "CurrSslConns", Metric: "current_ssl_connections", Type: U32, Tags: gauge, Help: "TLS connections now, with clients and servers.",
			Value: func(_ *Process, c *processCounts) Value { return integer(c.tlsConns) }},
		{Name: "CumSslConns", Metric: "ssl_connections_total", Type: U32, Tags: counter, Help: "TLS connections since the start, with clients and servers; those whose handshake failed, too.",
			Value: func(_ *Process, c *processCounts) Value { return count(c.tlsAll) }},
		{Name: "Maxpipes", Metric: "max_pipes", Type: U32, Tags: limit, Help: "Limit of pipes for splicing.",
			Value: func(p *Process, _ *processCounts) Value { return integer(p.Pipes.Max) }},
		{Name: "PipesUsed", Metric: "pipes_used_total", Type: U32, Tags: gauge, Help: "Pipes with data in them now.",
			Value: func(p *Process, _ *processCounts) Value { return integer(p.Pipes.Used) }},
		{Name: "PipesFree", Metric: "pipes_free_total", Type: U32, Tags: gauge, Help: "Empty pipes that are kept.",
			Value: func(p *Process, _ *processCounts) Value { return integer(p.Pipes.Made - p.Pipes.Used) }},
		{Name: "ConnRate", Metric: "current_connection_rate", Type: U32, Tags: rated, Help: "Connections in the last second.",
			Value: func(_ *Process, c *processCounts) Value { return count(c.pool.Process.ConnRate.Cur()) }},
		{Name: "ConnRateLimit", Metric: "limit_connection_rate", Type: U32, Tags: limit, Help: "Limit of connections a second: there is none, always 0.",
			Value: zero},
		{Name: "MaxConnRate", Metric: "max_connection_rate", Type: U32, Tags: maximum, Help: "Most connections in one second.",
			Value: func(_ *Process, c *processCounts) Value { return count(c.pool.Process.ConnRate.Max()) }},
		{Name: "SessRate", Metric: "current_session_rate", Type: U32, Tags: rated, Help: "Sessions in the last second.",
			Value: func(_ *Process, c *processCounts) Value { return count(c.pool.Process.SessRate.Cur()) }},
		{Name: "SessRateLimit", Metric: "limit_session_rate", Type: U32, Tags: limit, Help: "Limit of sessions a second: there is none, always 0.",
			Value: zero},
		{Name: "MaxSessRate", Metric: "max_session_rate", Type: U32, Tags: rated, Help: "Most sessions in one second.",
			Value: func(_ *Process, c *processCounts) Value { return count(c.pool.Process.SessRate.Max()) }},
		{Name: "SslRate", Metric: "current_ssl_rate", Type: U32, Tags: rated, Help: "TLS handshakes of clients in the last second.",
			Value: func(_ *Process, c *processCounts) Value { return count(c.tls().Rate.Cur()) }},
		{Name: "SslRateLimit", Metric: "limit_ssl_rate", Type: U32, Tags: limit, Help: "Limit of handshakes a second: there is none, always 0.",
			Value: zero},
		{Name: "MaxSslRate", Metric: "max_ssl_rate", Type: U32, Tags: maximum, Help: "Most handshakes in one second.",
			Value: func(_ *Process, c *processCounts) Value { return count(c.tls().Rate.Max()) }},
		{Name: "SslFrontendKeyRate", Metric: "current_frontend_ssl_key_rate", Type: U32, Tags: gauge, Help: "Handshakes of clients in the last second that took a private key: those without a session to go on with.",
			Value: func(_ *Process, c *processCounts) Value { return count(c.tls().KeyRate.Cur()) }},
		{Name: "SslFrontendMaxKeyRate", Metric: "max_frontend_ssl_key_rate", Type: U32, Tags: maximum, Help: "Most of those in one second.",
			Value: func(_ *Process, c *processCounts) Value { return count(c.tls().KeyRate.Max()) }},
		{Name: "SslFrontendSessionReuse_pct", Metric: "frontend_ssl_reuse", Type: U32, Tags: gauge, Help: "Percentage of the handshakes of the last second that went on with an earlier session.",
			Value: func(_ *Process, c *processCounts) Value { return count(c.reuse()) }},
		{Name: "SslBackendKeyRate", Metric: "current_backend_ssl_key_rate", Type: U32, Tags: rated, Help: "Handshakes with servers in the last second that did not.",
			Value: func(_ *Process, c *processCounts) Value { return count(c.tls().ServerKeyRate.Cur()) }},
		{Name: "SslBackendMaxKeyRate", Metric: "max_backend_ssl_key_rate", Type: U32, Tags: maximum, Help: "Most of those in one second.",
			Value: func(_ *Process, c *processCounts) Value { return count(c.tls().ServerKeyRate.Max()) }},
		{Name: "SslCacheLookups", Metric: "ssl_cache_lookups_total", Type: U32, Tags: counter, Help: "Look-ups in the cache of TLS sessions: there is none, clients keep them in tickets, always 0.",
			Value: zero},
		{Name: "SslCacheMisses", Metric: "ssl_cache_misses_total", Type: U32, Tags: counter, Help: "Misses there: always 0.",
			Value: zero},
		{Name: "CompressBpsIn", Metric: "http_comp_bytes_in_total", Type: U32, Tags: rated, Help: "Bytes of response bodies that were compressed in the last second.",
			Value: func(_ *Process, c *processCounts) Value { return count(c.pool.Process.CompIn.Cur()) }},
		{Name: "CompressBpsOut", Metric: "http_comp_bytes_out_total", Type: U32, Tags: rated, Help: "Bytes that they became.",
			Value: func(_ *Process, c *processCounts) Value { return count(c.pool.Process.CompOut.Cur()) }},
		{Name: "CompressBpsRateLim", Metric: "limit_http_comp", Type: U32, Tags: limit, Help: "Limit of the bytes that are compressed in a second (maxcomprate), 0 for none.",
			Value: func(_ *Process, c *processCounts) Value { return count(uint64(c.pool.Process.CompLimit.Load())) }},
		{Name: "ZlibMemUsage", Metric: "current_zlib_memory", Type: U32, Tags: gauge, Help: "Memory that responses take while they are compressed: none, always 0.",
			Value: zero},
		{Name: "MaxZlibMemUsage", Metric: "max_zlib_memory", Type: U32, Tags: limit, Help: "Limit of that: always 0.",
			Value: zero},
		{Name: "Tasks", Metric: "current_tasks", Type: U32, Tags: gauge, Help: "Goroutines.",
			Value: func(p *Process, _ *processCounts) Value { return integer(p.Goroutines) }},
		{Name: "Run_queue", Metric: "current_run_queue", Type: U32, Tags: gauge, Help: "Goroutines that wait for a processor.",
			Value: func(p *Process, _ *processCounts) Value { return integer(p.Runnable) }},
		{Name: "Idle_pct", Metric: "idle_time_percent", Type: U32, Tags: averaged, Help: "Share of the last second in which the event loops had nothing to do.",
			Value: func(p *Process, _ *processCounts) Value { return integer(100 - p.BusyPercent) }},
		{Name: "node", Metric: "node", Type: Str, Tags: settingText, Label: "node", Help: "Name of the node.",
			Value: func(p *Process, _ *processCounts) Value { return unless(p.Node == "", word(p.Node)) }},
		{Name: "description", Metric: "description", Type: Str, Tags: settingText, Label: "desc", Help: "Description of the node.",
			Value: func(p *Process, _ *processCounts) Value { return unless(p.Description == "", word(p.Description)) }},
		{Name: "Stopping", Metric: "stopping", Type: U32, Tags: gauge, Help: "1 while the process stops, otherwise 0.",
			Value: func(p *Process, _ *processCounts) Value { return integer(oneIf(p.Stopping)) }},
		{Name: "Jobs", Metric: "jobs", Type: U32, Tags: gauge, Help: "Listeners and connections now.",
			Value: func(p *Process, c *processCounts) Value {
				return integer(int64(p.Listeners) + c.pool.Process.Conns.Load())
			}},
		{Name: "Unstoppable Jobs", Metric: "unstoppable_jobs", Type: U32, Tags: gauge, Help: "Jobs that a stop does not wait for: always 0.",
			Value: zero},
		{Name: "Listeners", Metric: "listeners", Type: U32, Tags: gauge, Help: "Listening sockets of frontends.",
			Value: func(p *Process, _ *processCounts) Value { return integer(p.Listeners) }},
		{Name: "ActivePeers", Metric: "active_peers", Type: U32, Tags: gauge, Help: "Peers: there are none, always 0.",
			Value: zero},
		{Name: "ConnectedPeers", Metric: "connected_peers", Type: U32, Tags: gauge, Help: "Peers: there are none, always 0.",
			Value: zero},
		{Name: "DroppedLogs", Metric: "dropped_logs_total", Type: U32, Tags: gauge, Help: "Log lines that could not be written.",
			Value: func(p *Process, _ *processCounts) Value { return count(p.DroppedLogs) }},
		{Name: "BusyPolling", Metric: "busy_polling_enabled", Type: U32, Tags: gauge, Help: "Whether loops poll without waiting: never, always 0.",
			Value: zero},
		{Name: "FailedResolutions", Metric: "failed_resolutions", Type: U32, Tags: gauge, Help: "Resolutions that could not be begun: always 0. How they end is told by the resolvers' counters.",
			Value: zero},
		{Name: "TotalBytesOut", Metric: "bytes_out_total", Type: U64, Tags: gauge, Help: "Payload to clients since the start.",
			Value: func(_ *Process, c *processCounts) Value { return count(c.BytesOut) }},
		{Name: "TotalSplicedBytesOut", Metric: "spliced_bytes_out_total", Type: U64, Tags: gauge, Help: "Payload to clients and servers that was spliced, since the start.",
			Value: func(p *Process, _ *processCounts) Value { return count(p.Spliced) }},
		{Name: "BytesOutRate", Metric: "bytes_out_rate", Type: U64, Tags: rated, Help: "Payload to clients in the last second.",
			Value: func(_ *Process, c *processCounts) Value { return count(c.pool.Process.OutRate.Cur()) }},
		{Name: "DebugCommandsIssued", Type: U32, Tags: gauge, Help: "Commands for debugging: there are none, always 0.",
			Value: zero},
		{Name: "CumRecvLogs", Metric: "recv_logs_total", Type: U32, Tags: counter, Help: "Log lines received: there is no log-forward, always 0.",
			Value: zero},
		{Name: "Build info", Metric: "build_info", Type: Str, Tags: productText, Label: "version", Help: "Version.",
			Value: func(p *Process, _ *processCounts) Value { return word(p.HAProxyVersion()) }},
		{Name: "Memmax_bytes", Metric: "max_memory_bytes", Type: U32, Tags: limit, Help: "Limit of memory: there is none, always 0.",
			Value: zero},
		{Name: "PoolAlloc_bytes", Metric: "pool_allocated_bytes", Type: U64, Tags: gauge, Help: "Memory that the Go runtime has from the system.",
			Value: func(p *Process, _ *processCounts) Value { return count(p.Memory.Total) }},
		{Name: "PoolUsed_bytes", Metric: "pool_used_bytes", Type: U64, Tags: gauge, Help: "Memory of live objects.",
			Value: func(p *Process, _ *processCounts) Value { return count(p.Memory.Used) }},
		{Name: "Start_time_sec", Metric: "start_time_seconds", Type: U32, Tags: lasting, Help: "Time of the start, in Unix seconds.",
			Value: func(p *Process, _ *processCounts) Value { return unless(p.Started.IsZero(), integer(p.Started.Unix())) }},
		{Name: "Tainted", Type: Str, Tags: state},
		{Name: "TotalWarnings", Metric: "total_warnings", Type: U32, Tags: counter, Help: "Warnings logged since the start.",
			Value: func(p *Process, _ *processCounts) Value { return count(p.WarningCount) }},
		{Name: "MaxconnReached", Type: U32, Tags: counter},
		{Name: "BootTime_ms", Type: U32, Tags: lasting},
		{Name: "Niced_tasks", Type: U32, Tags: gauge, Help: "Tasks of another priority: there are none, always 0.",
			Value: zero},
		{Name: "CurrStreams", Type: U64, Tags: gauge},
		{Name: "CumStreams", Type: U64, Tags: gauge},
		{Name: "BlockedTrafficWarnings", Type: U32, Tags: gauge},
		// Behind all that HAProxy has.
		{Name: "SourcePorts", Type: U32, Tags: limit, Help: "Source ports of the kernel path towards the server that has used most of its own.",
			Value: func(_ *Process, c *processCounts) Value { return count(uint64(c.ports.Max)) }},
		{Name: "SourcePortsUsed", Type: U32, Tags: gauge, Help: "How many of them are used.",
			Value: func(_ *Process, c *processCounts) Value { return count(uint64(c.ports.Used)) }},
	}
}

// zero is the value of what does not exist here, which tools read nevertheless.
func zero(*Process, *processCounts) Value { return integer(0) }

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// longUptime is a time as HAProxy's Uptime has it: 0d 1h02m03s.
func longUptime(d time.Duration) string {
	sec := int64(d / time.Second)
	return fmt.Sprintf("%dd %dh%02dm%02ds", sec/86400, sec/3600%24, sec/60%60, sec%60)
}

// limit is the limit of connections that holds now.
func (p *Process) limit(from *pool.Pool) int {
	if n := from.Limit(); n > 0 {
		return n
	}
	return p.MaxConn
}
