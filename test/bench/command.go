package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"waggle/pkg/lab"
	"waggle/test/bench/report"
)

// options are the flags of a suite.
type options struct {
	rounds     int
	seconds    int
	contenders string
	scenarios  string
	waggle     string
	congestion string
	idle       int
	also       string
	output
}

// output is where results go besides standard output.
type output struct {
	json string
	svg  string
	docs string
	from string
}

func (o *output) flags(f *flag.FlagSet) {
	f.StringVar(&o.json, "json", "", "write raw values to this `file`, a JSON object on each line")
	f.StringVar(&o.docs, "docs", "", "write the numbers into performance.md of this `directory`, with chart and raw values beside it")
	f.StringVar(&o.from, "from", "", "measure nothing: show the raw values in this `file`")
}

func parseOptions(s suite, args []string, stderr io.Writer) (o options, err error) {
	f := flag.NewFlagSet("bench "+s.Name, flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.rounds, "rounds", 7, "how often each contender is measured")
	f.IntVar(&o.seconds, "seconds", 2, "how long each load lasts, in seconds")
	f.StringVar(&o.contenders, "contenders", "", "only these, separated by commas: "+strings.Join(names(s.Contenders), ","))
	f.StringVar(&o.scenarios, "scenarios", "", "only these, separated by commas: "+strings.Join(names(s.Scenarios), ","))
	f.StringVar(&o.waggle, "waggle", "", "measure this `program`; by default waggle is built from the sources here")
	f.StringVar(&o.congestion, "congestion", "", "TCP's congestion control on both sides, as in cubic; by default the machine's")
	f.IntVar(&o.idle, "idle", defaultIdle, "how many connections are idle in the scenario of that name")
	f.StringVar(&o.also, "also", "", "measure other builds of waggle besides, as NAME=`PROGRAM` separated by commas")
	f.StringVar(&o.svg, "svg", "", "draw a chart to this `file`")
	o.flags(f)
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected %q", f.Arg(0))
	}
	if o.rounds < 1 || o.seconds < 1 || o.idle < 0 || o.idle > mostIdle {
		return o, fmt.Errorf("rounds and seconds are at least 1, idle connections at most %d", mostIdle)
	}
	return o, nil
}

func names[T report.Contender | report.Scenario](list []T) []string {
	var found []string
	for _, v := range list {
		switch v := any(v).(type) {
		case report.Contender:
			found = append(found, v.Name)
		case report.Scenario:
			found = append(found, v.Name)
		}
	}
	return found
}

// chosen splits a list of names and checks them.
func chosen(list string, known []string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	words := strings.Split(list, ",")
	for _, w := range words {
		if !slices.Contains(known, w) {
			return nil, fmt.Errorf("unknown %q; there is %s", w, strings.Join(known, ", "))
		}
	}
	return words, nil
}

// restrict leaves what the flags choose.
func (s suite) restrict(o options) (suite, error) {
	scenarios, err := chosen(o.scenarios, names(s.Scenarios))
	if err != nil {
		return s, err
	}
	contenders, err := chosen(o.contenders, names(s.Contenders))
	if err != nil {
		return s, err
	}
	s.Suite = s.Restrict(scenarios, contenders)
	s.scenarios = slices.DeleteFunc(slices.Clone(s.scenarios), func(v scenario) bool { return !slices.Contains(s.Scenarios, v.Scenario) })
	s.contenders = slices.DeleteFunc(slices.Clone(s.contenders), func(v contender) bool { return !slices.Contains(s.Contenders, v.Contender) })
	return s, nil
}

// runSuite is the command line of a suite, which has a scenario with the given number of idle connections, or
// none; args begin with its name.
func runSuite(ctx context.Context, suiteOf func(idle int) suite, args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(suiteOf(defaultIdle), args[1:], stderr)
	if err != nil {
		return err
	}
	s, err := suiteOf(o.idle).restrict(o)
	if err == nil {
		s, err = s.also(o.also)
	}
	if err != nil {
		return err
	}
	var results report.Results
	if o.from != "" {
		results, err = readResults(o.from, s.Name)
	} else {
		results, err = measureSuite(ctx, s, o, strings.Join(args, " "), stderr)
	}
	if len(results.Samples) > 0 {
		report.Text(stdout, s.Suite, results)
	}
	if err == nil {
		err = absent(s, results)
	}
	if err != nil {
		return err // half a measurement is shown, but does not replace a whole one
	}
	return o.save(s, results)
}

func readResults(file, suite string) (report.Results, error) {
	f, err := os.Open(file)
	if err != nil {
		return report.Results{}, err
	}
	defer f.Close()
	r, err := report.Read(f)
	if err == nil && r.Run.Suite != suite {
		err = fmt.Errorf("%s is of %q, not %q", file, r.Run.Suite, suite)
	}
	return r, err
}

// measureSuite measures, and returns what it has also with an error.
func measureSuite(ctx context.Context, s suite, o options, command string, progress io.Writer) (results report.Results, err error) {
	if err := demand(s); err != nil {
		return results, err
	}
	dir, err := os.MkdirTemp("", "waggle-bench-")
	if err != nil {
		return results, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := writeFiles(dir); err != nil {
		return results, err
	}
	program := lab.Command{Argv: []string{o.waggle}}
	if o.waggle == "" {
		if program, err = buildWaggle(ctx, dir); err != nil {
			return results, err
		}
	}
	s, caddy, noCaddy := withCaddy(ctx, s, dir)
	raw, err := o.openRaw()
	if err != nil {
		return results, err
	}
	defer func() { err = errors.Join(err, raw.Close()) }()
	if err := raiseFileLimit(); err != nil {
		return results, err
	}
	r := runner{suite: s, rounds: o.rounds, duration: time.Duration(o.seconds) * time.Second, progress: progress,
		setting: setting{program: program, caddy: caddy, files: dir, congestion: o.congestion, maxconn: max(crowd, o.idle) + 1000},
		emit: func(l report.Line) error {
			results.Add(l)
			return l.Write(raw)
		}}
	if err := r.emit(report.Line{Run: newRun(ctx, s.Name, command, o.waggle, o.rounds)}); err != nil {
		return results, err
	}
	if noCaddy != nil {
		if err := r.emit(report.Line{Failure: &report.Failure{Suite: s.Name, Contender: caddyName, Error: noCaddy.Error()}}); err != nil {
			return results, err
		}
	}
	return results, r.run(ctx)
}

func newRun(ctx context.Context, suite, command, waggle string, rounds int) *report.Run {
	return &report.Run{Suite: suite, Command: "go run ./test/bench " + command, Started: time.Now().UTC(),
		Rounds: rounds, Machine: machine(), Versions: versions(ctx, waggle)}
}

// openRaw opens the file for raw values, which grows as they come in.
func (o *output) openRaw() (io.WriteCloser, error) {
	if o.json == "" {
		return discard{}, nil
	}
	return os.Create(o.json)
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }

// save writes the chart and the document.
func (o options) save(s suite, r report.Results) error {
	charts := []string{o.svg}
	if o.docs != "" {
		chart := "bench-" + s.Name + ".svg"
		charts = append(charts, filepath.Join(o.docs, chart))
		var text strings.Builder
		report.Markdown(&text, s.Suite, r, chart)
		if err := o.document(s.Name, text.String(), r); err != nil {
			return err
		}
	}
	for _, file := range charts {
		if file == "" {
			continue
		}
		var chart strings.Builder
		if err := report.Chart(&chart, s.Suite, r.Samples); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(chart.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// replaceTable puts a table into performance.md, with the command that has made it.
func (o *output) replaceTable(name string, run *report.Run, t *report.Table) error {
	path := filepath.Join(o.docs, "performance.md")
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var text strings.Builder
	report.Origin(&text, run)
	fmt.Fprintln(&text)
	t.Markdown(&text)
	whole, err := report.Replace(string(old), name, text.String())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(whole), 0o644)
}

// document puts a section into performance.md, and the raw values beside it.
func (o *output) document(name, text string, r report.Results) error {
	path := filepath.Join(o.docs, "performance.md")
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, err = report.Replace(string(old), name, text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	var raw strings.Builder
	for _, l := range r.Lines() {
		if err := l.Write(&raw); err != nil {
			return err
		}
	}
	return errors.Join(os.WriteFile(path, []byte(text), 0o644),
		os.WriteFile(filepath.Join(o.docs, "bench-"+name+".jsonl"), []byte(raw.String()), 0o644))
}
