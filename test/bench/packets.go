package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"waggle/test/bench/report"
)

const packetsSuite = "packets"

// everyBenchmark is the pattern of all.
const everyBenchmark = "."

// runPackets runs the benchmarks of the kernel path, which repeat single packets by BPF_PROG_RUN, and shows medians.
func runPackets(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o output
	f := flag.NewFlagSet("bench packets", flag.ContinueOnError)
	f.SetOutput(stderr)
	count := f.Int("count", 7, "how often each benchmark runs, in a process of its own each time")
	pattern := f.String("bench", everyBenchmark, "only benchmarks that match this `regexp`")
	length := f.String("benchtime", "4000x", "how many packets each run takes, or how long it lasts: 0.2s")
	o.flags(f)
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("unexpected %q", f.Arg(0))
	}
	var results report.Results
	var err error
	if o.from != "" {
		results, err = readResults(o.from, packetsSuite)
	} else {
		results, err = measurePackets(ctx, &o, *count, *pattern, *length, strings.Join(args, " "), stderr)
	}
	if err != nil {
		return err
	}
	report.PacketText(stdout, results)
	if o.docs == "" {
		return nil
	}
	return o.documentPackets(results)
}

// documentPackets writes the page and the chart.
func (o *output) documentPackets(results report.Results) error {
	var text, chart strings.Builder
	drawn, err := report.ScaleChart(&chart, results)
	if err != nil {
		return err
	}
	name := ""
	if drawn {
		name = "bench-" + packetsSuite + ".svg"
		if err := os.WriteFile(filepath.Join(o.docs, name), []byte(chart.String()), 0o644); err != nil {
			return err
		}
	}
	report.PacketMarkdown(&text, results, name)
	return o.document(packetsSuite, text.String(), results)
}

func measurePackets(ctx context.Context, o *output, count int, pattern, length, command string, progress io.Writer) (results report.Results, err error) {
	if os.Geteuid() != 0 {
		return results, fmt.Errorf("needs root, since it loads an eBPF program")
	}
	dir, err := os.MkdirTemp("", "waggle-bench-")
	if err != nil {
		return results, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b, err := buildBenchmarks(ctx, dir, progress)
	if err != nil {
		return results, err
	}
	output, err := b.measure(ctx, pattern, length, count)
	if err != nil {
		return results, err
	}
	raw, err := o.openRaw()
	if err != nil {
		return results, err
	}
	results.Add(report.Line{Run: newRun(ctx, packetsSuite, command, "", count)})
	for _, p := range report.ParseBenchmarks(output) {
		results.Add(report.Line{Packets: &p})
	}
	for _, l := range results.Lines() {
		if err := l.Write(raw); err != nil {
			return results, err
		}
	}
	return results, raw.Close()
}
