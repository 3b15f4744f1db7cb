package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ticksPerSecond is USER_HZ, in which the kernel shows CPU times on every architecture that Go knows.
const ticksPerSecond = 100

// machineCPU is CPU time of all processors together since boot, in seconds.
type machineCPU struct {
	busy   float64 // user, nice, system, irq, softirq
	stolen float64
	idle   float64 // idle, iowait
}

func readMachineCPU() (machineCPU, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machineCPU{}, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return parseMachineCPU(line)
}

// parseMachineCPU reads the first line of /proc/stat (proc(5)). Guests' time is part of user and nice.
func parseMachineCPU(line string) (machineCPU, error) {
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return machineCPU{}, fmt.Errorf("/proc/stat: unexpected %q", line)
	}
	var seconds [8]float64
	for i := range seconds {
		ticks, err := strconv.ParseUint(fields[i+1], 10, 64)
		if err != nil {
			return machineCPU{}, fmt.Errorf("/proc/stat: %w", err)
		}
		seconds[i] = float64(ticks) / ticksPerSecond
	}
	const user, nice, system, idle, iowait, irq, softirq, steal = 0, 1, 2, 3, 4, 5, 6, 7
	return machineCPU{
		busy:   seconds[user] + seconds[nice] + seconds[system] + seconds[irq] + seconds[softirq],
		stolen: seconds[steal],
		idle:   seconds[idle] + seconds[iowait],
	}, nil
}

func (a machineCPU) since(b machineCPU) machineCPU {
	return machineCPU{a.busy - b.busy, a.stolen - b.stolen, a.idle - b.idle}
}

// share is busy time by all time, 0 to 1.
func (a machineCPU) share() float64 {
	if all := a.busy + a.idle + a.stolen; all > 0 {
		return a.busy / all
	}
	return 0
}

// busyShare is the share of busy CPUs, 0 to 1, while it waits.
func busyShare(ctx context.Context, wait time.Duration) (float64, error) {
	before, err := readMachineCPU()
	if err != nil {
		return 0, err
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(wait):
	}
	after, err := readMachineCPU()
	return after.since(before).share(), err
}

// settle waits for what the start and the end of topologies leave behind, such as namespaces that the kernel
// still takes apart: until the machine is nearly idle, at most two seconds.
func settle(ctx context.Context) error {
	const window, quiet, windows = 250 * time.Millisecond, 0.03, 8
	for range windows {
		busy, err := busyShare(ctx, window)
		if err != nil {
			return err
		}
		if busy <= quiet {
			break
		}
	}
	return nil
}

// usage is what some processes have taken.
type usage struct {
	cpu    float64 // seconds, user and system
	memory int64   // bytes resident at most, summed over processes
}

// processTree lists a process and its descendants.
func processTree(pid int) ([]int, error) {
	list := []int{pid}
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil, err
	}
	for _, file := range lists {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue // the thread has ended
		}
		if err != nil {
			return nil, err
		}
		for word := range strings.FieldsSeq(string(text)) {
			child, err := strconv.Atoi(word)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			more, err := processTree(child)
			if err != nil {
				return nil, err
			}
			list = append(list, more...)
		}
	}
	return list, nil
}

// usageOf sums over processes.
func usageOf(pids []int) (u usage, err error) {
	for _, pid := range pids {
		cpu, err := processCPU(pid)
		if err != nil {
			return u, err
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return u, err
		}
		u.cpu += cpu
		u.memory += parsePeak(string(status))
	}
	return u, nil
}

// processCPU is the time in seconds that all threads of a process have run, also those that have ended, by its clock: to the nanosecond.
// utime and stime of /proc/PID/stat are in steps of 10 ms, which is as much as waggle takes for a second of connections in the kernel.
func processCPU(pid int) (float64, error) {
	const ofScheduler = 2 // CPUCLOCK_SCHED, in the clock that clock_getcpuclockid(3) makes
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|ofScheduler), &t); err != nil {
		return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	return float64(t.Nano()) / 1e9, nil
}

// parsePeak reads VmHWM of /proc/PID/status, in bytes; 0 for a process that has no memory any more.
func parsePeak(status string) int64 { return parseStatus(status, "VmHWM:") }

// parseStatus reads a size in a line of /proc/PID/status.
func parseStatus(status, name string) int64 {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err == nil {
				return kb << 10
			}
		}
	}
	return 0
}

// forgetPeaks makes the kernel count the most memory from now on (clear_refs, proc(5)).
func forgetPeaks(pids []int) error {
	for _, pid := range pids {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
			return err
		}
	}
	return nil
}
