package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"waggle/pkg/lab"
	"waggle/test/bench/report"
)

const memorySuite = "memory"

// crowdMember is a contender whose memory is measured.
type crowdMember struct {
	title string
	start func(context.Context, *stage) error
}

// patient keeps slow clients' connections from timing out while others still come.
const patient = "600s"

func crowdMembers() []crowdMember {
	return []crowdMember{
		{"HAProxy, 2 threads", haproxyHTTP(haproxySettings{threads: 2, tls: true, timeout: patient})},
		{"waggle, a loop per CPU", func(ctx context.Context, st *stage) error {
			return st.waggle(ctx, haproxyConfig(st, haproxySettings{mode: "http", tls: true, timeout: patient}))
		}},
	}
}

// memoryRun measures the memory of connections at which little happens.
type memoryRun struct {
	setting     setting
	connections int
	calm        time.Duration // between the last connection and the look
	progress    io.Writer
}

// runMemory is the command line.
func runMemory(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	f := flag.NewFlagSet("bench memory", flag.ContinueOnError)
	f.SetOutput(stderr)
	n := f.Int("connections", 5000, "how many connections there are of each kind")
	waggle := f.String("waggle", "", "measure this `program`; by default waggle is built from the sources here")
	kinds := f.String("kinds", "", "only these, separated by commas: "+strings.Join(kindNames(), ","))
	docs := f.String("docs", "", "write the numbers into performance.md of this `directory`")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	if f.NArg() > 0 || *n < 1 || *n > mostIdle {
		return fmt.Errorf("wants no further words, and from 1 to %d connections", mostIdle)
	}
	only, err := chosen(*kinds, kindNames())
	if err != nil {
		return err
	}
	if err := demand(suite{contenders: []contender{{needs: []tool{haproxy}}}}); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "waggle-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := errors.Join(writeFiles(dir), raiseFileLimit()); err != nil {
		return err
	}
	program := lab.Command{Argv: []string{*waggle}}
	if *waggle == "" {
		if program, err = buildWaggle(ctx, dir); err != nil {
			return err
		}
	}
	r := memoryRun{connections: *n, calm: 4 * time.Second, progress: stderr,
		setting: setting{program: program, files: dir, maxconn: mostIdle + 1000}}
	table, err := r.table(ctx, crowdMembers(), only)
	if err != nil {
		return err
	}
	table.Text(stdout)
	if *docs == "" {
		return nil
	}
	o := output{docs: *docs}
	run := newRun(ctx, memorySuite, strings.Join(args, " "), *waggle, 1)
	return o.replaceTable(memorySuite, run, table)
}

func kindNames() (names []string) {
	for _, k := range crowdKinds() {
		names = append(names, k.name)
	}
	return names
}

// table measures every kind with every member, each on a fresh stage.
func (r memoryRun) table(ctx context.Context, members []crowdMember, only []string) (*report.Table, error) {
	t := &report.Table{Header: []string{"bytes a connection", "connections"}}
	for _, m := range members {
		t.Header = append(t.Header, m.title)
	}
	for _, k := range crowdKinds() {
		if len(only) > 0 && !slices.Contains(only, k.name) {
			continue
		}
		n := r.connections
		if k.most > 0 {
			n = min(n, k.most)
		}
		row := []string{k.title, strconv.Itoa(n)}
		for _, m := range members {
			took, err := r.measure(ctx, k, m, n)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", m.title, k.name, err)
			}
			fmt.Fprintf(r.progress, "%-24s  %-12s  %6.0f bytes a connection\n", m.title, k.name, took)
			row = append(row, fmt.Sprintf("%.0f", took))
		}
		t.Add(row...)
	}
	return t, nil
}

// measure tells what a connection takes of the resident memory of its contender's processes, in bytes.
func (r memoryRun) measure(ctx context.Context, k crowdKind, m crowdMember, n int) (took float64, err error) {
	st, err := newStage(ctx, r.setting)
	if err != nil {
		return 0, err
	}
	defer st.close()
	if err := m.start(ctx, st); err != nil {
		return 0, err
	}
	if err := st.ready(ctx); err != nil {
		return 0, err
	}
	pids, err := processTree(st.process.Pid())
	if err != nil {
		return 0, err
	}
	before, err := residentOf(pids)
	if err != nil {
		return 0, err
	}
	open, err := k.gather(ctx, st, n)
	defer closeAll(open)
	if err != nil {
		return 0, err
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(r.calm):
	}
	after, err := residentOf(pids)
	return float64(after-before) / float64(n), err
}

// residentOf sums resident memory over processes, in bytes.
func residentOf(pids []int) (sum int64, err error) {
	for _, pid := range pids {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, err
		}
		sum += parseStatus(string(status), "VmRSS:")
	}
	return sum, nil
}
