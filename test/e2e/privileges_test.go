package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
)

// TestPrivilegesAreDropped runs the program as it is shipped, without cgo: all its threads keep what it uses and nothing
// else, and with that both paths work, and so does what loads and resets later.
func TestPrivilegesAreDropped(t *testing.T) {
	b := &balancer{Lab: newLab(t, lab.Options{Tasks: 3, StopDelay: swarmStopDelay}), t: t}
	for range 3 {
		if _, err := b.AddTask(labtest.Context(t), lab.TaskOptions{Service: "raw", Kind: lab.TCP}); err != nil {
			t.Fatal(err)
		}
	}
	program := shipped(t)
	seed, err := os.ReadFile("../../deploy/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	b.process, err = b.Balancer.Start(labtest.Context(t), lab.Command{
		Argv:  []string{program, "run", "-f", lab.FilesDir + "/haproxy.cfg", "-f", lab.FilesDir + "/tcp.cfg", kernelFlag()},
		Files: map[string][]byte{"haproxy.cfg": seed, "tcp.cfg": []byte(tcpConfig)},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.eventually("both paths work", func() error {
		if err := b.shares(b.rawName, 6, "hostname: raw-1", "hostname: raw-2", "hostname: raw-3"); err != nil {
			return err
		}
		return b.shares(b.webName, 6, "hostname: web-1", "hostname: web-2", "hostname: web-3")
	})

	const want = 1<<unix.CAP_BPF | 1<<unix.CAP_PERFMON | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_NET_BIND_SERVICE
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", b.process.Pid()))
	if err != nil || len(threads) == 0 {
		t.Fatalf("threads of the balancer: %v", err)
	}
	for _, file := range threads {
		status, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		for _, line := range []string{
			fmt.Sprintf("CapEff:\t%016x\n", want), fmt.Sprintf("CapPrm:\t%016x\n", want), fmt.Sprintf("CapBnd:\t%016x\n", want), "NoNewPrivs:\t1\n",
		} {
			if !strings.Contains(string(status), line) {
				t.Errorf("%s has no line %q:\n%s", file, line, status)
			}
		}
	}

	if answer, err := b.runtime("trace 198.51.100.7 tcp_in"); err != nil || !strings.Contains(answer, "raw/raw-") {
		t.Errorf("a copy of the program cannot be loaded any more: %v, %q", err, answer)
	}
	held := b.echo(t)
	if answer, err := b.runtime("shutdown sessions server raw/raw-1; shutdown sessions server raw/raw-2; shutdown sessions server raw/raw-3"); err != nil || strings.TrimSpace(answer) != "" {
		t.Errorf("shut down: %v, %q", err, answer)
	}
	b.eventually("the connection is reset", func() error {
		if held.round() == nil {
			return fmt.Errorf("it still works")
		}
		return nil
	})
}

// shipped builds the program as the Makefile does.
func shipped(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "waggle")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "../../cmd/waggle")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return program
}
