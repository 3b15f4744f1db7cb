package sample

import (
	"net/netip"
	"slices"
	"strconv"
)

// Sticky is a Subject that knows what stick tables have counted.
type Sticky interface {
	// Tracked gives a kind of data of the entry that is tracked by a counter (0, 1 or 2); false: none is, or its table does
	// not store that. With a table it is looked up there by the same key.
	Tracked(counter int, table, data string) (uint64, bool)
	// Counted gives it for the client's address, in a table; "" is the proxy's own.
	Counted(table, data string) (uint64, bool)
	// Change counts one in a general purpose counter of what is tracked, or sets it to 0, and gives what it is then, or was; of the
	// client's address if counter is -1.
	Change(counter int, table, data string, clear bool) (uint64, bool)
	// Trackers is how many track what a counter tracks; false: it tracks nothing.
	Trackers(counter int, table string) (int, bool)
	// TableSize gives how many entries a table has, and how many it may have.
	TableSize(table string) (used, size int, ok bool)
	// Looked gives a kind of data of the entry of a key; "": whether there is one.
	Looked(table, data string, key StickKey) (uint64, bool)
}

// StickKey is a key in the forms that tables of different types have.
type StickKey struct {
	Addr      netip.Addr // invalid: it is none
	Text, Raw []byte
}

// stickyData are the kinds of data that fetches ask for by these names.
var stickyData = []string{
	"conn_cnt", "conn_cur", "conn_rate", "sess_cnt", "sess_rate", "http_req_cnt", "http_req_rate", "http_err_cnt", "http_err_rate",
	"http_fail_cnt", "http_fail_rate", "gpc0_rate", "gpc1_rate",
}

// stickyFetches make the fetches of stick tables (HAProxy, section 7.3.3): for each kind of data one by the number of the
// counter, three that have it in their name, and one for the client's address.
func stickyFetches() map[string]*fetch {
	all := map[string]*fetch{
		"table_cnt": {out: Int, arg: ownTable, do: tableSize(func(used, _ int) int { return used })},
		"table_avl": {out: Int, arg: ownTable, do: tableSize(func(used, size int) int { return size - used })},
	}
	for _, data := range stickyData {
		entryFetches(all, data, Int, lookAt(data))
	}
	for _, data := range []string{"gpc0", "gpc1", "gpt0"} {
		entryFetches(all, "get_"+data, Int, lookAt(data))
	}
	for _, data := range []string{"gpc0", "gpc1"} {
		entryFetches(all, "inc_"+data, Int, change(data, false))
		entryFetches(all, "clr_"+data, Int, change(data, true))
	}
	entryFetches(all, "tracked", Bool, func(e *evaluator, s Sticky, counter int, table string) {
		_, held := s.Trackers(counter, table)
		e.offer(boolean(held))
	})
	entryFetches(all, "trackers", Int, func(e *evaluator, s Sticky, counter int, table string) {
		if n, held := s.Trackers(counter, table); held {
			e.offer(integer(int64(n)))
		}
	})
	delete(all, "src_tracked")
	delete(all, "src_trackers")
	return all
}

// entryFetches enters the fetches that do one thing with an entry: sc_NAME(counter,table), sc0_NAME(table) and its kin, and src_NAME(table).
func entryFetches(all map[string]*fetch, name string, out Type, do func(e *evaluator, s Sticky, counter int, table string)) {
	with := func(e *evaluator, counter int, table string) {
		if s, ok := e.subject.(Sticky); ok {
			do(e, s, counter, table)
		}
	}
	all["sc_"+name] = &fetch{out: out, arg: argSpec{1, 2, counterArgs}, do: func(e *evaluator, a *args) { with(e, int(a.nums[0]), a.name) }}
	for n := range 3 {
		all["sc"+strconv.Itoa(n)+"_"+name] = &fetch{out: out, arg: optTable, do: func(e *evaluator, a *args) { with(e, n, a.name) }}
	}
	all["src_"+name] = &fetch{out: out, arg: ownTable, do: func(e *evaluator, a *args) { with(e, ofClient, a.name) }}
}

// ofClient stands for the entry of the client's address, in place of the number of a counter.
const ofClient = -1

func lookAt(data string) func(*evaluator, Sticky, int, string) {
	return func(e *evaluator, s Sticky, counter int, table string) {
		look := s.Counted
		if counter != ofClient {
			look = func(table, data string) (uint64, bool) { return s.Tracked(counter, table, data) }
		}
		if n, ok := look(table, data); ok {
			e.offer(integer(int64(n)))
		}
	}
}

func change(data string, clear bool) func(*evaluator, Sticky, int, string) {
	return func(e *evaluator, s Sticky, counter int, table string) {
		if n, ok := s.Change(counter, table, data, clear); ok {
			e.offer(integer(int64(n)))
		}
	}
}

func tableSize(of func(used, size int) int) func(*evaluator, *args) {
	return func(e *evaluator, a *args) {
		if s, ok := e.subject.(Sticky); ok {
			if used, size, ok := s.TableSize(a.name); ok {
				e.offer(integer(int64(of(used, size))))
			}
		}
	}
}

// stickyConverters make those that take a value for the key of an entry (HAProxy, section 7.3.1): of a key that is not there
// everything is 0.
func stickyConverters() map[string]*converter {
	all := map[string]*converter{
		"in_table": {in: Any, out: Bool, arg: namedTable, do: func(e *evaluator, v Value, a *args) (Value, bool) {
			found, ok := e.inTable(v, a.name, "")
			return boolean(found != 0), ok
		}},
	}
	for _, data := range append([]string{"gpc0", "gpc1", "gpt0", "trackers"}, stickyData...) {
		all["table_"+data] = &converter{in: Any, out: Int, arg: namedTable, do: func(e *evaluator, v Value, a *args) (Value, bool) {
			n, ok := e.inTable(v, a.name, data)
			return integer(int64(n)), ok
		}}
	}
	return all
}

// inTable looks a value up in a table; without data it is whether there is an entry.
func (e *evaluator) inTable(v Value, table, data string) (uint64, bool) {
	s, ok := e.subject.(Sticky)
	if !ok {
		return 0, false
	}
	k := StickKey{Raw: v.Text}
	if v.Type != String {
		raw, _ := e.cast(v, Binary)
		k.Raw = raw.Text
	}
	addr, _ := e.cast(v, Addr)
	k.Addr = addr.Addr
	printed, ok := e.cast(v, String)
	k.Text = printed.Text
	if !ok {
		return 0, false
	}
	return s.Looked(table, data, k)
}

var (
	ownTable   = argSpec{0, 1, func(p *argParser) *Error { return p.table(0, true) }}
	namedTable = argSpec{1, 1, func(p *argParser) *Error { return p.table(0, true) }}
)

var optTable = argSpec{0, 1, func(p *argParser) *Error { return p.table(0, false) }}

// counterArgs reads `<counter>[,<table>]`.
func counterArgs(p *argParser) *Error {
	if !slices.Contains([]string{"0", "1", "2"}, p.text(0)) {
		return errorf(0, "%s expects the number of a counter, 0, 1 or 2", p.what)
	}
	p.out.nums[0] = int64(p.list[0][0] - '0')
	return p.table(1, false)
}

// table reads the name of a stick table; own says that none is the proxy's own, and not that of what is tracked.
func (p *argParser) table(i int, own bool) *Error {
	p.out.name = p.text(i)
	if p.env.Table != nil && (own || p.out.name != "") {
		p.env.Table(p.out.name)
	}
	return nil
}
