package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/require"
	"waggle/test/bench/report"
	"waggle/test/program"
)

func requireTools(t *testing.T) {
	t.Helper()
	require.Root(t)
	require.Tool(t, wrk.name)
	require.Tool(t, nginx.name)
	require.Tool(t, h2load.name)
}

// TestARoundOfEachSuite measures for a second each: plain forwarding, the bare program, and waggle on all its paths.
func TestARoundOfEachSuite(t *testing.T) {
	requireTools(t)
	files := t.TempDir()
	if err := writeFiles(files); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		suite suite
		o     options
	}{
		{l4(), options{contenders: "plain,bare,waggle-kernel,waggle-relay", scenarios: "close"}},
		{l7(100), options{contenders: "waggle", scenarios: "idle"}},
		{tlsSuite(), options{contenders: "waggle", scenarios: "kept,h2,h2c-1,new"}},
	} {
		t.Run(c.suite.Name, func(t *testing.T) {
			s, err := c.suite.restrict(c.o)
			if err != nil {
				t.Fatal(err)
			}
			var results report.Results
			r := runner{suite: s, rounds: 1, duration: time.Second, progress: t.Output(),
				setting: setting{program: program.In(t), files: files, maxconn: 2000},
				emit:    func(l report.Line) error { results.Add(l); return nil }}
			if err := r.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if len(results.Failures) > 0 || len(results.Samples) != len(s.contenders)*len(s.scenarios) {
				t.Fatalf("failures %+v, samples %+v", results.Failures, results.Samples)
			}
			for _, sample := range results.Samples {
				plausible(t, sample)
			}
		})
	}
}

// plausible checks a sample of a second's load on this machine.
func plausible(t *testing.T, s report.Sample) {
	t.Helper()
	kernel := s.Contender == "waggle-kernel"
	h2 := strings.HasPrefix(s.Scenario, "h2") // its headers are compressed, and h2load knows no percentiles
	if s.Seconds < 0.9 || s.Seconds > 20 || s.Requests < 50 || s.Bytes < 50*s.Requests && !h2 || s.SystemCPU <= 0 || s.P50 <= 0 && !h2 || s.P99 < s.P50 {
		t.Errorf("not plausible: %+v", s)
	}
	if s.Errors > 0 {
		t.Errorf("%s had %d errors", s.Contender, s.Errors)
	}
	if kernel != (s.KernelShare != nil) || kernel && *s.KernelShare < 0.9 {
		t.Errorf("%s: kernel share %v", s.Contender, s.KernelShare)
	}
	switch s.Contender {
	case "plain", "bare":
		if s.OwnMemory != 0 || s.OwnCPU != 0 {
			t.Errorf("%s has no process, but %+v", s.Contender, s)
		}
	case "waggle", "waggle-relay":
		if s.OwnCPU <= 0 || s.OwnCPU > s.SystemCPU+0.05 || s.OwnMemory < 1<<20 {
			t.Errorf("%s: own CPU and memory of %+v", s.Contender, s)
		}
	}
}

// TestAnInterruptLeavesNothing: the load would last a minute.
func TestAnInterruptLeavesNothing(t *testing.T) {
	requireTools(t)
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	raw := filepath.Join(t.TempDir(), "raw.jsonl")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out strings.Builder
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"l4", "-contenders", "plain", "-scenarios", "close", "-seconds", "60", "-waggle", "/bin/false", "-json", raw}, &out, io.Discard)
	}()
	pid := awaitWrk(t, done)
	interrupted := time.Now()
	cancel()
	err := <-done
	if err == nil || !strings.Contains(err.Error(), "ended in round 1") {
		t.Errorf("ended with %v", err)
	}
	if took := time.Since(interrupted); took > 30*time.Second {
		t.Errorf("it took %s to end", took)
	}
	if left, _ := os.ReadDir(temporary); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if processes, _ := processTree(os.Getpid()); len(processes) != 1 {
		t.Errorf("wrk (%d) or others still run: %v", pid, processes)
	}
	if text, err := os.ReadFile(raw); err != nil || !strings.HasPrefix(string(text), `{"run":`) {
		t.Errorf("raw values: %v, %q", err, text)
	}
}

// awaitWrk waits until a child of this process is wrk.
func awaitWrk(t *testing.T, done <-chan error) int {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			t.Fatalf("ended before there was a load: %v", err)
		case <-tick.C:
		}
		pids, err := processTree(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		for _, pid := range pids {
			if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); strings.TrimSpace(string(name)) == wrk.name {
				return pid
			}
		}
	}
}
