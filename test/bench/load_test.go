package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/test/bench/report"
)

const wrkOutput = `Running 2s test @ http://172.18.0.3:8000/
  3 threads and 66 connections

BENCH {"before":"cpu  100 0 100 1000 0 0 0 0 0 0","after":"cpu  200 0 150 1010 0 0 50 10 0 0","duration":2000000,"requests":50000,"bytes":10000000,"errors":3,"p50":1200,"p99":9900}
  Thread Stats   Avg      Stdev     Max   +/- Stdev
`

func TestParseWrk(t *testing.T) {
	r, err := parseWrk(wrkOutput)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.sample()
	want := report.Sample{Seconds: 2, Requests: 50000, Bytes: 10_000_000, Errors: 3, P50: 1200, P99: 9900, SystemCPU: 2, Stolen: 0.1}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, broken := range []string{"", "unable to connect to 172.18.0.3:8000 Connection refused\n", "BENCH {\n"} {
		if r, err := parseWrk(broken); err == nil {
			t.Errorf("%q gave %+v", broken, r)
		}
	}
	if s, err := (wrkResult{Before: r.Before, After: r.After}).sample(); err == nil {
		t.Errorf("no response gave %+v", s)
	}
}

func TestWrkCommand(t *testing.T) {
	targets := []netip.AddrPort{netip.MustParseAddrPort("10.0.1.3:8000"), netip.MustParseAddrPort("10.0.1.4:8000")}
	c := wrkCommand(scenario{path: bigPath, connections: 64, close: true}, targets, 2*time.Second)
	line := strings.Join(c.Argv, " ")
	for _, want := range []string{"-t 3 ", "-c 66 ", "-d 2s ", "-H Connection: close", " http://10.0.1.3:8000/big"} {
		if !strings.Contains(line, want) {
			t.Errorf("no %q in %q", want, line)
		}
	}
	if !slices.Contains(c.Env, "BENCH_TARGETS=10.0.1.3:8000 10.0.1.4:8000") {
		t.Errorf("environment %q", c.Env)
	}
	if c := wrkCommand(scenario{path: "/", connections: 63}, targets, time.Second); !strings.Contains(strings.Join(c.Argv, " "), "-c 63 ") || slices.Contains(c.Argv, "-H") {
		t.Errorf("kept connections: %q", c.Argv)
	}
}

func TestParseSessions(t *testing.T) {
	const metrics = `# TYPE waggle_frontend_sessions_total counter
waggle_frontend_sessions_total{path="kernel",proxy="in"} 1200
waggle_frontend_sessions_total{path="userspace",proxy="in"} 1.5e+3
waggle_frontend_sessions_total{path="kernel",proxy="observer"} 7
`
	if got, err := parseSessions(metrics); err != nil || got != (sessions{1200, 1500}) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, broken := range []string{"", `waggle_frontend_sessions_total{path="kernel",proxy="in"} 1`, strings.ReplaceAll(metrics, "1200", "many")} {
		if got, err := parseSessions(broken); err == nil {
			t.Errorf("%q gave %+v", broken, got)
		}
	}
}
