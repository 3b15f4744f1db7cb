package datapath

import "golang.org/x/sys/unix"

// monotonicNow is the clock of bpf_ktime_get_coarse_ns, in nanoseconds.
func monotonicNow() uint64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_COARSE, &ts); err != nil {
		return 0 // the call has no way to fail with a valid pointer and clock
	}
	return uint64(ts.Nano())
}
