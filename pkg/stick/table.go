package stick

import (
	"container/list"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config is what a table is made of.
type Config struct {
	Name    string
	Type    string        // ip, ipv6, integer, string or binary
	Len     int           // bytes that count of a string, and that there are of a binary key
	Size    int           // entries at most; at least 1
	Expire  time.Duration // since an entry was last touched; 0 is never
	NoPurge bool          // a full table takes no new entry, instead of forgetting the one that was not touched for longest
	// Stores says which data entries have; of rates, in which period.
	Stores [NumData]bool
	Period [NumData]time.Duration
}

// Same says whether tables of two configurations can have the same entries.
func (c *Config) Same(o *Config) bool { return *c == *o }

// Table is a stick table. Its methods may be called from any goroutine.
type Table struct {
	cfg   Config
	begun time.Time
	slot  [NumData]int // of what is stored, among an entry's counters
	kept  int          // how many there are

	mu      sync.Mutex
	entries map[string]*Entry
	recent  list.List // of the entries that nobody holds, the one that was touched last in front
}

// Entry is what is kept of one key. The table's lock guards it.
type Entry struct {
	key      string
	counters []counter // of what the table stores
	server   Server
	touched  time.Duration
	held     int           // by those who track it: it is not forgotten
	place    *list.Element // among the recent ones; nil while it is held
}

// New returns an empty table.
func New(cfg Config) *Table {
	t := &Table{cfg: cfg, begun: time.Now(), entries: make(map[string]*Entry)}
	for d, stored := range cfg.Stores {
		if stored {
			t.slot[d] = t.kept
			t.kept++
		}
	}
	return t
}

// counter is that of a kind of data which the table stores.
func (t *Table) counter(e *Entry, d Data) *counter { return &e.counters[t.slot[d]] }

// Key is the key of the entry. It must not be changed.
func (e *Entry) Key() []byte { return []byte(e.key) }

// Config is what the table was made of.
func (t *Table) Config() *Config { return &t.cfg }

// now is the time on the table's own clock.
func (t *Table) now() time.Duration { return time.Since(t.begun) }

// Track finds or makes the entry of a key and holds it. It is nil when the table is full of entries that are held, or
// takes no new ones. Release follows. The key is copied.
func (t *Table) Track(key []byte) *Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.now()
	e := t.find(key, at)
	if e == nil {
		if e = t.add(key); e == nil {
			return nil
		}
	}
	t.hold(e)
	e.touched = at
	return e
}

func (t *Table) hold(e *Entry) {
	if e.held++; e.place != nil {
		t.recent.Remove(e.place)
		e.place = nil
	}
}

// find gives the entry of a key, unless it has expired.
func (t *Table) find(key []byte, at time.Duration) *Entry {
	e := t.entries[string(key)]
	if e != nil && t.expired(e, at) {
		t.forget(e)
		return nil
	}
	return e
}

func (t *Table) expired(e *Entry, at time.Duration) bool {
	return t.cfg.Expire > 0 && e.held == 0 && at-e.touched >= t.cfg.Expire
}

// add makes room if need be, and an entry, which is about to be held.
func (t *Table) add(key []byte) *Entry {
	if len(t.entries) >= t.cfg.Size && !t.purge() {
		return nil
	}
	e := &Entry{key: string(key), counters: make([]counter, t.kept)}
	t.entries[e.key] = e
	return e
}

// oldest is the entry that was not touched for longest, of those that nobody holds; nil if all are held.
func (t *Table) oldest() *Entry {
	if p := t.recent.Back(); p != nil {
		return p.Value.(*Entry)
	}
	return nil
}

// purge forgets the oldest entry.
func (t *Table) purge() bool {
	e := t.oldest()
	if e == nil || t.cfg.NoPurge && !t.expired(e, t.now()) {
		return false
	}
	t.forget(e)
	return true
}

// forget drops an entry that nobody holds.
func (t *Table) forget(e *Entry) {
	delete(t.entries, e.key)
	t.recent.Remove(e.place)
}

// Release lets an entry go that was tracked.
func (t *Table) Release(e *Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e.touched = t.now()
	if e.held--; e.held == 0 {
		e.place = t.recent.PushFront(e)
	}
}

// Add counts n events of kinds, of which those count that the table stores, in an entry that the caller tracks.
func (t *Table) Add(e *Entry, n int64, kinds ...Data) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.now()
	for _, d := range kinds {
		if !t.cfg.Stores[d] {
			continue
		}
		c := t.counter(e, d)
		if d.Rate() {
			c.roll(at, t.cfg.Period[d])
			c.now += uint64(max(n, 0))
			continue
		}
		c.total += uint64(n)
	}
	e.touched = at
}

// Get gives what an entry has counted; false if the table does not store that.
func (t *Table) Get(e *Entry, d Data) (uint64, bool) {
	if !t.cfg.Stores[d] {
		return 0, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.value(e, d, t.now()), true
}

func (t *Table) value(e *Entry, d Data, at time.Duration) uint64 {
	if d.Rate() {
		return t.counter(e, d).rate(at, t.cfg.Period[d])
	}
	return t.counter(e, d).total
}

// Set replaces a number of an entry that the caller tracks, and gives what it was; false if the table does not store it.
func (t *Table) Set(e *Entry, d Data, n uint64) (was uint64, ok bool) {
	if !t.cfg.Stores[d] {
		return 0, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counter(e, d)
	was, c.total, e.touched = c.total, n, t.now()
	return was, true
}

// Bump counts one in a general purpose counter of an entry that the caller tracks, and in its rate, and gives the counter: where only
// the rate is stored, the events of the period that runs; false if neither is.
func (t *Table) Bump(e *Entry, gpc Data) (uint64, bool) {
	rate := gpc + 1
	t.Add(e, 1, gpc, rate)
	if t.cfg.Stores[gpc] || !t.cfg.Stores[rate] {
		return t.Get(e, gpc)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counter(e, rate).now, true
}

// Hold is Track for an entry that there is; nil for none.
func (t *Table) Hold(key []byte) *Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.find(key, t.now())
	if e != nil {
		t.hold(e)
	}
	return e
}

// Has says whether there is an entry of a key, without touching it.
func (t *Table) Has(key []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.find(key, t.now()) != nil
}

// Holders is how many track an entry that the caller tracks.
func (t *Table) Holders(e *Entry) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return e.held
}

// Look gives what is counted of a key, without touching it; false if there is no such entry or data.
func (t *Table) Look(key []byte, d Data) (uint64, bool) {
	if !t.cfg.Stores[d] {
		return 0, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.now()
	e := t.find(key, at)
	if e == nil {
		return 0, false
	}
	return t.value(e, d, at), true
}

// Used is the number of entries that have not expired.
func (t *Table) Used() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	return len(t.entries)
}

// sweep forgets what has expired.
func (t *Table) sweep() {
	at := t.now()
	for e := t.oldest(); e != nil && t.expired(e, at); e = t.oldest() {
		t.forget(e)
	}
}

// Row is an entry as shown to people.
type Row struct {
	Key    string
	Held   int
	Left   time.Duration // until it is forgotten; 0 is never
	Values []Value
	Server Server // that clients with the key stick to
}

// Value is one kind of data of a row.
type Value struct {
	Data   Data
	Period time.Duration // of a rate
	Count  uint64
}

// Rows lists the entries that are asked for (nil: all) by key: of more than limit any of them. wanted may not use the table.
func (t *Table) Rows(limit int, wanted func(Row) bool) []Row {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	at := t.now()
	var rows []Row
	for _, e := range t.entries {
		if len(rows) == limit {
			break
		}
		r := Row{Key: e.key, Held: e.held, Server: e.server}
		if t.cfg.Expire > 0 {
			r.Left = max(t.cfg.Expire-(at-e.touched), 0)
		}
		for d := range NumData {
			if t.cfg.Stores[d] {
				r.Values = append(r.Values, Value{d, t.cfg.Period[d], t.value(e, d, at)})
			}
		}
		if wanted == nil || wanted(r) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a.Key, b.Key) })
	return rows
}

// Clear forgets all entries that nobody holds, or that of one key, and gives how many they were.
func (t *Table) Clear(key []byte) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for k, e := range t.entries {
		if e.held == 0 && (key == nil || k == string(key)) {
			t.forget(e)
			n++
		}
	}
	return n
}
