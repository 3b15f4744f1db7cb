package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"waggle/test/bench/report"
)

const packetsSuite = "packets"

// runPackets runs the benchmarks of the kernel path, which repeat single packets by BPF_PROG_RUN, and shows medians.
func runPackets(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o output
	f := flag.NewFlagSet("bench packets", flag.ContinueOnError)
	f.SetOutput(stderr)
	count := f.Int("count", 7, "how often each benchmark runs")
	pattern := f.String("bench", ".", "only benchmarks that match this `regexp`")
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

// wholeTables are the benchmarks that count passes over a table of a million flows, and not packets; so many passes are enough.
// A rate is no time for a packet: it is measured by its own command.
const (
	wholeTables = "^BenchmarkCollector$"
	passes      = "3x"
	rates       = "^BenchmarkRate$"
)

// runBenchmarks runs those of the kernel path.
func runBenchmarks(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-run", "^$", "-timeout", "30m"}, append(args, "waggle/pkg/datapath")...)...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go test passes it on
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go test: %w", err)
	}
	return nil
}

func measurePackets(ctx context.Context, o *output, count int, pattern, length, command string, progress io.Writer) (results report.Results, err error) {
	if os.Geteuid() != 0 {
		return results, fmt.Errorf("needs root, since it loads an eBPF program")
	}
	var out strings.Builder
	both := io.MultiWriter(&out, progress)
	repeat := []string{"-count", fmt.Sprint(count)}
	err = runBenchmarks(ctx, append(repeat, "-bench", pattern, "-benchtime", length, "-skip", wholeTables+"|"+rates), both, progress)
	if err != nil {
		return results, err
	}
	if matches, _ := regexp.MatchString(pattern, strings.Trim(wholeTables, "^$")); matches { // a bad pattern has failed above
		err = runBenchmarks(ctx, append(repeat, "-bench", wholeTables, "-benchtime", passes), both, progress)
		if err != nil {
			return results, err
		}
	}
	raw, err := o.openRaw()
	if err != nil {
		return results, err
	}
	results.Add(report.Line{Run: newRun(ctx, packetsSuite, command, "", count)})
	for _, p := range report.ParseBenchmarks(out.String()) {
		results.Add(report.Line{Packets: &p})
	}
	for _, l := range results.Lines() {
		if err := l.Write(raw); err != nil {
			return results, err
		}
	}
	if len(results.Packets) == 0 {
		err = fmt.Errorf("no benchmark matched %q", pattern)
	}
	if e := raw.Close(); err == nil {
		err = e
	}
	return results, err
}
