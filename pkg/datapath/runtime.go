package datapath

import (
	"fmt"
	"io"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// RunTime is how often the program has run, and how long that took together. Packets that are not ours count too.
type RunTime struct {
	Runs uint64
	Time time.Duration
}

// PerPacket is the mean time of a run.
func (r RunTime) PerPacket() time.Duration {
	if r.Runs == 0 {
		return 0
	}
	return r.Time / time.Duration(r.Runs)
}

// stopwatch has the kernel measure programs.
type stopwatch struct {
	enabled io.Closer // nil: the kernel would not, but may be measuring already (sysctl kernel.bpf_stats_enabled)
	past    RunTime   // of programs that were replaced
}

func openStopwatch() (*stopwatch, error) {
	enabled, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		return &stopwatch{}, fmt.Errorf("enable run-time statistics: %w", err)
	}
	return &stopwatch{enabled: enabled}, nil
}

func (s *stopwatch) close() error {
	if s.enabled == nil {
		return nil
	}
	return s.enabled.Close()
}

func (s *stopwatch) read(prog *ebpf.Program) (RunTime, error) {
	stats, err := prog.Stats()
	if err != nil {
		return s.past, fmt.Errorf("read run-time statistics: %w", err)
	}
	return RunTime{Runs: s.past.Runs + stats.RunCount, Time: s.past.Time + stats.Runtime}, nil
}

// retire keeps what a program has counted that is about to be replaced.
func (s *stopwatch) retire(prog *ebpf.Program) error {
	sum, err := s.read(prog)
	s.past = sum
	return err
}
