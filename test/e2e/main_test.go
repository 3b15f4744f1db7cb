// Package e2e runs the whole of waggle in a lab of network namespaces: a real kernel, real TCP, a DNS
// server that answers like Docker's, and the program as users start it.
package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
	"waggle/test/program"
)

func TestMain(m *testing.M) {
	program.Main()
	os.Exit(m.Run())
}

// ports of the configuration below.
const (
	httpPort  = 8000
	tcpPort   = 8001
	statsPort = 8404
)

// tcpConfig is what the tests add to the seed's configuration: raw TCP to the tasks of a second
// service, and the statistics. Checks are quick, so that a test need not wait for them.
const tcpConfig = `
global
    stats socket ipv4@127.0.0.1:9999 level admin

frontend tcp_in
    mode tcp
    bind *:8001
    default_backend raw

backend raw
    mode tcp
    server-template raw- 3 raw:8000 check inter 200ms fall 2 rise 1 resolvers docker init-addr none

frontend stats_in
    bind *:8404
    http-request use-service prometheus-exporter if { path /metrics }
    stats enable
    stats uri /
`

// balancer is a lab with waggle in front of its tasks.
type balancer struct {
	*lab.Lab
	t       *testing.T
	process *lab.Process
	again   func() // starts waggle once more, after its end
}

// patience bounds every wait for what must come: nobody passes by using it up, and on a machine that stalls nobody fails for that.
// What is to be quick is measured where it is, against a clock that the machine's stalls do not move.
const patience = 30 * time.Second

// start builds a lab with three web tasks and three raw TCP tasks, and waggle with the seed's
// configuration in front of them.
func start(t *testing.T, flags ...string) *balancer {
	t.Helper()
	return startIn(t, newLab(t, lab.Options{Tasks: 3, StopDelay: swarmStopDelay}), flags...)
}

// startIn does so in a lab that has the web tasks.
func startIn(t *testing.T, l *lab.Lab, flags ...string) *balancer {
	t.Helper()
	b := &balancer{Lab: l, t: t}
	b.rawTasks(3)
	b.run(flags...)
	raw := func() error { return b.shares(b.rawName, 6, "hostname: raw-1", "hostname: raw-2", "hostname: raw-3") }
	b.eventually("all servers are used", func() error {
		return errors.Join(b.shares(b.webName, 6, "hostname: web-1", "hostname: web-2", "hostname: web-3"), raw())
	})
	if slices.Contains(flags, kernelFlag()) {
		b.eventually("the kernel uses all of them", func() error { // it hears of them a moment after userspace
			before := b.kernelSessions()
			err := raw()
			if n := b.kernelSessions() - before; err == nil && n != 6 {
				err = fmt.Errorf("it carries %v of 6 connections", n)
			}
			return err
		})
	}
	return b
}

// rawTasks adds tasks of the service raw, which answer connections with their names.
func (b *balancer) rawTasks(n int) []*lab.Task {
	b.t.Helper()
	var tasks []*lab.Task
	for range n {
		task, err := b.AddTask(labtest.Context(b.t), lab.TaskOptions{Service: "raw", Kind: lab.TCP})
		if err != nil {
			b.t.Fatal(err)
		}
		tasks = append(tasks, task)
	}
	return tasks
}

// swarmStopDelay is the time that Swarm leaves between a task's removal from DNS and its SIGTERM.
const swarmStopDelay = 2 * time.Second

// run starts waggle in the balancer's namespace.
func (b *balancer) run(flags ...string) {
	b.t.Helper()
	seed, err := os.ReadFile("../../deploy/haproxy.cfg")
	if err != nil {
		b.t.Fatal(err)
	}
	c := b.command("run", "-f", lab.FilesDir+"/haproxy.cfg", "-f", lab.FilesDir+"/tcp.cfg")
	c.Argv = append(c.Argv, flags...)
	c.Files = map[string][]byte{"haproxy.cfg": seed, "tcp.cfg": []byte(tcpConfig)}
	b.execute(c)
}

// runConfig starts it with this configuration, whose verbs args fill in.
func (b *balancer) runConfig(flag, config string, args ...any) {
	b.t.Helper()
	c := b.command("run", "-f", lab.FilesDir+"/haproxy.cfg", flag)
	c.Files = map[string][]byte{"haproxy.cfg": fmt.Appendf(nil, config, args...)}
	b.execute(c)
}

func (b *balancer) execute(c lab.Command) {
	b.t.Helper()
	var err error
	if b.process, err = b.Balancer.Start(labtest.Context(b.t), c); err != nil {
		b.t.Fatal(err)
	}
}

// ready returns when the process that was started last is.
func (b *balancer) ready() {
	b.t.Helper()
	b.wrote("waggle is ready")
}

// wrote returns when the process that was started last has written a text: what it writes comes here by a pipe, a moment later.
func (b *balancer) wrote(text string) {
	b.t.Helper()
	b.eventually(fmt.Sprintf("it writes %q", text), func() error {
		if !strings.Contains(b.process.Output(), text) {
			return errors.New(b.process.Output())
		}
		return nil
	})
}

// command is waggle with these arguments.
func (b *balancer) command(args ...string) lab.Command {
	b.t.Helper()
	return program.In(b.t, args...)
}

func (b *balancer) eventually(what string, try func() error) {
	b.t.Helper()
	labtest.Eventually(b.t, patience, what, try)
}

// ended waits for the end of the process that was started last.
func (b *balancer) ended(after string) {
	b.t.Helper()
	select {
	case <-b.process.Done():
	case <-time.After(patience):
		b.t.Fatalf("waggle has not ended %v after %s", patience, after)
	}
}

// dial connects from the client to a port of the balancer.
func (b *balancer) dial(port int) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := b.Client.DialContext(ctx, "tcp4", b.Balancer.Endpoint(port))
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(2 * patience))
}

// ask sends one line of the raw tasks' protocol and returns the connection to read the answer from.
func (b *balancer) ask(command string) (net.Conn, error) {
	conn, err := b.dial(tcpPort)
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintln(conn, command); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// rawName asks which task a TCP connection reaches.
func (b *balancer) rawName() (string, error) {
	conn, err := b.ask("hostname")
	if err != nil {
		return "", err
	}
	defer conn.Close()
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

// webName asks which task an HTTP request reaches.
func (b *balancer) webName() (string, error) {
	status, body, err := b.get(httpPort, "/")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	return strings.TrimSpace(body), err
}

// get makes one request over a connection of its own.
func (b *balancer) get(port int, path string) (status int, body string, err error) {
	client := b.Client.HTTPClient()
	client.Timeout = patience
	resp, err := client.Get(b.Balancer.URL(port, path))
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(content), err
}

// names counts the answers of n calls; failed ones are counted by their error.
func (b *balancer) names(ask func() (string, error), n int) map[string]int {
	got := map[string]int{}
	for range n {
		name, err := ask()
		if err != nil {
			name = err.Error()
		}
		got[name]++
	}
	return got
}

// shares makes n calls and returns an error unless exactly the named answers came, equally often.
func (b *balancer) shares(ask func() (string, error), n int, names ...string) error {
	got := b.names(ask, n)
	for _, name := range names {
		if got[name] != n/len(names) {
			return fmt.Errorf("%d calls gave %v, want equal shares of %q", n, got, names)
		}
	}
	return nil
}

// metric returns the sum of a metric over all its labels that contain the given text.
func (b *balancer) metric(name, label string) float64 {
	b.t.Helper()
	_, body, err := b.get(statsPort, "/metrics")
	if err != nil {
		b.t.Fatal(err)
	}
	sum, found := 0.0, false
	for line := range strings.Lines(body) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || !strings.ContainsAny(rest[:1], "{ ") || !strings.Contains(rest, label) {
			continue
		}
		var v float64
		if _, err := fmt.Sscan(rest[strings.LastIndex(rest, " ")+1:], &v); err != nil {
			b.t.Fatalf("metric line %q: %v", line, err)
		}
		sum, found = sum+v, true
	}
	if !found {
		b.t.Fatalf("no metric %s with %q in:\n%s", name, label, body)
	}
	return sum
}
