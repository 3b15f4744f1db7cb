// Package stats shows what the balancer counts.
//
// Every statistic of a frontend, listener, backend or server is declared once, in a table of columns
// whose names and order are those of HAProxy 3.2; every statistic of the process once in a second
// table. CSV, JSON, the typed format, the HTML page and the Prometheus endpoint are renderings of
// these tables. Names and order are contracts: tools that read HAProxy read waggle.
//
// The package does no I/O and keeps no state but that of the Go runtime's collectors. It looks at the
// balancer through [Source] and answers requests that the userspace path has already parsed.
package stats

//go:generate go run ./internal/metricsdoc ../../docs/metrics.md
