package main

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

func TestParseMachineCPU(t *testing.T) {
	got, err := parseMachineCPU("cpu  1000 200 300 4000 500 60 7 8 900 0")
	if want := (machineCPU{busy: 15.67, stolen: 0.08, idle: 45}); err != nil || !near(got.busy, want.busy) || got.stolen != want.stolen || got.idle != want.idle {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, line := range []string{"", "cpu", "cpu0 1 2 3 4 5 6 7 8 9", "cpu 1 2 3 4 5 6 7", "cpu 1 2 3 4 5 6 7 x"} {
		if got, err := parseMachineCPU(line); err == nil {
			t.Errorf("%q gave %+v", line, got)
		}
	}
}

func near(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }

func TestBusyShare(t *testing.T) {
	took := machineCPU{10, 2, 20}.since(machineCPU{9, 1, 18})
	if got := took.share(); got != 0.25 {
		t.Errorf("1 busy, 1 stolen, 2 idle: share %v", got)
	}
	if got := (machineCPU{}).share(); got != 0 {
		t.Errorf("no time at all: share %v", got)
	}
}

// The time of a process is known to less than the ticks of /proc: what a contender in the kernel takes for a load of a second is a tick.
func TestProcessCPUIsFine(t *testing.T) {
	before, err := processCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const tick = 0.01
	smallest := tick
	for range 100 { // each look takes some time itself
		after, err := processCPU(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if after < before {
			t.Fatalf("%v s after %v", after, before)
		}
		if after > before {
			smallest = min(smallest, after-before)
		}
		before = after
	}
	if smallest > tick/2 {
		t.Errorf("it goes by %v s", smallest)
	}
	const nobody = 1 << 22 // PID_MAX_LIMIT
	if got, err := processCPU(nobody); err == nil {
		t.Errorf("nobody has taken %v s", got)
	}
}

func TestParsePeak(t *testing.T) {
	if got := parsePeak("Name:\tx\nVmPeak:\t 99 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 1 kB\n"); got != 1234<<10 {
		t.Errorf("got %d", got)
	}
	if got := parsePeak("Name:\tzombie\n"); got != 0 {
		t.Errorf("a process without memory has %d", got)
	}
}

func TestUsageCountsDescendants(t *testing.T) {
	child := exec.Command("sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; read line")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = in.Close()
		_ = child.Wait() // read fails at the end of its input
	}()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	took := time.Since(started).Seconds()
	pids, err := processTree(os.Getpid())
	if err != nil || !slices.Contains(pids, child.Process.Pid) || !slices.Contains(pids, os.Getpid()) {
		t.Fatalf("%v, %v lack %d", pids, err, child.Process.Pid)
	}
	u, err := usageOf([]int{child.Process.Pid})
	if err != nil || u.cpu <= 0 || u.cpu > took+0.02 || u.memory < 100<<10 {
		t.Errorf("a loop of %.2f s used %+v, %v", took, u, err)
	}
	all, err := usageOf(pids)
	if err != nil || all.cpu < u.cpu || all.memory <= u.memory {
		t.Errorf("all processes used %+v, one of them %+v, %v", all, u, err)
	}
}
