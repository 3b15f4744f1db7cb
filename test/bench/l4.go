package main

import (
	"context"
	"fmt"
	"net/netip"

	"waggle/pkg/lab"
	"waggle/test/bench/report"
)

// l4 compares what carries TCP without reading it.
func l4() suite {
	return assemble(report.Suite{
		Name:     "l4",
		Title:    "TCP: waggle's kernel path beside others",
		Baseline: "plain",
		Targets:  l4Targets(),
	}, waggleKernel, []contender{
		{report.Contender{Name: "plain", Title: "plain forwarding"}, nil, plain},
		{report.Contender{Name: "waggle-kernel", Title: "waggle, kernel path"}, nil, waggleKernel},
		{report.Contender{Name: "waggle-bound", Title: "waggle, a frontend per server"}, nil, waggleBound},
		{report.Contender{Name: "bare", Title: "bare eBPF program"}, nil, bare},
		{report.Contender{Name: "nftables", Title: "nftables DNAT"}, []tool{nft}, nftables},
		{report.Contender{Name: "haproxy-1", Title: "HAProxy tcp, 1 thread"}, []tool{haproxy}, haproxyTCP(1)},
		{report.Contender{Name: "haproxy-2", Title: "HAProxy tcp, 2 threads"}, []tool{haproxy}, haproxyTCP(2)},
		{report.Contender{Name: "nginx", Title: "nginx stream, 2 workers"}, []tool{{streamModule, "libnginx-mod-stream"}}, nginxStream},
		{report.Contender{Name: "waggle-relay", Title: "waggle, userspace relay"}, nil, waggleRelay},
	}, []scenario{
		{Scenario: report.Scenario{Name: "keepalive", Title: "Requests over 64 kept connections"}, path: "/", connections: 64},
		{Scenario: report.Scenario{Name: "big", Title: "10 MB bodies, 8 connections", Unit: report.Megabytes}, path: bigPath, connections: 8},
		// The last, since it leaves sockets in TIME_WAIT.
		{Scenario: report.Scenario{Name: "close", Title: "A connection per request, 64 at once"}, path: "/", connections: 64, close: true},
	})
}

// l4Targets are the project's goals.
func l4Targets() []report.Target {
	const us = "waggle-kernel"
	return []report.Target{
		{Scenario: "keepalive", Metric: report.Rate, Subject: us, Reference: "plain", Value: 1},
		{Scenario: "close", Metric: report.Rate, Subject: us, Reference: "plain", Value: 0.92},
		{Scenario: "big", Metric: report.Rate, Subject: us, Reference: "plain", Value: 1},
		{Scenario: "keepalive", Metric: report.Rate, Subject: us, Reference: "nftables", Value: 1.15},
		{Scenario: "close", Metric: report.Rate, Subject: us, Reference: "nftables", Value: 1.15},
		{Scenario: "keepalive", Metric: report.SystemCPU, Subject: us, Reference: "nftables", AtMost: true, Value: 0.9},
		{Scenario: "close", Metric: report.SystemCPU, Subject: us, Reference: "nftables", AtMost: true, Value: 0.9},
		{Scenario: "keepalive", Metric: report.Rate, Subject: us, Reference: "haproxy-1", Value: 1.8},
		{Scenario: "keepalive", Metric: report.Rate, Subject: us, Reference: "haproxy-2", Value: 1.8},
		{Scenario: "close", Metric: report.Rate, Subject: us, Reference: "haproxy-1", Value: 1.8},
		{Scenario: "close", Metric: report.Rate, Subject: us, Reference: "haproxy-2", Value: 1.8},
	}
}

// plain is the ideal: the balancer's namespace routes, and the client spreads its connections itself.
func plain(_ context.Context, st *stage) error {
	if err := st.forward(); err != nil {
		return err
	}
	if err := st.routeToTasks(); err != nil {
		return err
	}
	st.targets = st.endpoints()
	return nil
}

// nftables does by conntrack what waggle does by its own flow table.
func nftables(ctx context.Context, st *stage) error {
	if err := st.forward(); err != nil {
		return err
	}
	return st.finish(ctx, lab.Command{
		Argv:  []string{nft.name, "-f", lab.FilesDir + "/rules.nft"},
		Files: map[string][]byte{"rules.nft": []byte(nftRules(st))},
	})
}

func haproxyTCP(threads int) func(context.Context, *stage) error {
	return func(ctx context.Context, st *stage) error {
		return st.haproxy(ctx, haproxyConfig(st, haproxySettings{mode: "tcp", threads: threads, haproxy: true}))
	}
}

func nginxStream(ctx context.Context, st *stage) error {
	return st.nginx(ctx, nginxStreamConfig(st))
}

func waggleKernel(ctx context.Context, st *stage) error {
	if err := st.waggle(ctx, haproxyConfig(st, haproxySettings{mode: "tcp"}), "--datapath=tc"); err != nil {
		return err
	}
	return st.awaitKernelPath(ctx)
}

// waggleBound is waggleKernel with the connections spread as plain forwarding spreads them.
func waggleBound(ctx context.Context, st *stage) error {
	if err := st.waggle(ctx, boundConfig(st), "--datapath=tc"); err != nil {
		return err
	}
	balancer := st.targets[0]
	st.targets = nil
	for i := range st.tasks {
		st.targets = append(st.targets, netip.AddrPortFrom(balancer.Addr(), port+uint16(i)))
	}
	return st.awaitKernelPath(ctx)
}

func waggleRelay(ctx context.Context, st *stage) error {
	return st.waggle(ctx, haproxyConfig(st, haproxySettings{mode: "tcp"}), "--datapath=off")
}

func nftRules(st *stage) string {
	choices := ""
	for i, task := range st.tasks {
		choices += fmt.Sprintf("%d : %s, ", i, task.Addr())
	}
	return fmt.Sprintf(`table ip balance {
	chain in {
		type nat hook prerouting priority dstnat;
		ip daddr %s tcp dport %d dnat to numgen inc mod %d map { %s }
	}
	chain out {
		type nat hook postrouting priority srcnat;
		oifname "eth0" masquerade
	}
}
`, st.lab.Balancer.Addr(), port, len(st.tasks), choices)
}
