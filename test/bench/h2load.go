package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"waggle/pkg/lab"
	"waggle/test/bench/report"
)

// h2load runs a scenario of HTTP/2, over TLS or in clear text, whose client begins with the preface at once. Unlike with wrk the load's start and end are in the CPU times of the machine, and
// no percentile of the latency is known.
func (st *stage) h2load(ctx context.Context, sc scenario, d time.Duration) (report.Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, d+30*time.Second)
	defer cancel()
	before, err := readMachineCPU()
	if err != nil {
		return report.Sample{}, err
	}
	p, err := st.lab.Client.Start(ctx, lab.Command{Argv: []string{h2load.name, "-t", strconv.Itoa(threads),
		"-c", strconv.Itoa(sc.connections), "-m", strconv.Itoa(sc.streams), "-D", strconv.Itoa(int(d.Seconds())),
		sc.url(st.targets[0])}})
	if err != nil {
		return report.Sample{}, err
	}
	if err := await(ctx, p, h2load.name); err != nil {
		return report.Sample{}, err
	}
	after, err := readMachineCPU()
	if err != nil {
		return report.Sample{}, err
	}
	s, err := parseH2load(p.Output(), sc.tls)
	took := after.since(before)
	s.Seconds, s.SystemCPU, s.Stolen = d.Seconds(), took.busy, took.stolen
	return s, err
}

var (
	h2loadRequests = regexp.MustCompile(`(?m)^requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout$`)
	h2loadTraffic  = regexp.MustCompile(`(?m)^traffic: .*?\((\d+)\) total`)
)

func parseH2load(output string, tls bool) (s report.Sample, err error) {
	protocol := "h2c"
	if tls {
		protocol = "h2"
	}
	requests, traffic := h2loadRequests.FindStringSubmatch(output), h2loadTraffic.FindStringSubmatch(output)
	if requests == nil || traffic == nil || !strings.Contains(output, "\nApplication protocol: "+protocol+"\n") {
		return s, fmt.Errorf("h2load did not say what it measured over HTTP/2: %s", output)
	}
	number := func(text string) (n int64) {
		if err == nil {
			n, err = strconv.ParseInt(text, 10, 64)
		}
		return n
	}
	s.Requests, s.Bytes = number(requests[1]), number(traffic[1])
	s.Errors = number(requests[2]) + number(requests[3]) + number(requests[4])
	if err == nil && s.Requests == 0 {
		err = fmt.Errorf("h2load got no response: %s", output)
	}
	return s, err
}
