package main

import (
	"context"

	"waggle/test/bench/report"
)

// tlsSuite compares what ends TLS and HTTP/2. It states a speed and aims at none.
func tlsSuite() suite {
	return assemble(report.Suite{
		Name:     "tls",
		Title:    "TLS and HTTP/2 with clients: waggle beside HAProxy",
		Baseline: "haproxy-1",
	}, waggleTLS(0), []contender{
		{report.Contender{Name: "haproxy-1", Title: "HAProxy, 1 thread"}, []tool{haproxy}, haproxyHTTP(haproxySettings{threads: 1, tls: true})},
		{report.Contender{Name: "haproxy-2", Title: "HAProxy, 2 threads"}, []tool{haproxy}, haproxyHTTP(haproxySettings{threads: 2, tls: true})},
		{report.Contender{Name: "waggle-1", Title: "waggle, 1 loop"}, nil, waggleTLS(1)},
		{report.Contender{Name: "waggle", Title: "waggle, a loop per CPU"}, nil, waggleTLS(0)},
	}, []scenario{
		{Scenario: report.Scenario{Name: "kept", Title: "HTTP/1.1: requests over 64 kept connections of TLS 1.3"}, path: "/", connections: 64, tls: true},
		{Scenario: report.Scenario{Name: "h2-1", Title: "HTTP/2: requests over 15 kept connections of TLS 1.3, a stream each"}, path: "/", connections: 15, tls: true, streams: 1},
		{Scenario: report.Scenario{Name: "h2", Title: "HTTP/2: requests over 15 kept connections of TLS 1.3, 8 streams each"}, path: "/", connections: 15, tls: true, streams: 8},
		{Scenario: report.Scenario{Name: "h2-100", Title: "HTTP/2: requests over 3 kept connections of TLS 1.3, 100 streams each"}, path: "/", connections: 3, tls: true, streams: 100},
		{Scenario: report.Scenario{Name: "h2c-1", Title: "HTTP/2 in clear text: requests over 15 kept connections, a stream each"}, path: "/", connections: 15, streams: 1},
		{Scenario: report.Scenario{Name: "h2c-100", Title: "HTTP/2 in clear text: requests over 3 kept connections, 100 streams each"}, path: "/", connections: 3, streams: 100},
		{Scenario: report.Scenario{Name: "h2-medium", Title: "HTTP/2: 64 kB bodies, 15 connections of TLS 1.3, 8 streams each", Unit: report.Megabytes}, path: mediumPath, connections: 15, tls: true, streams: 8},
		{Scenario: report.Scenario{Name: "h2-big", Title: "HTTP/2: 10 MB bodies, 3 connections of TLS 1.3, 2 streams each", Unit: report.Megabytes}, path: bigPath, connections: 3, tls: true, streams: 2},
		{Scenario: report.Scenario{Name: "new", Title: "HTTP/1.1: a connection of TLS 1.3 per request, 64 at once, no session resumed"}, path: "/", connections: 64, tls: true, close: true},
	})
}

func waggleTLS(threads int) func(context.Context, *stage) error {
	return func(ctx context.Context, st *stage) error {
		return st.waggle(ctx, haproxyConfig(st, haproxySettings{mode: "http", threads: threads, tls: true}))
	}
}
