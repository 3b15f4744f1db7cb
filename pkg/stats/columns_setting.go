package stats

import "waggle/pkg/pool"

// settingColumns are positions 62 to 89: settings, connections and the cache.
func settingColumns() []Column {
	return []Column{
		{Name: "agent_status", Metric: "agent_status", Type: Str, Tags: output, Scopes: Servers,
			Help: "Outcome of the last agent check.", Value: agentChecked(func(r *Row) Value {
				mark := ""
				if r.View.AgentRunning {
					mark = "* "
				}
				return word(mark + r.agentStatus().String())
			})},
		{Name: "agent_code", Metric: "agent_code", Type: U32, Tags: output, Scopes: Servers,
			Help:  "Code of the last agent check.",
			Value: agentChecked(func(r *Row) Value { return unless(r.View.Agent.Status < pool.CheckL7OK, integer(r.View.Agent.Code)) })},
		{Name: "agent_duration", Metric: "agent_duration_seconds", Type: U64, Tags: lasting, Scopes: Servers, Unit: "ms",
			Help: "Time that the last agent check took.",
			Value: agentChecked(func(r *Row) Value {
				return unless(r.View.Agent.Status < pool.CheckChecked, duration(r.View.Agent.Duration))
			})},
		{Name: "check_desc", Type: Str, Tags: output, Scopes: Servers,
			Help:  "Outcome of the last health check in a few words.",
			Value: checked(func(r *Row) Value { return word(r.checkStatus().Description()) })},
		{Name: "agent_desc", Type: Str, Tags: output, Scopes: Servers,
			Help:  "Outcome of the last agent check in a few words.",
			Value: agentChecked(func(r *Row) Value { return word(r.agentStatus().Description()) })},
		{Name: "check_rise", Type: U32, Tags: setting, Scopes: Servers,
			Help:  "Checks in a row that must pass to bring the server up.",
			Value: checked(func(r *Row) Value { return integer(r.Server.Rise) })},
		{Name: "check_fall", Type: U32, Tags: setting, Scopes: Servers,
			Help:  "Checks in a row that must fail to take the server down.",
			Value: checked(func(r *Row) Value { return integer(r.Server.Fall) })},
		{Name: "check_health", Type: U32, Tags: setting, Scopes: Servers,
			Help:  "Health: down below check_rise, at most check_rise + check_fall - 1.",
			Value: checked(func(r *Row) Value { return integer(r.View.Health) })},
		{Name: "agent_rise", Type: U32, Tags: setting, Scopes: Servers,
			Help:  "Agent checks in a row that must pass.",
			Value: agentChecked(func(*Row) Value { return integer(1) })},
		{Name: "agent_fall", Type: U32, Tags: setting, Scopes: Servers,
			Help:  "Agent checks in a row that must fail.",
			Value: agentChecked(func(*Row) Value { return integer(1) })},
		{Name: "agent_health", Type: U32, Tags: setting, Scopes: Servers,
			Help:  "Health by the agent checks.",
			Value: agentChecked(func(r *Row) Value { return integer(r.View.AgentHealth) })},
		{Name: "addr", Type: Str, Tags: setting, Scopes: Listeners | Servers, Legend: true,
			Help: "Address and port.", Value: func(r *Row) Value { return unless(r.Address() == "", word(r.Address())) }},
		{Name: "cookie", Type: Str, Tags: settingName, Scopes: Backends | Servers, Legend: true,
			Help: "Name of the cookie of the backend, or its value for the server.", Value: cookie},
		{Name: "mode", Type: Str, Tags: setting, Scopes: everything,
			Help: "tcp or http.", Value: func(r *Row) Value { return word(r.Mode.String()) }},
		{Name: "algo", Type: Str, Tags: setting, Scopes: Backends, Legend: true,
			Help: "Algorithm of balancing.", Value: algorithm},
		{Name: "conn_rate", Type: U32, Tags: rated, Scopes: Frontends,
			Help: "Connections in the last second.", Value: func(r *Row) Value { return count(r.Frontend.ConnRate.Cur()) }},
		{Name: "conn_rate_max", Metric: "connections_rate_max", Type: U32, Tags: maximum, Scopes: Frontends,
			Help: "Most connections in one second.", Value: func(r *Row) Value { return count(r.Frontend.ConnRate.Max()) }},
		{Name: "conn_tot", Metric: "connections_total", Type: U64, Tags: counter, Scopes: Frontends | Listeners,
			Help: "Connections accepted.", Value: total(func(t *pool.Totals) uint64 { return t.Connections })},
		{Name: "intercepted", Metric: "intercepted_requests_total", Type: U64, Tags: counter, Scopes: Frontends, HTTP: true,
			Help:  "Requests answered by the balancer itself: statistics, redirects, services.",
			Value: total(func(t *pool.Totals) uint64 { return t.Intercepted })},
		{Name: "dcon", Metric: "denied_connections_total", Type: U64, Tags: counter, Scopes: Frontends | Listeners,
			Help: "Connections refused by a rule.", Value: total(func(t *pool.Totals) uint64 { return t.DeniedConn })},
		{Name: "dses", Metric: "denied_sessions_total", Type: U64, Tags: counter, Scopes: Frontends | Listeners,
			Help: "Sessions refused by a rule.", Value: total(func(t *pool.Totals) uint64 { return t.DeniedSess })},
		{Name: "wrew", Metric: "failed_header_rewriting_total", Type: U64, Tags: counter, Scopes: everything,
			Help:  "Messages that rules made larger than a buffer, which were answered with 500.",
			Value: total(func(t *pool.Totals) uint64 { return t.FailedRewrites })},
		{Name: "connect", Metric: "connection_attempts_total", Type: U64, Tags: counter, Scopes: Backends | Servers,
			Help:  "Connections to servers that were tried.",
			Value: total(func(t *pool.Totals) uint64 { return t.Connects })},
		{Name: "reuse", Metric: "connection_reuses_total", Type: U64, Tags: counter, Scopes: Backends | Servers,
			Help:  "Requests sent over a connection that was kept open.",
			Value: total(func(t *pool.Totals) uint64 { return t.Reuses })},
		{Name: "cache_lookups", Metric: "http_cache_lookups_total", Type: U64, Tags: counter, Scopes: Frontends | Backends, HTTP: true,
			Help: "Requests looked up in the cache: there is no cache, always 0.", Value: none},
		{Name: "cache_hits", Metric: "http_cache_hits_total", Type: U64, Tags: counter, Scopes: Frontends | Backends, HTTP: true,
			Help: "Requests answered from the cache: always 0.", Value: none},
		{Name: "srv_icur", Metric: "idle_connections_current", Type: U32, Tags: gauge, Scopes: Servers,
			Help:  "Connections to the server that are kept open for reuse.",
			Value: func(r *Row) Value { return integer(r.Server.Idle.Load()) }},
		{Name: "src_ilim", Metric: "idle_connections_limit", Type: U32, Tags: limit, Scopes: Servers,
			Help: "Configured limit of connections kept open."},
	}
}
