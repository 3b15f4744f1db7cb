package pool

import (
	"slices"
	"sync/atomic"
	"time"
)

// Shard holds the counters that one writer (an event loop, or the collector of the kernel path) adds
// to. Shards of different writers share no cache line. All byte counts are payload bytes.
type Shard struct {
	Connections    atomic.Uint64 // client connections accepted (frontend)
	Sessions       atomic.Uint64 // sessions: TCP connections, or HTTP client streams (stot)
	Requests       atomic.Uint64 // HTTP requests received (frontend) or sent (server, backend)
	BytesIn        atomic.Uint64 // from clients
	BytesOut       atomic.Uint64 // towards clients
	DeniedReq      atomic.Uint64
	DeniedResp     atomic.Uint64
	DeniedConn     atomic.Uint64
	DeniedSess     atomic.Uint64 // by tcp-request session
	ReqErrors      atomic.Uint64 // malformed, aborted or timed out while the request was read
	ConnErrors     atomic.Uint64 // connections to servers that failed
	RespErrors     atomic.Uint64 // responses that were malformed or cut
	Retries        atomic.Uint64
	Redispatches   atomic.Uint64
	LBTotal        atomic.Uint64 // times that balancing chose this server
	ClientAborts   atomic.Uint64
	ServerAborts   atomic.Uint64
	Connects       atomic.Uint64 // connection attempts to servers
	Reuses         atomic.Uint64 // requests sent over a kept connection
	Intercepted    atomic.Uint64 // requests answered by us (stats page, redirects, monitor)
	InternalErrs   atomic.Uint64
	FailedRewrites atomic.Uint64    // heads that rules made larger than a buffer
	CompIn         atomic.Uint64    // bytes of response bodies that were compressed
	CompOut        atomic.Uint64    // what they became
	CompBypassed   atomic.Uint64    // bytes of bodies whose coding is identity
	CompResponses  atomic.Uint64    // responses that went through compression, whole
	HTTP           [6]atomic.Uint64 // responses: 1xx, 2xx, 3xx, 4xx, 5xx, other

	_ [64]byte
}

// CountStatus counts one HTTP response by the class of its status code.
func (s *Shard) CountStatus(code int) {
	class := code/100 - 1
	if class < 0 || class > 4 {
		class = 5
	}
	s.HTTP[class].Add(1)
}

// Totals is the sum of all shards at one moment.
type Totals struct {
	Connections, Sessions, Requests, BytesIn, BytesOut       uint64
	DeniedReq, DeniedResp, DeniedConn, DeniedSess, ReqErrors uint64
	ConnErrors, RespErrors, Retries, Redispatches            uint64
	LBTotal, ClientAborts, ServerAborts, Connects            uint64
	Reuses, Intercepted, InternalErrs, FailedRewrites        uint64
	CompIn, CompOut, CompBypassed, CompResponses             uint64
	HTTP                                                     [6]uint64
}

// KernelShard is the index of the shard that the collector of the kernel path adds to. Event loop n
// uses shard n+1.
const KernelShard = 0

// Counters is one object's counters, sharded by writer.
type Counters struct {
	shards []Shard
	base   atomic.Pointer[Totals] // what had been counted when they were last reset; nil: never
	parts  atomic.Pointer[[]*Counters]
}

// include makes the sums have those of part in them from now on. One goroutine at a time may call it.
func (c *Counters) include(part *Counters) {
	parts := []*Counters{part}
	if old := c.parts.Load(); old != nil {
		parts = append(slices.Clone(*old), part)
	}
	c.parts.Store(&parts)
}

// SessionsOf returns the sessions that one writer has ever counted.
func (c *Counters) SessionsOf(writer int) uint64 {
	n := c.shards[writer].Sessions.Load()
	if parts := c.parts.Load(); parts != nil {
		for _, p := range *parts {
			n += p.SessionsOf(writer)
		}
	}
	return n
}

func newCounters(writers int) Counters { return Counters{shards: make([]Shard, writers)} }

// Shard returns the shard of writer i: KernelShard, or 1 + the loop's index.
func (c *Counters) Shard(i int) *Shard { return &c.shards[i] }

// Len returns the number of shards.
func (c *Counters) Len() int { return len(c.shards) }

// Sum adds up what all shards have counted since the last reset. Sums of different counters are not of
// one instant.
func (c *Counters) Sum() Totals {
	t := c.all()
	if base := c.base.Load(); base != nil {
		t.subtract(base)
	}
	return t
}

// reset makes the sums begin at zero. The shards go on counting: they belong to their writers.
func (c *Counters) reset() {
	now := c.all()
	c.base.Store(&now)
}

// all adds up what all shards have ever counted.
func (c *Counters) all() Totals {
	var t Totals
	if parts := c.parts.Load(); parts != nil {
		for _, p := range *parts {
			part := p.all()
			t.add(&part)
		}
	}
	for i := range c.shards {
		s := &c.shards[i]
		t.Connections += s.Connections.Load()
		t.Sessions += s.Sessions.Load()
		t.Requests += s.Requests.Load()
		t.BytesIn += s.BytesIn.Load()
		t.BytesOut += s.BytesOut.Load()
		t.DeniedReq += s.DeniedReq.Load()
		t.DeniedResp += s.DeniedResp.Load()
		t.DeniedConn += s.DeniedConn.Load()
		t.DeniedSess += s.DeniedSess.Load()
		t.ReqErrors += s.ReqErrors.Load()
		t.ConnErrors += s.ConnErrors.Load()
		t.RespErrors += s.RespErrors.Load()
		t.Retries += s.Retries.Load()
		t.Redispatches += s.Redispatches.Load()
		t.LBTotal += s.LBTotal.Load()
		t.ClientAborts += s.ClientAborts.Load()
		t.ServerAborts += s.ServerAborts.Load()
		t.Connects += s.Connects.Load()
		t.Reuses += s.Reuses.Load()
		t.Intercepted += s.Intercepted.Load()
		t.InternalErrs += s.InternalErrs.Load()
		t.FailedRewrites += s.FailedRewrites.Load()
		t.CompIn += s.CompIn.Load()
		t.CompOut += s.CompOut.Load()
		t.CompBypassed += s.CompBypassed.Load()
		t.CompResponses += s.CompResponses.Load()
		for j := range s.HTTP {
			t.HTTP[j] += s.HTTP[j].Load()
		}
	}
	return t
}

func (t *Totals) add(o *Totals) {
	t.Connections += o.Connections
	t.Sessions += o.Sessions
	t.Requests += o.Requests
	t.BytesIn += o.BytesIn
	t.BytesOut += o.BytesOut
	t.DeniedReq += o.DeniedReq
	t.DeniedResp += o.DeniedResp
	t.DeniedConn += o.DeniedConn
	t.DeniedSess += o.DeniedSess
	t.ReqErrors += o.ReqErrors
	t.ConnErrors += o.ConnErrors
	t.RespErrors += o.RespErrors
	t.Retries += o.Retries
	t.Redispatches += o.Redispatches
	t.LBTotal += o.LBTotal
	t.ClientAborts += o.ClientAborts
	t.ServerAborts += o.ServerAborts
	t.Connects += o.Connects
	t.Reuses += o.Reuses
	t.Intercepted += o.Intercepted
	t.InternalErrs += o.InternalErrs
	t.FailedRewrites += o.FailedRewrites
	t.CompIn += o.CompIn
	t.CompOut += o.CompOut
	t.CompBypassed += o.CompBypassed
	t.CompResponses += o.CompResponses
	for i := range t.HTTP {
		t.HTTP[i] += o.HTTP[i]
	}
}

func (t *Totals) subtract(o *Totals) {
	t.Connections -= o.Connections
	t.Sessions -= o.Sessions
	t.Requests -= o.Requests
	t.BytesIn -= o.BytesIn
	t.BytesOut -= o.BytesOut
	t.DeniedReq -= o.DeniedReq
	t.DeniedResp -= o.DeniedResp
	t.DeniedConn -= o.DeniedConn
	t.DeniedSess -= o.DeniedSess
	t.ReqErrors -= o.ReqErrors
	t.ConnErrors -= o.ConnErrors
	t.RespErrors -= o.RespErrors
	t.Retries -= o.Retries
	t.Redispatches -= o.Redispatches
	t.LBTotal -= o.LBTotal
	t.ClientAborts -= o.ClientAborts
	t.ServerAborts -= o.ServerAborts
	t.Connects -= o.Connects
	t.Reuses -= o.Reuses
	t.Intercepted -= o.Intercepted
	t.InternalErrs -= o.InternalErrs
	t.FailedRewrites -= o.FailedRewrites
	t.CompIn -= o.CompIn
	t.CompOut -= o.CompOut
	t.CompBypassed -= o.CompBypassed
	t.CompResponses -= o.CompResponses
	for i := range t.HTTP {
		t.HTTP[i] -= o.HTTP[i]
	}
}

// Rate is events a second, measured from a total that [Pool.Tick] samples once a second. Sampling
// keeps the hot path free of it and covers both paths alike.
type Rate struct {
	last     uint64 // the total at the previous tick; touched by Tick only
	cur, max atomic.Uint64
}

func (r *Rate) tick(total uint64) {
	d := total - r.last
	r.last = total
	r.set(d)
}

func (r *Rate) set(d uint64) {
	r.cur.Store(d)
	if d > r.max.Load() {
		r.max.Store(d)
	}
}

// Cur returns the events of the last full second.
func (r *Rate) Cur() uint64 { return r.cur.Load() }

// Max returns the highest rate seen, in events a second.
func (r *Rate) Max() uint64 { return r.max.Load() }

// avgWindow is the number of samples that HAProxy's time averages cover (TIME_STATS_SAMPLES).
const avgWindow = 512

// Average is HAProxy's sliding average of a time over about the last 512 requests, in microseconds
// internally, and the largest sample seen.
type Average struct{ sum, n, max atomic.Uint64 }

// Add records one sample in microseconds. Racing writers may lose a sample, never corrupt the average.
func (a *Average) Add(us uint64) {
	n := a.n.Load()
	if n < avgWindow {
		a.n.Store(n + 1)
		a.sum.Add(us)
	} else {
		old := a.sum.Load()
		a.sum.Store(old - old/avgWindow + us)
	}
	if us > a.max.Load() {
		a.max.Store(us)
	}
}

// Load returns the average in microseconds, 0 without samples.
func (a *Average) Load() uint64 {
	n := a.n.Load()
	if n == 0 {
		return 0
	}
	return a.sum.Load() / n
}

func (a *Average) reset() {
	a.n.Store(0)
	a.sum.Store(0)
	a.max.Store(0)
}

// Max returns the largest sample in microseconds.
func (a *Average) Max() uint64 { return a.max.Load() }

// Times are the four averages of HAProxy's statistics.
type Times struct{ Queue, Connect, Response, Total Average }

// AddSessions records n TCP sessions of which only sums are known: the times to connect and of the whole, and the longest of
// each, 0 if that is none of theirs. They are taken for equal, so the average follows as if they had come one by one.
func (t *Times) AddSessions(n uint64, connect, longestConnect, total, longestTotal time.Duration) {
	if n == 0 {
		return
	}
	t.Queue.addMany(n, 0, 0)
	t.Connect.addMany(n, connect/time.Duration(n), longestConnect)
	t.Response.addMany(n, 0, 0)
	t.Total.addMany(n, total/time.Duration(n), longestTotal)
}

// addMany records n equal samples; more than the window holds would change nothing.
func (a *Average) addMany(n uint64, mean, longest time.Duration) {
	for range min(n, 4*avgWindow) {
		a.Add(uint64(mean.Microseconds()))
	}
	if us := uint64(longest.Microseconds()); us > a.max.Load() {
		a.max.Store(us)
	}
}
