package e2e

import (
	"fmt"
	"io"
	"maps"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"waggle/pkg/lab"
)

// agentConfig has two servers; an agent speaks for the first, the second is only connected to. follower_in tracks the first.
const agentConfig = `
global
    stats socket ipv4@127.0.0.1:9999 level admin
frontend metrics
    mode http
    timeout client 10s
    bind *:8404
    http-request use-service prometheus-exporter if { path /metrics }
defaults
    mode tcp
    timeout connect 1s
    timeout client 10s
    timeout server 10s
listen guided
    bind *:8001
    server one %[1]s:8000 weight 100 check inter 200ms agent-check agent-addr 127.0.0.1 agent-port 9998 agent-inter 100ms
    server two %[2]s:8000 weight 100 check inter 200ms
listen follower
    bind *:8002
    server one %[1]s:8000 track guided/one
    server two %[2]s:8000 backup
`

// What an agent says reaches both paths: weights, drain, maintenance and down, also of a server that tracks another one.
func TestAgentSteersBothPaths(t *testing.T) {
	for _, datapath := range datapaths() {
		t.Run("datapath "+datapath, func(t *testing.T) { agentSteers(t, datapath) })
	}
}

func agentSteers(t *testing.T, datapath string) {
	b := &balancer{Lab: newLab(t, lab.Options{}), t: t}
	tasks := b.rawTasks(2)
	says := startAgent(t, b.Balancer)
	says.Store("up 100% ready")
	b.runConfig("--datapath="+datapath, agentConfig, tasks[0].Addr(), tasks[1].Addr())
	b.ready()
	follower := func() (string, error) { return b.rawNameAt(8002) }
	const first, second = "hostname: raw-1", "hostname: raw-2"
	connections := 0
	for _, step := range []struct {
		says     string
		want     map[string]int // of 30 connections
		follower string
	}{
		{"up 100% ready", map[string]int{first: 15, second: 15}, first},
		{"up 50%", map[string]int{first: 10, second: 20}, first},
		{"drain", map[string]int{second: 30}, second},
		{"ready 100%", map[string]int{first: 15, second: 15}, first},
		{"down # busy", map[string]int{second: 30}, second},
		{"up", map[string]int{first: 15, second: 15}, first},
		{"maint", map[string]int{second: 30}, second},
		{"ready up", map[string]int{first: 15, second: 15}, first},
	} {
		says.Store(step.says)
		b.eventually(fmt.Sprintf("after %q", step.says), func() error {
			connections += 30
			if got := b.names(b.rawName, 30); !maps.Equal(got, step.want) {
				return fmt.Errorf("30 connections were split %v, want %v", got, step.want)
			}
			return nil
		})
		b.eventually(fmt.Sprintf("the follower after %q", step.says), func() error {
			if got, err := follower(); err != nil || got != step.follower {
				return fmt.Errorf("the follower is %q, %v; want %q", got, err, step.follower)
			}
			return nil
		})
	}
	if datapath != "off" {
		if got := b.metric("waggle_frontend_sessions_total", `path="kernel",proxy="guided"`); got != float64(connections) {
			t.Errorf("the kernel carried %v of %d connections", got, connections)
		}
	}
}

// startAgent is an agent in a namespace; what it says is the value.
func startAgent(t *testing.T, h *lab.Balancer) *atomic.Value {
	t.Helper()
	ln, err := h.Listen("tcp4", "127.0.0.1:9998")
	if err != nil {
		t.Fatal(err)
	}
	says, done := &atomic.Value{}, make(chan struct{})
	says.Store("")
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, says.Load().(string)+"\n")
			conn.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return says
}

// rawNameAt asks which task a TCP connection to a port reaches.
func (b *balancer) rawNameAt(port int) (string, error) {
	conn, err := b.dial(port)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := fmt.Fprintln(conn, "hostname"); err != nil {
		return "", err
	}
	return firstLine(conn)
}

func firstLine(conn net.Conn) (string, error) {
	line := make([]byte, 0, 64)
	for buf := make([]byte, 64); ; {
		n, err := conn.Read(buf)
		line = append(line, buf[:n]...)
		if text, _, found := strings.Cut(string(line), "\n"); found {
			return strings.TrimSpace(text), nil
		}
		if err != nil {
			return "", err
		}
	}
}
