package pool

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
)

// recordSet is the records of a resolution, from which slots take theirs. Everything is linear in
// their number, or nearly: there may be thousands, every second.
type recordSet struct {
	records []Record
	at      map[netip.AddrPort]int // by address and the record's own port, 0 if it has none
	taken   []bool
}

// newRecordSet makes a set: preferred records first, then by address and port, without duplicates. Of
// duplicates, one that is not leaving decides.
func newRecordSet(records []Record) *recordSet {
	sorted := slices.SortedFunc(slices.Values(records), func(a, b Record) int {
		return cmp.Or(before(a.Preferred, b.Preferred), a.Addr.Compare(b.Addr), cmp.Compare(a.Port, b.Port))
	})
	rs := &recordSet{records: sorted[:0], at: make(map[netip.AddrPort]int, len(sorted))}
	for _, rec := range sorted {
		key := netip.AddrPortFrom(rec.Addr, rec.Port)
		if i, known := rs.at[key]; known {
			rs.records[i].Leaving = rs.records[i].Leaving && rec.Leaving
			continue
		}
		rs.at[key] = len(rs.records)
		rs.records = append(rs.records, rec)
	}
	rs.taken = make([]bool, len(rs.records))
	return rs
}

// before orders the one for which a property holds before the one for which it does not.
func before(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	default:
		return 1
	}
}

// take gives a server the record of the address that it has, once.
func (rs *recordSet) take(s *Server) (Record, bool) {
	addr := s.state.addr
	if i, ok := rs.at[addr]; ok && !rs.taken[i] {
		rs.taken[i] = true
		return rs.records[i], true
	}
	i, ok := rs.at[netip.AddrPortFrom(addr.Addr(), 0)]
	if !ok || rs.taken[i] {
		return Record{}, false
	}
	rs.taken[i] = true
	return rs.records[i], true
}

// rest is the records that no server took, in order.
func (rs *recordSet) rest() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for i, rec := range rs.records {
			if !rs.taken[i] && !yield(rec) {
				return
			}
		}
	}
}
