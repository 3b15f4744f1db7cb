package sample

import (
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
}

// stickyFetches make the fetches of stick tables (HAProxy, section 7.3.3): for each kind of data one by the number of the
// counter, three that have it in their name, and one for the client's address.
func stickyFetches() map[string]*fetch {
	all := make(map[string]*fetch)
	for _, data := range []string{"conn_cnt", "conn_cur", "conn_rate", "sess_cnt", "sess_rate", "http_req_cnt", "http_req_rate", "http_err_cnt", "http_err_rate"} {
		all["sc_"+data] = &fetch{out: Int, arg: argSpec{1, 2, counterArgs}, do: func(e *evaluator, a *args) { e.tracked(int(a.nums[0]), a.name, data) }}
		for n := range 3 {
			all["sc"+strconv.Itoa(n)+"_"+data] = &fetch{out: Int, arg: optTable, do: func(e *evaluator, a *args) { e.tracked(n, a.name, data) }}
		}
		all["src_"+data] = &fetch{out: Int, arg: argSpec{0, 1, func(p *argParser) *Error { return p.table(0, true) }}, do: func(e *evaluator, a *args) {
			if s, ok := e.subject.(Sticky); ok {
				if n, ok := s.Counted(a.name, data); ok {
					e.offer(integer(int64(n)))
				}
			}
		}}
	}
	return all
}

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

func (e *evaluator) tracked(counter int, table, data string) {
	if s, ok := e.subject.(Sticky); ok {
		if n, ok := s.Tracked(counter, table, data); ok {
			e.offer(integer(int64(n)))
		}
	}
}
