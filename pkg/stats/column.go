package stats

import (
	"time"

	"waggle/pkg/pool"
)

// Column declares one statistic of frontends, listeners, backends and servers.
type Column struct {
	// Name is HAProxy's name, and its place in the table its position: both are contracts.
	Name string
	// Metric is the name in Prometheus after `haproxy_<kind>_`; empty if there is none.
	Metric string
	Type   Type
	Tags   Tags
	// Unit of the CSV cell: "" (a plain number or text), "s", "ms", "bytes", "%". Prometheus has times
	// in seconds.
	Unit string
	// Scopes are the kinds of objects that have the statistic in HAProxy.
	Scopes Scope
	// HTTP columns are empty unless the proxy is in `mode http`.
	HTTP bool
	// Legend columns are empty unless addresses may be told.
	Legend bool
	Help   string
	// Value computes the cell; nil while the statistic is not counted.
	Value func(*Row) Value
	// Label is a fixed label of the Prometheus series, for columns that share a metric.
	Label [2]string
	// States, if there is one, takes Value's place in Prometheus: a series for each state.
	States func(*Row) []State
}

// State is one value of the label `state`, with how many objects are in it.
type State struct {
	Name  string
	Count int
}

// Cell returns the column's value for a row.
func (c *Column) Cell(r *Row) Value {
	if c.Value == nil || !c.applies(r) {
		return Value{}
	}
	return c.Value(r)
}

func (c *Column) applies(r *Row) bool {
	return c.Scopes&r.Scope != 0 && (!c.HTTP || r.Mode == pool.HTTP) && (!c.Legend || r.Legends)
}

// none is the value of what there is none of here, and which tools read nevertheless.
func none(*Row) Value { return integer(0) }

// total makes a column's value of one of the counters.
func total(get func(*pool.Totals) uint64) func(*Row) Value {
	return func(r *Row) Value { return count(get(&r.Totals)) }
}

// responses makes a column's value of the count of one class of HTTP responses.
func responses(class int) func(*Row) Value {
	return func(r *Row) Value { return count(r.Totals.HTTP[class]) }
}

// checked makes a column's value of a server whose checks run.
func checked(get func(*Row) Value) func(*Row) Value {
	return func(r *Row) Value {
		if !r.checking() {
			return Value{}
		}
		return get(r)
	}
}

func average(get func(*pool.Times) *pool.Average) func(*Row) Value {
	return func(r *Row) Value { return micros(get(r.times()).Load()) }
}

func longest(get func(*pool.Times) *pool.Average) func(*Row) Value {
	return func(r *Row) Value { return micros(get(r.times()).Max()) }
}

func queueTime(t *pool.Times) *pool.Average    { return &t.Queue }
func connectTime(t *pool.Times) *pool.Average  { return &t.Connect }
func responseTime(t *pool.Times) *pool.Average { return &t.Response }
func totalTime(t *pool.Times) *pool.Average    { return &t.Total }

// sessionLimit is the frontend's or server's maxconn, or the backend's fullconn.
func sessionLimit(r *Row) Value {
	switch r.Scope {
	case Frontends:
		return integer(r.Frontend.Limit())
	case Backends:
		return integer(r.Backend.FullConn)
	case Listeners:
		return integer(r.Listener.Limit)
	default:
		return unless(r.Server.Limit() == 0, integer(r.Server.Limit()))
	}
}

// status is the state in HAProxy's words. A full frontend is open, as it is in HAProxy.
func status(r *Row) Value {
	switch r.Scope {
	case Frontends:
		if s := r.Frontend.Status(); s != pool.FrontendFull {
			return word(s.String())
		}
		return word(pool.FrontendOpen.String())
	case Listeners:
		return word(listenerStates[r.listenerState()])
	case Backends:
		s := "DOWN"
		if r.Up() {
			s = "UP"
		}
		if r.Tally.Hiding {
			s += " (" + integer(r.Tally.Up).String() + "/" + integer(r.Tally.Total).String() + ")"
		}
		return word(s)
	default:
		return word(r.View.Status)
	}
}

func weight(r *Row) Value {
	if r.Scope == Backends {
		return integer(r.Tally.BackendView.Weight)
	}
	return integer(r.effectiveWeight())
}

func userWeight(r *Row) Value {
	if r.Scope == Backends {
		return integer(r.Tally.Weight)
	}
	return integer(r.View.Weight)
}

// active and backup count servers of a backend and tell the role of a server.
func active(r *Row) Value {
	switch {
	case r.Scope == Backends:
		return integer(r.Tally.Active)
	case r.Server.Backup:
		return integer(0)
	default:
		return integer(1)
	}
}

func backup(r *Row) Value {
	switch {
	case r.Scope == Backends:
		return integer(r.Tally.Backup)
	case r.Server.Backup:
		return integer(1)
	default:
		return integer(0)
	}
}

func downs(r *Row) Value {
	if r.Scope == Backends {
		return count(r.Tally.Downs)
	}
	return unless(!r.View.Checking, count(r.View.Downs))
}

func lastChange(r *Row) Value { return seconds(r.Now.Sub(r.changed())) }

func (r *Row) changed() time.Time {
	if r.Scope == Backends {
		return r.Tally.LastChange
	}
	return r.View.LastChange
}

func downtime(r *Row) Value {
	if r.Scope == Backends {
		return unless(r.Tally.Total == 0, seconds(r.Tally.Downtime))
	}
	return unless(!r.View.Checking, seconds(r.View.Downtime))
}

// sinceLastSession is -1 before the first session.
func sinceLastSession(r *Row) Value {
	last := r.lastSession()
	if last == 0 {
		return integer(-1)
	}
	return integer(max(0, r.Now.Unix()-last))
}

func cookie(r *Row) Value {
	if r.Scope == Servers {
		return unless(r.Server.Cookie == "", word(r.Server.Cookie))
	}
	if c := r.Proxy.Config; c != nil && c.Cookie != nil {
		return word(c.Cookie.Name)
	}
	return Value{}
}

func algorithm(r *Row) Value {
	if r.Proxy.Config == nil {
		return Value{}
	}
	a := r.Proxy.Config.Balance.Algorithm
	if a == "" {
		a = "roundrobin"
	}
	return word(a)
}
