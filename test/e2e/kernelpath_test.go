package e2e

import (
	"errors"
	"testing"

	"waggle/pkg/lab"
)

// kernelConfig has a frontend on a range of ports, one of whose two servers starts slowly.
const kernelConfig = `
global
    stats socket ipv4@127.0.0.1:9999 level admin
defaults
    mode tcp
    timeout connect 1s
    timeout client 10s
    timeout server 10s
frontend metrics
    mode http
    bind *:8404
    http-request use-service prometheus-exporter if { path /metrics }
listen ranged
    bind *:8001-8003
    server one %[1]s:8000 check inter 200ms rise 1 fall 2
    server two %[2]s:8000 check inter 200ms rise 1 fall 2 slowstart 2m
`

// A range of ports is the kernel's as one frontend, and so is a server that starts slowly: it has a small share at first.
func TestPortRangeAndSlowstartInTheKernel(t *testing.T) {
	b := &balancer{Lab: newLab(t, lab.Options{}), t: t}
	tasks := b.rawTasks(2)
	b.runConfig(kernelFlag(), kernelConfig, tasks[0].Addr(), tasks[1].Addr())
	const one, two = "hostname: raw-1", "hostname: raw-2"
	b.eventually("both servers are used", func() error { return b.shares(b.rawName, 6, one, two) })

	before := b.metric("waggle_frontend_sessions_total", `path="kernel",proxy="ranged"`)
	for port := 8001; port <= 8003; port++ {
		conn := b.held(port)
		conn.Close()
	}
	if got := b.metric("waggle_frontend_sessions_total", `path="kernel",proxy="ranged"`) - before; got != 3 {
		t.Errorf("the kernel carried %v of 3 connections to 3 ports", got)
	}

	if err := tasks[1].Unplug(); err != nil {
		t.Fatal(err)
	}
	b.eventually("the server is down", func() error { return b.shares(b.rawName, 6, one) })
	if err := tasks[1].Plug(); err != nil {
		t.Fatal(err)
	}
	b.eventually("the server is back", func() error {
		if b.names(b.rawName, 20)[two] == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	// Of 16 steps to its weight it has done a few.
	if got := b.names(b.rawName, 40); got[two] < 1 || got[two] > 13 || got[one] != 40-got[two] {
		t.Errorf("of 40 connections the starting server has %d: %v", got[two], got)
	}
}
