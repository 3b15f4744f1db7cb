package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"waggle/test/bench/report"
)

const datapathPackage = "waggle/pkg/datapath"

// benchmarks are those of the kernel path, as a program that is built once. Each of them, with each of its parts, runs in a process of its
// own: what it finds in the caches depends on where a process has its memory and the kernel the maps, so many runs of one process
// would be one sample.
type benchmarks struct {
	program  string
	dir      string // of the package
	progress io.Writer
}

// rates is a benchmark of a rate, which is no time for a packet: it runs only if it is asked for.
const rates = "BenchmarkRate"

// wholeTables counts passes over a table of a million flows, and not packets; so many passes are enough.
const (
	wholeTables = "Collector"
	passes      = "3x"
)

// buildBenchmarks builds them in a directory of the caller's.
func buildBenchmarks(ctx context.Context, dir string, progress io.Writer) (benchmarks, error) {
	b := benchmarks{program: filepath.Join(dir, "datapath.test"), progress: progress}
	for _, args := range [][]string{{"test", "-c", "-o", b.program, datapathPackage}, {"list", "-f", "{{.Dir}}", datapathPackage}} {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Stderr = progress
		out, err := cmd.Output()
		if err != nil {
			return b, fmt.Errorf("go %s: %w", args[0], err)
		}
		b.dir = strings.TrimSpace(string(out))
	}
	return b, nil
}

// run runs a process of them and returns what it writes.
func (b benchmarks) run(ctx context.Context, pattern, length string, more ...string) (string, error) {
	cmd := exec.CommandContext(ctx, b.program, append([]string{"-test.run", "^$", "-test.bench", pattern, "-test.benchtime", length, "-test.timeout", "30m"}, more...)...)
	cmd.Dir, cmd.Stderr = b.dir, b.progress
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	out, err := cmd.Output()
	if err != nil { // what has failed is among it
		return "", fmt.Errorf("run the benchmarks %s: %w\n%s", pattern, err, out)
	}
	return string(out), nil
}

// names lists what a pattern stands for, parts of benchmarks included. Only running them tells, once.
func (b benchmarks) names(ctx context.Context, pattern string) ([]string, error) {
	var more []string
	if pattern == everyBenchmark {
		more = []string{"-test.skip", rates}
	}
	out, err := b.run(ctx, pattern, "1x", more...)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range report.ParseBenchmarks(out) {
		if !slices.Contains(names, p.Case) {
			names = append(names, p.Case)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no benchmark matched %q", pattern)
	}
	return names, nil
}

// only is the pattern of a single benchmark, or part of one.
func only(name string) string {
	parts := strings.Split("Benchmark"+name, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// measure runs each of the benchmarks count times, one after the other in rounds, and returns what they write.
func (b benchmarks) measure(ctx context.Context, pattern, length string, count int) (string, error) {
	names, err := b.names(ctx, pattern)
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for range count {
		for _, name := range names {
			times := length
			if strings.HasPrefix(name, wholeTables+"/") {
				times = passes
			}
			out, err := b.run(ctx, only(name), times)
			if err != nil {
				return "", err
			}
			for line := range strings.Lines(out) {
				if strings.HasPrefix(line, "Benchmark") {
					fmt.Fprint(io.MultiWriter(&all, b.progress), line)
				}
			}
		}
	}
	return all.String(), nil
}
