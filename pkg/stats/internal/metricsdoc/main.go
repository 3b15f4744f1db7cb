// Metricsdoc writes docs/metrics.md from the tables that the exporter is made of.
package main

import (
	"fmt"
	"os"
	"strings"

	"waggle/pkg/datapath"
	"waggle/pkg/stats"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: metricsdoc FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], []byte(document()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const introduction = `# Metrics

<!-- Made by "go generate ./pkg/stats" from the exporter's own tables. Do not edit. -->

Where a frontend has ` + "`http-request use-service prometheus-exporter if { path /metrics }`" + `, Prometheus can scrape it there. The
query of the request can choose, as with HAProxy's own exporter:

| query | what is shown |
| --- | --- |
| ` + "`scope=NAME`" + ` | only global, frontend, listener, backend, server, sticktable or resolver; repeatable; an empty one resets; ` + "`*`" + ` is all |
| ` + "`metrics=NAME,-NAME`" + ` | only the metrics that are named; with a minus sign all but those; repeatable |
| ` + "`no-maint`" + ` | no servers in maintenance, such as slots without a task |

A statistic without a value has no series, where HAProxy shows ` + "`NaN`" + `. The series of a server that is no more vanish. The Go
runtime's ` + "`go_*` and the process's `process_*`" + ` belong to the scope global. [deploy/prometheus](../deploy/prometheus) and
[deploy/grafana](../deploy/grafana) hold a scrape configuration, alerts and a dashboard.
`

func document() string {
	var b strings.Builder
	b.WriteString(introduction)
	for _, group := range []struct{ prefix, title string }{
		{"waggle_", "waggle's own"},
		{"haproxy_process_", "Process"},
		{"haproxy_frontend_", "Frontends"},
		{"haproxy_listener_", "Listeners"},
		{"haproxy_backend_", "Backends"},
		{"haproxy_server_", "Servers"},
		{"haproxy_resolver_", "Resolvers"},
		{"haproxy_sticktable_", "Stick tables"},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n| metric | type | labels | what it is |\n| --- | --- | --- | --- |\n", group.title)
		for _, m := range stats.Metrics() {
			if strings.HasPrefix(m.Name, group.prefix) {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.Name, m.Kind, strings.Join(m.Labels, ", "), escape(m.Help))
			}
		}
	}
	b.WriteString("\n## HAProxy's metrics that are not here\n\nWhat they tell is not counted, or does not exist here:\n\n")
	for _, name := range stats.Uncounted() {
		fmt.Fprintf(&b, "- `%s`\n", name)
	}
	b.WriteString("\n## Reasons\n\nThe label `reason` of `waggle_datapath_verdicts_total` is one of these. " +
		"A count of one that is not normal is worth a look.\n\n| reason | normal | what it means |\n| --- | --- | --- |\n")
	for _, r := range datapath.Reasons() {
		normal := "no"
		if r.Expected {
			normal = "yes"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.Name, normal, escape(r.Help))
	}
	return b.String()
}

func escape(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
