package proxy

import (
	"strconv"

	"waggle/pkg/sample"
	"waggle/pkg/stick"
)

// entryOf finds what rules change: what a counter tracks, in its table or under its key in another, or the client's address, -1. It is
// held until done is called; nil if there is none, and it cannot be made or is not to be.
func (s *session) entryOf(counter int, table string, create bool) (t *stick.Table, e *stick.Entry) {
	var space [addrText]byte
	var key []byte
	if counter >= 0 {
		at := s.tracked(counter)
		if at.entry == nil {
			return nil, nil
		}
		if t, key = at.table, at.entry.Key(); table != "" {
			t = s.fe.plan.tables[table]
		}
	} else {
		addr := s.src.Addr().Unmap()
		if t = s.table(table); t != nil && t.Config().Type == "ip" && !addr.Is4() {
			return nil, nil
		}
		key = addr.AppendTo(space[:0])
	}
	switch {
	case t == nil:
		return nil, nil
	case create:
		return t, t.Track(key)
	}
	return t, t.Hold(key)
}

// Change implements sample.Sticky.
func (s *subject) Change(counter int, table, data string, clear bool) (n uint64, ok bool) {
	d, known := stick.FindData(data)
	t, e := (*session)(s).entryOf(counter, table, !clear)
	if e == nil {
		return 0, t != nil && known && t.Config().Stores[d]
	}
	defer t.Release(e)
	if clear {
		return t.Set(e, d, 0)
	}
	return t.Bump(e, d)
}

// Trackers implements sample.Sticky.
func (s *subject) Trackers(counter int, table string) (n int, ok bool) {
	if table == "" {
		at := (*session)(s).tracked(counter)
		if at.entry == nil {
			return 0, false
		}
		return at.table.Holders(at.entry), true
	}
	t, e := (*session)(s).entryOf(counter, table, false)
	if e == nil {
		return 0, false
	}
	defer t.Release(e)
	return t.Holders(e) - 1, true
}

// TableSize implements sample.Sticky.
func (s *subject) TableSize(table string) (used, size int, ok bool) {
	t := (*session)(s).table(table)
	if t == nil {
		return 0, 0, false
	}
	return t.Used(), t.Config().Size, true
}

// Looked implements sample.Sticky.
func (s *subject) Looked(table, data string, k sample.StickKey) (n uint64, ok bool) {
	t := (*session)(s).table(table)
	if t == nil {
		return 0, false
	}
	var space [addrText]byte
	key, ok := keyFor(t.Config(), space[:0], k)
	if !ok {
		return 0, false
	}
	switch data {
	case "":
		if t.Has(key) {
			return 1, true
		}
		return 0, true
	case "trackers":
		if e := t.Hold(key); e != nil {
			n = uint64(t.Holders(e) - 1)
			t.Release(e)
		}
		return n, true
	}
	d, known := stick.FindData(data)
	if !known || !t.Config().Stores[d] {
		return 0, false
	}
	n, _ = t.Look(key, d)
	return n, true
}

// keyFor gives a key in the form that entries of a table have theirs, in buf where it is made.
func keyFor(c *stick.Config, buf []byte, k sample.StickKey) (key []byte, ok bool) {
	switch c.Type {
	case "ip", "ipv6":
		addr := k.Addr
		if c.Type == "ip" {
			addr = addr.Unmap()
		}
		return addr.AppendTo(buf), addr.IsValid() && (c.Type == "ipv6" || addr.Is4())
	case "integer":
		n, err := strconv.ParseInt(string(k.Text), 10, 64)
		return strconv.AppendInt(buf, n, 10), err == nil
	case "binary":
		return padded(append(buf, k.Raw...), c.Len), len(k.Raw) > 0
	}
	return k.Text[:min(len(k.Text), c.Len)], len(k.Text) > 0
}

// bump is what sc-inc-gpc0 and sc-inc-gpc1 do.
func (s *session) bump(counter int, data string) {
	if at := s.tracked(counter); at.entry != nil {
		if d, ok := stick.FindData(data); ok {
			at.table.Bump(at.entry, d)
		}
	}
}

// setTag is what sc-set-gpt0 does; what is no number sets nothing.
func (s *session) setTag(counter int, value *sample.Expr, fixed int64) {
	at := s.tracked(counter)
	if at.entry == nil {
		return
	}
	if value != nil {
		var ok bool
		if fixed, ok = s.integer(value); !ok {
			return
		}
	}
	at.table.Set(at.entry, stick.GPT0, uint64(uint32(fixed)))
}

// tallyFailure counts the responses that are the server's fault: 501 and 505 are the client's (HAProxy, http_fail_cnt).
func (s *session) tallyFailure(status int) {
	if status >= 500 && status <= 599 && status != 501 && status != 505 {
		s.tally(stick.HTTPFailCnt, stick.HTTPFailRate)
	}
}
