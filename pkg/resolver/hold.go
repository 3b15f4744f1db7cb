package resolver

import (
	"net/netip"
	"slices"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// known is an address that is believed in.
type known struct {
	addr    netip.Addr
	port    uint16    // of a service record; 0 = the server's own
	weight  int       // of a service record
	seen    time.Time // the last valid answer that held it
	missing bool      // the last valid answer did not hold it
	leaving bool      // missing, and taken for gone
}

// A name whose addresses go missing and come back all the time is not one of tasks that stop: its
// nameserver answers with a changing part of a larger set (Consul, some clouds), or two nameservers
// disagree. Then missing addresses are used for `hold obsolete` as in HAProxy. This many returns within
// the window make it so; fewer end it.
const (
	rotateReturns = 10
	rotateWindow  = time.Minute
)

// rotation notices such names. In Swarm an address hardly ever comes back within its hold time.
type rotation struct {
	began   time.Time // of the current window
	returns int       // in it
	on      bool
}

// count takes in how many addresses came back with one answer.
func (r *rotation) count(now time.Time, returns int) {
	if now.Sub(r.began) >= rotateWindow {
		r.on = r.returns >= rotateReturns
		r.began, r.returns = now, 0
	}
	r.returns += returns
	r.on = r.on || r.returns >= rotateReturns
}

// memory is what is believed of a name: the hold timers, without I/O. It has one owner.
//
// HAProxy's rules (src/resolvers.c, src/server.c; measured on 2.6): an address that is missing from
// valid answers is used like any other for `hold obsolete` after it was last seen. An error changes
// nothing until `hold nx|refused|other|timeout` after the last valid answer, and then takes all
// servers away.
//
// Ours differ in this: a missing address is leaving at once, and is forgotten `hold obsolete` after it
// was last seen, also while errors come. NXDOMAIN, which is what Docker's DNS says about a service
// without tasks, works as in HAProxy. The other errors say nothing about the tasks: after the hold
// time, servers whose health checks pass stay.
type memory struct {
	hold    config.Hold
	haproxy bool
	// lastValid is when the last valid answer came. Before the first one it is the start, so that
	// addresses from init-addr have their hold time; HAProxy gives them none, and it is zero.
	lastValid time.Time
	asked     bool // a valid answer has come
	lost      bool // a hold time is over, and only health checks keep servers until a valid answer
	by        string
	rotation  rotation
	records   []known // sorted by address
}

// verdict is what the pool should be told after a cycle.
type verdict struct {
	records     []known
	by          string
	cause       pool.Cause
	keepHealthy bool
	silent      bool // nothing: there has been no valid answer yet, and it is too early to give up
	changed     bool // by this valid answer the set of addresses that are not leaving is another one
	left        int  // addresses that became leaving by this answer
}

// learn takes in the outcome of one cycle.
func (m *memory) learn(now time.Time, o outcome) verdict {
	if o.status == statusValid {
		return m.valid(now, o)
	}
	if !m.haproxy {
		m.expire(now)
	}
	hold, cause := m.limit(o.status)
	if now.Before(m.lastValid.Add(hold)) && !m.lost {
		return verdict{records: m.records, by: m.by, cause: pool.CauseNoIP, silent: !m.asked}
	}
	if m.haproxy || o.status == statusNX && !now.Before(m.lastValid.Add(hold)) {
		m.records = nil
		return verdict{cause: cause, by: m.by}
	}
	m.lost = true
	return verdict{cause: cause, by: m.by, keepHealthy: true}
}

func (m *memory) valid(now time.Time, o outcome) verdict {
	m.lastValid, m.asked, m.lost = now, true, false
	if o.by != nil {
		m.by = o.by.path
	}
	v := verdict{cause: pool.CauseNoIP, by: m.by}
	m.rotation.count(now, m.mark(now, o.endpoints()))
	for i := range m.records {
		r := &m.records[i]
		leaving := r.missing && !m.haproxy && !m.rotation.on
		if leaving && !r.leaving {
			v.left++
		}
		v.changed = v.changed || leaving != r.leaving
		r.leaving = leaving
	}
	v.changed = m.add(now, o.endpoints()) || v.changed
	v.changed = m.expire(now) || v.changed
	m.bound()
	v.records = m.records
	return v
}

// mark notes which records a valid answer holds, and returns how many were missing before it.
func (m *memory) mark(now time.Time, ends []endpoint) (returns int) {
	for i := range m.records {
		r := &m.records[i]
		i, listed := slices.BinarySearchFunc(ends, r.endpoint(), compareEndpoints)
		if !listed {
			r.missing = true
			continue
		}
		r.weight = ends[i].weight
		if r.missing {
			returns++
		}
		r.seen, r.missing = now, false
	}
	return returns
}

// add remembers new addresses and reports whether there were any.
func (m *memory) add(now time.Time, ends []endpoint) bool {
	had := len(m.records)
	for _, e := range ends {
		if _, ok := slices.BinarySearchFunc(m.records[:had], e, compareKnown); !ok {
			m.records = append(m.records, known{addr: e.addr, port: e.port, weight: e.weight, seen: now})
		}
	}
	slices.SortFunc(m.records, func(a, b known) int { return compareEndpoints(a.endpoint(), b.endpoint()) })
	return len(m.records) > had
}

func compareKnown(k known, e endpoint) int { return compareEndpoints(k.endpoint(), e) }

func (k known) endpoint() endpoint { return endpoint{addr: k.addr, port: k.port, weight: k.weight} }

// expire forgets addresses that no answer has held for `hold obsolete`, and reports whether there was one among them that was
// not leaving. In HAProxy's mode only valid answers make it happen; in ours only missing addresses expire, so that an error
// alone takes none away.
func (m *memory) expire(now time.Time) (inUse bool) {
	m.records = slices.DeleteFunc(slices.Clone(m.records), func(r known) bool {
		gone := r.missing && !now.Before(r.seen.Add(m.hold.Obsolete))
		inUse = inUse || gone && !r.leaving
		return gone
	})
	return inUse
}

// bound keeps a nameserver that names new addresses in every answer from growing the memory: beyond
// maxRecords, the addresses that were not seen for the longest time go.
func (m *memory) bound() {
	excess := len(m.records) - maxRecords
	if excess <= 0 {
		return
	}
	bySeen := slices.Clone(m.records)
	slices.SortFunc(bySeen, func(a, b known) int { return b.seen.Compare(a.seen) })
	kept := bySeen[:maxRecords]
	slices.SortFunc(kept, func(a, b known) int { return compareEndpoints(a.endpoint(), b.endpoint()) })
	m.records = kept
}

// limit gives the hold time of an error and the cause that it is for the log.
func (m *memory) limit(s status) (time.Duration, pool.Cause) {
	switch s {
	case statusNX:
		return m.hold.NX, pool.CauseDNSNX
	case statusRefused:
		return m.hold.Refused, pool.CauseDNSRefused
	case statusOther:
		return m.hold.Other, pool.CauseDNSOther
	default:
		return m.hold.Timeout, pool.CauseDNSTimeout
	}
}
