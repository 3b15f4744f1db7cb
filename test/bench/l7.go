package main

import (
	"context"
	"fmt"

	"waggle/test/bench/report"
)

// defaultIdle is how many idle connections the scenario of that name has.
const defaultIdle = 1000

// crowd is how many idle connections are held to see what memory they take.
const crowd = 10_000

// l7 compares what reads HTTP.
func l7(idle int) suite {
	return assemble(report.Suite{
		Name:     "l7",
		Title:    "HTTP: waggle's userspace path beside others",
		Baseline: "haproxy-1",
		Targets:  l7Targets(),
	}, waggleHTTP(0), []contender{
		{report.Contender{Name: "haproxy-1", Title: "HAProxy, 1 thread"}, []tool{haproxy}, haproxyHTTP(haproxySettings{threads: 1})},
		{report.Contender{Name: "haproxy-2", Title: "HAProxy, 2 threads"}, []tool{haproxy}, haproxyHTTP(haproxySettings{threads: 2})},
		{report.Contender{Name: "haproxy-reuse", Title: "HAProxy, http-reuse always"}, []tool{haproxy}, haproxyHTTP(haproxySettings{threads: 1, reuse: true})},
		{report.Contender{Name: "haproxy-tuned", Title: "HAProxy, reuse, splice, 64 kB"}, []tool{haproxy}, haproxyHTTP(haproxySettings{threads: 1, reuse: true, splice: true})},
		{report.Contender{Name: "nginx", Title: "nginx, 1 worker"}, nil, nginxProxy},
		{report.Contender{Name: caddyName, Title: "Caddy"}, nil, caddyHTTP},
		{report.Contender{Name: "waggle-1", Title: "waggle, 1 loop"}, nil, waggleHTTP(1)},
		{report.Contender{Name: "waggle", Title: "waggle, a loop per CPU"}, nil, waggleHTTP(0)},
	}, []scenario{
		{Scenario: report.Scenario{Name: "few", Title: "Requests over 15 kept connections"}, path: "/", connections: 15},
		{Scenario: report.Scenario{Name: "keepalive", Title: "Requests over 64 kept connections"}, path: "/", connections: 64},
		{Scenario: report.Scenario{Name: "more", Title: "Requests over 128 kept connections"}, path: "/", connections: 128},
		{Scenario: report.Scenario{Name: "many", Title: "Requests over 512 kept connections"}, path: "/", connections: 512},
		{Scenario: report.Scenario{Name: "idle", Title: fmt.Sprintf("64 kept connections, %d idle ones beside", idle)}, path: "/", connections: 64, idle: idle},
		{Scenario: report.Scenario{Name: "medium", Title: "64 kB bodies, 64 connections", Unit: report.Megabytes}, path: mediumPath, connections: 64},
		{Scenario: report.Scenario{Name: "big", Title: "10 MB bodies, 8 connections", Unit: report.Megabytes}, path: bigPath, connections: 8},
		{Scenario: report.Scenario{Name: "crowd", Title: fmt.Sprintf("3 kept connections, %d idle ones beside", crowd)}, path: "/", connections: 3, idle: crowd},
		// The last, since it leaves sockets in TIME_WAIT.
		{Scenario: report.Scenario{Name: "close", Title: "A connection per request, 64 at once"}, path: "/", connections: 64, close: true},
	})
}

// l7Targets are the project's goals.
func l7Targets() []report.Target {
	const us, one = "waggle", "waggle-1"
	return []report.Target{
		{Scenario: "keepalive", Metric: report.Rate, Subject: us, Reference: "haproxy-1", Value: 1.15},
		{Scenario: "keepalive", Metric: report.OwnCPU, Subject: us, Reference: "haproxy-1", AtMost: true, Value: 0.8},
		{Scenario: "close", Metric: report.Rate, Subject: us, Reference: "haproxy-1", Value: 1.7},
		{Scenario: "close", Metric: report.Rate, Subject: us, Reference: "haproxy-reuse", Value: 1},
		{Scenario: "big", Metric: report.Rate, Subject: us, Reference: "haproxy-1", Value: 3},
		{Scenario: "big", Metric: report.Rate, Subject: us, Reference: "haproxy-tuned", Value: 1.3},
		{Scenario: "keepalive", Metric: report.Rate, Subject: one, Reference: "haproxy-1", Value: 1.15},
		{Scenario: "keepalive", Metric: report.OwnCPU, Subject: one, Reference: "haproxy-1", AtMost: true, Value: 0.8},
		{Scenario: "keepalive", Metric: report.Rate, Subject: us, Reference: "haproxy-2", Value: 1.15},
		{Scenario: "keepalive", Metric: report.OwnCPU, Subject: us, Reference: "haproxy-2", AtMost: true, Value: 0.8},
		{Scenario: "keepalive", Metric: report.P99, Subject: us, Reference: "haproxy-1", AtMost: true, Value: 1.1},
		{Scenario: "many", Metric: report.P99, Subject: us, Reference: "haproxy-1", AtMost: true, Value: 1.1},
		{Scenario: "crowd", Metric: report.Memory, Subject: us, Reference: "haproxy-1", AtMost: true, Value: 1},
	}
}

func haproxyHTTP(s haproxySettings) func(context.Context, *stage) error {
	s.mode, s.haproxy = "http", true
	return func(ctx context.Context, st *stage) error { return st.haproxy(ctx, haproxyConfig(st, s)) }
}

func nginxProxy(ctx context.Context, st *stage) error {
	return st.nginx(ctx, nginxProxyConfig(st))
}

// waggleHTTP reads the file that HAProxy reads; with 0 threads it is as users run it.
func waggleHTTP(threads int) func(context.Context, *stage) error {
	return func(ctx context.Context, st *stage) error {
		return st.waggle(ctx, haproxyConfig(st, haproxySettings{mode: "http", threads: threads}))
	}
}
