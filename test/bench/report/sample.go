// Package report makes tables, charts and verdicts out of what a benchmark measured. It measures nothing itself.
package report

import (
	"math"
)

// Sample is what one contender did in one scenario of one round.
type Sample struct {
	Suite     string `json:"suite"`
	Scenario  string `json:"scenario"`
	Contender string `json:"contender"`
	Round     int    `json:"round"`    // from 1
	Position  int    `json:"position"` // in the order of the round, from 1

	Seconds  float64 `json:"seconds"` // under load
	Requests int64   `json:"requests"`
	Bytes    int64   `json:"bytes"` // that came to the client, headers included
	// Errors are connections that could not be made, were cut or took too long, and responses of another status
	// than 2xx and 3xx.
	Errors int64   `json:"errors"`
	P50    float64 `json:"p50_us"` // latency as the client saw it
	P99    float64 `json:"p99_us"`

	SystemCPU float64 `json:"system_cpu_s"` // all CPUs together, all that was not idle, iowait or stolen
	OwnCPU    float64 `json:"own_cpu_s"`    // user and system time of the contender's processes
	OwnMemory int64   `json:"own_memory"`   // bytes resident at most, of the contender's processes
	Stolen    float64 `json:"stolen_s"`     // CPU time that the hypervisor gave to others

	// Background is the share of all CPUs, 0 to 1, that was busy just before the load, with everything started.
	Background float64 `json:"background"`
	// KernelShare is the part, 0 to 1, of the connections of the contender's round that its kernel path carried;
	// nil for contenders that have none.
	KernelShare *float64 `json:"kernel_share,omitempty"`
}

// Failure says that a contender could not be measured in a round.
type Failure struct {
	Suite     string `json:"suite"`
	Contender string `json:"contender"`
	Round     int    `json:"round"`
	Error     string `json:"error"`
}

// Unit is what a scenario counts.
type Unit int

const (
	// Requests are counted one by one.
	Requests Unit = iota
	// Megabytes (10^6 bytes) are counted where a request takes long.
	Megabytes
)

// String is the unit as it follows a number or a slash.
func (u Unit) String() string {
	if u == Megabytes {
		return "MB"
	}
	return "request"
}

// perSecond is the unit of a rate.
func (u Unit) perSecond() string {
	if u == Megabytes {
		return "MB/s"
	}
	return "requests/s"
}

// work is how much of the unit a sample did.
func (u Unit) work(s Sample) float64 {
	if u == Megabytes {
		return float64(s.Bytes) / 1e6
	}
	return float64(s.Requests)
}

// Metric is a figure of a sample. Its value is NaN where the sample has none.
type Metric string

const (
	// Rate is requests, or megabytes, per second.
	Rate Metric = "rate"
	// SystemCPU is microseconds of all CPUs together per request or megabyte: client, kernel, contender, servers.
	SystemCPU Metric = "system CPU"
	// OwnCPU is microseconds of the contender's processes per request or megabyte.
	OwnCPU Metric = "own CPU"
	// P50 and P99 are latencies in microseconds.
	P50 Metric = "p50"
	P99 Metric = "p99"
	// Memory is bytes.
	Memory Metric = "memory"
)

func (m Metric) of(s Sample, u Unit) float64 {
	switch m {
	case Rate:
		return divide(u.work(s), s.Seconds)
	case SystemCPU:
		return divide(s.SystemCPU*1e6, u.work(s))
	case OwnCPU:
		return divide(s.OwnCPU*1e6, u.work(s))
	case P50:
		return known(s.P50)
	case P99:
		return known(s.P99)
	case Memory:
		return float64(s.OwnMemory)
	}
	return math.NaN()
}

// known is a latency. That is never 0, but where a load generator does not tell it.
func known(us float64) float64 {
	if us == 0 {
		return math.NaN()
	}
	return us
}

// divide is a/b, NaN where nothing was done.
func divide(a, b float64) float64 {
	if b == 0 {
		return math.NaN()
	}
	return a / b
}
