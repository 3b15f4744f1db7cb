// Package swarm tests waggle in a real Docker Swarm: its image, its stack files, discovery through Docker's
// DNS server, ports in host mode, and the kernel path inside a container.
package swarm

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/require"
	"waggle/test/swarm/engine"
)

const root = "../.." // of the repository

// deployTimeout bounds how long a stack may take from its deployment until all its tasks run: 10 s on two
// idle cores.
const deployTimeout = 90 * time.Second

func TestMain(m *testing.M) {
	engine.Main()
	os.Exit(m.Run())
}

// needEngine skips the test where no engine can run.
func needEngine(t *testing.T) {
	t.Helper()
	require.Root(t)
	for _, tool := range []string{"docker", "dockerd", "containerd", "runc", "iptables", "make"} {
		require.Tool(t, tool)
	}
}

// startEngine starts an engine that ends with the test, and fails the test if something of it remains.
func startEngine(t *testing.T) *engine.Engine {
	t.Helper()
	needEngine(t)
	return closeAtEnd(t, func() (*engine.Engine, error) { return engine.Start(t.Context()) })
}

func closeAtEnd(t *testing.T, start func() (*engine.Engine, error)) *engine.Engine {
	t.Helper()
	began := time.Now()
	e, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the engine's log:\n%s", e.LogTail())
		}
		if err := e.Close(); err != nil {
			t.Errorf("close engine: %v", err)
		}
	})
	t.Logf("engine answers after %v", time.Since(began).Round(time.Millisecond))
	return e
}

// docker runs the docker client.
func docker(t *testing.T, e *engine.Engine, args ...string) string {
	t.Helper()
	out, err := e.Docker(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// runMake runs targets of the Makefile on the node and returns what they print.
func runMake(t *testing.T, e *engine.Engine, args ...string) string {
	t.Helper()
	began := time.Now()
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "make", append([]string{"--no-print-directory", "-C", root}, args...)...)
	cmd.Env = []string{"MAKEFLAGS=", "MAKELEVEL="} // the test may itself be run by make
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := e.OnNode(cmd); err != nil {
		t.Fatalf("make %s: %v\n%s", strings.Join(args, " "), err, &out)
	}
	t.Logf("make %s took %v", strings.Join(args, " "), time.Since(began).Round(time.Millisecond))
	return out.String()
}

// tasks lists all tasks of a service.
func tasks(t *testing.T, e *engine.Engine, service string) []engine.Task {
	t.Helper()
	list, err := e.Tasks(t.Context(), service)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// running lists the tasks of a service that run.
func running(t *testing.T, e *engine.Engine, service string) []engine.Task {
	t.Helper()
	return slices.DeleteFunc(tasks(t, e, service), func(task engine.Task) bool { return !task.Running() })
}

// awaitRunning waits until exactly n tasks of a service run, and returns them with the moment this was seen.
func awaitRunning(t *testing.T, e *engine.Engine, service string, n int) ([]engine.Task, time.Time) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deployTimeout)
	defer cancel()
	for {
		now := time.Now()
		if list := running(t, e, service); len(list) == n {
			return list, now
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s has not %d running tasks after %v: %+v", service, n, deployTimeout, tasks(t, e, service))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// hostnames of tasks, sorted.
func hostnames(list []engine.Task) []string {
	names := make([]string, 0, len(list))
	for _, task := range list {
		names = append(names, task.Hostname)
	}
	slices.Sort(names)
	return names
}

// showServiceOnFailure shows what a service does and said, if the test has failed when it ends.
func showServiceOnFailure(t *testing.T, e *engine.Engine, service string) {
	t.Cleanup(func() {
		if t.Failed() {
			showService(t, e, service)
		}
	})
}

func showService(t *testing.T, e *engine.Engine, service string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, args := range [][]string{
		{"service", "ps", "--no-trunc", service},
		{"service", "logs", "--tail", "60", service},
	} {
		out, err := e.Docker(ctx, args...)
		t.Logf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
