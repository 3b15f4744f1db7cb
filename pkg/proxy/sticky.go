package proxy

import (
	"maps"
	"slices"
	"strconv"

	"waggle/pkg/config"
	"waggle/pkg/sample"
	"waggle/pkg/stick"
)

// tracking is an entry of a stick table that counts what a client does.
type tracking struct {
	table *stick.Table
	entry *stick.Entry // nil: nothing is tracked
}

// stickCounters is how many entries are tracked at once (HAProxy, tune.stick-counters).
const stickCounters = 3

// trackings are the counters of a connection, or of a request.
type trackings [stickCounters]tracking

// counters are what a session counts in. A session makes them when a rule tracks something, which in most configurations none does.
type counters struct {
	connection, request trackings
}

var _ sample.Sticky = (*subject)(nil)

// newTables makes the stick tables of a configuration, by their names: of a proxy the proxy's.
func newTables(cfg *config.Config) map[string]*stick.Table {
	tables := make(map[string]*stick.Table)
	for _, p := range cfg.Proxies {
		if p.StickTable != nil && !p.Disabled {
			tables[p.Name] = stick.New(*p.StickTable)
		}
	}
	for _, g := range cfg.Peers {
		for _, t := range g.Tables {
			tables[t.Name] = stick.New(*t)
		}
	}
	return tables
}

// keepTables has tables go on that are the same as before a reload.
func (pl *plan) keepTables(old *plan) {
	for name, t := range pl.tables {
		if was := old.tables[name]; was != nil && t.Config().Same(was.Config()) {
			pl.tables[name] = was
		}
	}
}

// table finds a stick table; "" is that of the proxy whose rules run.
func (s *session) table(name string) *stick.Table {
	if name != "" {
		return s.fe.plan.tables[name]
	}
	if s.be != nil {
		if t := s.fe.plan.tables[s.be.cfg.Name]; t != nil {
			return t
		}
	}
	return s.fe.plan.tables[s.fe.cfg.Name]
}

// track begins to count in an entry, unless the counter is in use: the first rule wins (HAProxy, section 4.4.10).
func (s *session) track(n int, key *sample.Expr, table string, request bool) {
	t := s.table(table)
	if t == nil || s.tracked(n).entry != nil {
		return
	}
	out, ok := s.stickKey(t, key)
	if !ok {
		return
	}
	e := t.Track(out)
	if e == nil {
		return
	}
	t.Add(e, 1, stick.ConnCnt, stick.ConnCur, stick.ConnRate)
	if request {
		t.Add(e, 1, stick.HTTPReqCnt, stick.HTTPReqRate)
		own(&s.sticky).request[n] = tracking{t, e}
		return
	}
	keeper := &s.sticky
	if g := s.guest; g != nil && !g.over {
		keeper = &g.sticky
	}
	own(keeper).connection[n] = tracking{t, e}
}

// own makes the counters if there are none yet.
func own(k **counters) *counters {
	if *k == nil {
		*k = &counters{}
	}
	return *k
}

// stickKey makes the key of an entry, in the form that it is shown in.
func (s *session) stickKey(t *stick.Table, key *sample.Expr) ([]byte, bool) {
	buf := s.w.text[:0]
	switch c := t.Config(); c.Type {
	case "ip", "ipv6":
		addr, ok := key.Addr((*subject)(s))
		if c.Type == "ip" {
			if addr = addr.Unmap(); !addr.Is4() {
				return nil, false
			}
		}
		return addr.AppendTo(buf), ok
	case "integer":
		out, ok := key.Append(buf, (*subject)(s))
		n, err := strconv.ParseInt(string(out), 10, 64)
		return strconv.AppendInt(out[:0], n, 10), ok && err == nil
	case "binary":
		out, ok := key.AppendKey(buf, (*subject)(s))
		return padded(out, c.Len), ok && len(out) > 0
	default:
		out, ok := key.Append(buf, (*subject)(s))
		return out[:min(len(out), c.Len)], ok && len(out) > 0
	}
}

// padded makes a key as long as those of its table are, with zeros behind a short one.
func padded(key []byte, n int) []byte {
	for len(key) < n {
		key = append(key, 0)
	}
	return key[:n]
}

// tracked gives what a counter tracks: of the request, the session or the connection.
func (s *session) tracked(n int) tracking {
	if s.sticky != nil {
		if t := s.sticky.request[n]; t.entry != nil {
			return t
		}
		if t := s.sticky.connection[n]; t.entry != nil {
			return t
		}
	}
	if s.guest != nil && s.guest.sticky != nil {
		return s.guest.sticky.connection[n]
	}
	return tracking{}
}

// tally counts events in all that is tracked.
func (s *session) tally(kinds ...stick.Data) {
	for n := range stickCounters {
		if t := s.tracked(n); t.entry != nil {
			t.table.Add(t.entry, 1, kinds...)
		}
	}
}

// tallyStatus counts the responses that are the client's fault.
func (s *session) tallyStatus(status int) {
	if status >= 400 && status < 500 {
		s.tally(stick.HTTPErrCnt, stick.HTTPErrRate)
	}
}

// release ends all that is tracked.
func (k *counters) release() {
	if k != nil {
		k.connection.release()
		k.request.release()
	}
}

// releaseRequest ends what is tracked of a request.
func (k *counters) releaseRequest() {
	if k != nil {
		k.request.release()
	}
}

func (t *trackings) release() {
	for n := range t {
		if c := &t[n]; c.entry != nil {
			c.table.Add(c.entry, -1, stick.ConnCur)
			c.table.Release(c.entry)
			*c = tracking{}
		}
	}
}

// Tracked implements sample.Sticky.
func (s *subject) Tracked(counter int, table, data string) (uint64, bool) {
	t := (*session)(s).tracked(counter)
	d, known := stick.FindData(data)
	if t.entry == nil || !known {
		return 0, false
	}
	if table == "" {
		return t.table.Get(t.entry, d)
	}
	other := s.fe.plan.tables[table]
	if other == nil || !other.Config().Stores[d] {
		return 0, false
	}
	n, _ := other.Look(t.entry.Key(), d)
	return n, true
}

// Counted implements sample.Sticky. Of a client that is not in the table nothing has been counted.
func (s *subject) Counted(table, data string) (uint64, bool) {
	t := (*session)(s).table(table)
	d, known := stick.FindData(data)
	if t == nil || !known || !t.Config().Stores[d] {
		return 0, false
	}
	addr := s.src.Addr().Unmap()
	if t.Config().Type == "ip" && !addr.Is4() {
		return 0, false
	}
	var key [addrText]byte // not the rules' scratch memory, in which the text may be half made that this is for
	n, _ := t.Look(addr.AppendTo(key[:0]), d)
	return n, true
}

// addrText is how long an address can be as text: IPv6 with an IPv4 part, and a zone.
const addrText = 64

// StickTables are the tables that rules count in, by the names of their proxies. They are those of now: a reload may make
// others.
func (e *Engine) StickTables() []*stick.Table {
	tables := e.plan.Load().tables
	all := make([]*stick.Table, 0, len(tables))
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		all = append(all, tables[name])
	}
	return all
}
