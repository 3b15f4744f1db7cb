package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"waggle/pkg/lab"
	"waggle/test/bench/report"
)

//go:embed load.lua
var loadScript []byte

// threads is how many threads wrk has: one for each server, since that is how it spreads connections when nothing
// is in front of them; and as many for the others, to compare like with like.
const threads = servers

// wrkResult is what load.lua prints.
type wrkResult struct {
	Before, After string // of /proc/stat
	Duration      int64  // us
	Requests      int64
	Bytes         int64
	Errors        int64
	P50, P99      float64 // us
}

// load runs a scenario against the stage's targets.
func (st *stage) load(ctx context.Context, sc scenario, d time.Duration) (report.Sample, error) {
	idle, err := openIdle(ctx, st, sc.idle)
	defer closeAll(idle)
	if err != nil {
		return report.Sample{}, err
	}
	var pids []int
	if st.process != nil {
		if pids, err = processTree(st.process.Pid()); err != nil {
			return report.Sample{}, err
		}
	}
	if err := forgetPeaks(pids); err != nil {
		return report.Sample{}, err
	}
	before, err := usageOf(pids)
	if err != nil {
		return report.Sample{}, err
	}
	generate := st.wrk
	if sc.streams > 0 {
		generate = st.h2load
	}
	s, err := generate(ctx, sc, d)
	if err != nil {
		return report.Sample{}, err
	}
	after, err := usageOf(pids)
	s.Scenario, s.OwnCPU, s.OwnMemory = sc.Name, after.cpu-before.cpu, after.memory
	return s, err
}

func (st *stage) wrk(ctx context.Context, sc scenario, d time.Duration) (report.Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, d+30*time.Second)
	defer cancel()
	p, err := st.lab.Client.Start(ctx, wrkCommand(sc, st.targets, d))
	if err != nil {
		return report.Sample{}, err
	}
	if err := await(ctx, p, wrk.name); err != nil {
		return report.Sample{}, err
	}
	result, err := parseWrk(p.Output())
	if err != nil {
		return report.Sample{}, err
	}
	return result.sample()
}

func wrkCommand(sc scenario, targets []netip.AddrPort, d time.Duration) lab.Command {
	perThread := (sc.connections + threads - 1) / threads
	argv := []string{wrk.name, "-t", strconv.Itoa(threads), "-c", strconv.Itoa(threads * perThread),
		"-d", fmt.Sprintf("%ds", int(d.Seconds())), "--timeout", "10s", "-s", lab.FilesDir + "/load.lua"}
	if sc.close {
		argv = append(argv, "-H", "Connection: close")
	}
	list := make([]string, len(targets))
	for i, t := range targets {
		if sc.tls {
			t = secure(t)
		}
		list[i] = t.String()
	}
	return lab.Command{
		Argv:  append(argv, sc.url(targets[0])),
		Env:   []string{"BENCH_TARGETS=" + strings.Join(list, " ")},
		Files: map[string][]byte{"load.lua": loadScript},
	}
}

func parseWrk(output string) (r wrkResult, err error) {
	for line := range strings.Lines(output) {
		if text, ok := strings.CutPrefix(line, "BENCH "); ok {
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				return r, fmt.Errorf("wrk: %w in %q", err, line)
			}
			return r, nil
		}
	}
	return r, fmt.Errorf("wrk did not say what it measured: %s", output)
}

func (r wrkResult) sample() (s report.Sample, err error) {
	before, err := parseMachineCPU(r.Before)
	if err != nil {
		return s, err
	}
	after, err := parseMachineCPU(r.After)
	if err != nil {
		return s, err
	}
	if r.Requests == 0 {
		return s, errors.New("wrk got no response")
	}
	took := after.since(before)
	return report.Sample{
		Seconds: float64(r.Duration) / 1e6, Requests: r.Requests, Bytes: r.Bytes, Errors: r.Errors,
		P50: r.P50, P99: r.P99, SystemCPU: took.busy, Stolen: took.stolen,
	}, nil
}
