package stick

import (
	"math/bits"
	"slices"
	"strings"
	"time"
)

// Data is a kind of data that an entry may store. The names are HAProxy's (section 11.1, stick-table), and so is the order
// in which they are shown.
type Data uint8

// The kinds.
const (
	GPT0 Data = iota // a general purpose tag: rules set it
	GPC0             // a general purpose counter: rules count in it
	GPC0Rate
	ConnCnt
	ConnRate
	ConnCur
	SessCnt
	SessRate
	HTTPReqCnt
	HTTPReqRate
	HTTPErrCnt
	HTTPErrRate
	GPC1
	GPC1Rate
	HTTPFailCnt
	HTTPFailRate
	NumData
)

var names = [NumData]string{
	"gpt0", "gpc0", "gpc0_rate", "conn_cnt", "conn_rate", "conn_cur", "sess_cnt", "sess_rate", "http_req_cnt", "http_req_rate", "http_err_cnt", "http_err_rate",
	"gpc1", "gpc1_rate", "http_fail_cnt", "http_fail_rate",
}

// String is the kind's name.
func (d Data) String() string { return names[d] }

// Rate says whether the kind is a number of events in a period.
func (d Data) Rate() bool {
	return strings.HasSuffix(names[d], "_rate")
}

// DataNames are the names of all kinds.
func DataNames() []string { return slices.Clone(names[:]) }

// FindData finds a kind by its name.
func FindData(name string) (Data, bool) {
	i := slices.Index(names[:], name)
	return Data(max(i, 0)), i >= 0
}

// counter is a number, or a number of events in a sliding period.
type counter struct {
	total     uint64
	prev, now uint64        // events of the whole period before, and of the one that runs
	since     time.Duration // its begin
}

// roll begins a new period if the one that runs is over.
func (c *counter) roll(at, period time.Duration) {
	switch passed := at - c.since; {
	case passed < period:
	case passed < 2*period:
		c.prev, c.now, c.since = c.now, 0, c.since+period
	default:
		c.prev, c.now, c.since = 0, 0, at
	}
}

// rate estimates the events of the last period: all of the one that runs, and as much of the one before as is not over.
func (c *counter) rate(at, period time.Duration) uint64 {
	c.roll(at, period)
	left := period - (at - c.since)
	high, low := bits.Mul64(c.prev, uint64(left)) // a day has 2^47 ns
	share, _ := bits.Div64(high, low, uint64(period))
	return c.now + share
}
