package stats

import (
	"slices"
	"strconv"

	"waggle/pkg/pool"
)

// The size of a sparkline's picture, in units of its own.
const (
	sparkWidth  = pool.TrendLength - 1
	sparkHeight = 10
)

// spark draws values as the points of a line, the newest at the right edge; "" if they are all the same.
func spark(values []uint32) string {
	if len(values) < 2 || slices.Max(values) == slices.Min(values) {
		return ""
	}
	top := uint64(slices.Max(values))
	var b []byte
	for i, v := range values {
		if i > 0 && i < len(values)-1 && v == values[i-1] && v == values[i+1] {
			continue // in the middle of a level stretch
		}
		b = strconv.AppendInt(b, int64(sparkWidth-len(values)+1+i), 10)
		b = append(b, ',')
		b = strconv.AppendUint(b, sparkHeight-uint64(v)*sparkHeight/top, 10)
		b = append(b, ' ')
	}
	return string(b[:len(b)-1])
}

// noTrend is that of what has none.
var noTrend pool.Trend

func (r *Row) trend() *pool.Trend {
	switch r.Scope {
	case Listeners:
		return &noTrend
	case Frontends:
		return &r.Frontend.Trend
	case Backends:
		return &r.Backend.Trend
	default:
		return &r.Server.Trend
	}
}

func sessionSpark(r *Row) string { return spark(r.trend().Sessions()) }
func rateSpark(r *Row) string    { return spark(r.trend().Rates()) }
