package datapath

import (
	"fmt"
	"io"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// RunTime is how often the program has run, and how long that took together. Packets that are not ours count too, and those
// that XDP leaves to TC count twice.
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

// read sums up over programs, of which some may be nil.
func (s *stopwatch) read(programs ...*ebpf.Program) (sum RunTime, err error) {
	for _, p := range programs {
		if p == nil {
			continue
		}
		stats, err := p.Stats()
		if err != nil {
			return RunTime{}, fmt.Errorf("read run-time statistics: %w", err)
		}
		sum.Runs += stats.RunCount
		sum.Time += stats.Runtime
	}
	return sum, nil
}
