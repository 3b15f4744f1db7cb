package stick

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func config(size int, expire time.Duration) Config {
	c := Config{Name: "t", Size: size, Expire: expire}
	for _, d := range []Data{HTTPReqCnt, HTTPReqRate, ConnCur} {
		c.Stores[d] = true
	}
	c.Period[HTTPReqRate] = 10 * time.Second
	return c
}

func TestCounting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := New(config(10, time.Minute))
		e := table.Track([]byte("a"))
		table.Add(e, 1, ConnCur, SessCnt)
		for range 20 {
			table.Add(e, 1, HTTPReqCnt, HTTPReqRate)
		}
		want := func(d Data, n uint64) {
			t.Helper()
			if got, ok := table.Get(e, d); got != n || !ok {
				t.Errorf("%s = %d, %v, want %d", d, got, ok, n)
			}
		}
		want(HTTPReqCnt, 20)
		want(HTTPReqRate, 20)
		want(ConnCur, 1)
		if _, ok := table.Get(e, SessCnt); ok {
			t.Error("sess_cnt is there and was not asked for")
		}
		time.Sleep(10 * time.Second) // the next period: the one before counts whole, then less and less
		want(HTTPReqRate, 20)
		time.Sleep(5 * time.Second)
		want(HTTPReqRate, 10)
		table.Add(e, 3, HTTPReqRate)
		want(HTTPReqRate, 13)
		time.Sleep(20 * time.Second)
		want(HTTPReqRate, 0)
		want(HTTPReqCnt, 20)
		table.Add(e, -1, ConnCur)
		want(ConnCur, 0)
		if n, ok := table.Look([]byte("a"), HTTPReqCnt); n != 20 || !ok {
			t.Errorf("looked up: %d, %v", n, ok)
		}
		if _, ok := table.Look([]byte("b"), HTTPReqCnt); ok {
			t.Error("looking makes an entry")
		}
	})
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := New(config(10, time.Minute))
		a, b := table.Track([]byte("a")), table.Track([]byte("b"))
		table.Add(a, 1, HTTPReqCnt)
		table.Release(a)
		time.Sleep(59 * time.Second)
		if n, ok := table.Look([]byte("a"), HTTPReqCnt); n != 1 || !ok {
			t.Errorf("after 59 s: %d, %v", n, ok)
		}
		time.Sleep(time.Second)
		if _, ok := table.Look([]byte("a"), HTTPReqCnt); ok {
			t.Error("it is not forgotten")
		}
		if n := table.Used(); n != 1 { // b is held
			t.Errorf("%d entries", n)
		}
		table.Release(b)
		time.Sleep(time.Minute)
		if n := table.Used(); n != 0 {
			t.Errorf("%d entries", n)
		}
	})
}

// However many keys come, there are no more entries than the table was made for.
func TestSizeBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, noPurge := range []bool{false, true} {
			cfg := config(100, 0)
			cfg.NoPurge = noPurge
			table := New(cfg)
			held := table.Track([]byte("held"))
			for i := range 10_000 {
				time.Sleep(time.Millisecond)
				e := table.Track(fmt.Append(nil, i))
				if noPurge && i >= 99 {
					if e != nil {
						t.Fatalf("a full table takes entry %d", i)
					}
					continue
				}
				if e == nil {
					t.Fatalf("no room for entry %d", i)
				}
				table.Release(e)
			}
			if n := table.Used(); n != 100 {
				t.Errorf("%d entries", n)
			}
			if _, ok := table.Look([]byte("9999"), HTTPReqCnt); ok == noPurge {
				t.Errorf("the newest is there: %v", ok)
			}
			if _, ok := table.Look([]byte("held"), HTTPReqCnt); !ok {
				t.Error("one that is held was forgotten")
			}
			table.Release(held)
		}
	})
	table := New(config(1, 0))
	table.Track([]byte("a"))
	if table.Track([]byte("b")) != nil {
		t.Error("there is room beside an entry that is held")
	}
}

func TestRowsAndClear(t *testing.T) { synctest.Test(t, rowsAndClear) }

func rowsAndClear(t *testing.T) {
	table := New(config(10, time.Minute))
	for _, key := range []string{"b", "a", "c"} {
		e := table.Track([]byte(key))
		table.Add(e, 2, HTTPReqCnt)
		if key != "c" {
			table.Release(e)
		}
	}
	rows := table.Rows(10, nil)
	if len(rows) != 3 || rows[0].Key != "a" || rows[2].Held != 1 || len(rows[0].Values) != 3 || rows[1].Left <= 59*time.Second {
		t.Errorf("%+v", rows)
	}
	if n := len(table.Rows(2, nil)); n != 2 {
		t.Errorf("%d rows of 2", n)
	}
	if n := table.Clear([]byte("a")); n != 1 {
		t.Errorf("%d cleared", n)
	}
	if n := table.Clear(nil); n != 1 || table.Used() != 1 {
		t.Errorf("%d cleared, %d left", n, table.Used())
	}
}

// Connections that last must not keep a full table from taking new keys.
func TestHeldEntriesAreNoObstacle(t *testing.T) {
	const held = 100
	table := New(config(held+1, 0))
	for i := range held {
		table.Track(fmt.Appendf(nil, "held %d", i))
	}
	table.Release(table.Track([]byte("gone")))
	e := table.Track([]byte("new"))
	if e == nil {
		t.Fatal("a full table with an entry that nobody holds takes no new key")
	}
	if _, ok := table.Look([]byte("gone"), HTTPReqCnt); ok {
		t.Error("the entry that nobody held is still there")
	}
}

// An entry that has just been let go was touched last, however long ago it was made.
func TestReleasedEntryIsTheMostRecent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := New(config(2, time.Minute))
		long := table.Track([]byte("long"))
		table.Release(table.Track([]byte("short")))
		time.Sleep(time.Minute)
		table.Release(long)
		if n := table.Used(); n != 1 {
			t.Errorf("%d entries, of which one has expired", n)
		}
		table.Release(table.Track([]byte("other")))
		table.Release(table.Track([]byte("long")))
		table.Release(table.Track([]byte("third")))
		if _, ok := table.Look([]byte("long"), HTTPReqCnt); !ok {
			t.Error("the wrong entry made room")
		}
	})
}

// A rate over a long period of a busy key: the events of the period before times what is left of it, in nanoseconds, is more
// than 64 bits hold.
func TestRateOfManyEventsInALongPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(1, 0)
		c.Period[HTTPReqRate] = 24 * time.Hour
		table := New(c)
		e := table.Track([]byte("a"))
		table.Add(e, 1_000_000, HTTPReqRate)
		time.Sleep(36 * time.Hour)
		if n, _ := table.Get(e, HTTPReqRate); n != 500_000 {
			t.Errorf("%d events in the last day, want half of a million", n)
		}
	})
}

// TestGeneralPurpose: what rules count and set, and that entries of a table have what it stores and nothing else.
func TestGeneralPurpose(t *testing.T) {
	cfg := Config{Type: "string", Len: 9, Size: 4}
	cfg.Stores[GPC0], cfg.Stores[GPC0Rate], cfg.Stores[GPC1Rate], cfg.Stores[GPT0] = true, true, true, true
	cfg.Period[GPC0Rate], cfg.Period[GPC1Rate] = time.Minute, time.Minute
	table := New(cfg)
	if e := table.Hold([]byte("a")); e != nil || table.Has([]byte("a")) {
		t.Fatal("an entry that nobody made")
	}
	e := table.Track([]byte("a"))
	defer table.Release(e)
	for want := uint64(1); want < 4; want++ {
		if n, ok := table.Bump(e, GPC0); n != want || !ok {
			t.Errorf("gpc0 is %d, %t after %d", n, ok, want)
		}
		if n, ok := table.Bump(e, GPC1); n != want || !ok {
			t.Errorf("gpc1, of which only the rate is stored, is %d, %t after %d", n, ok, want)
		}
	}
	if rate, ok := table.Get(e, GPC0Rate); rate != 3 || !ok {
		t.Errorf("rate %d, %t", rate, ok)
	}
	if was, ok := table.Set(e, GPC0, 0); was != 3 || !ok {
		t.Errorf("it was %d, %t", was, ok)
	}
	if _, ok := table.Set(e, GPC1, 1); ok {
		t.Error("what is not stored was set")
	}
	if was, ok := table.Set(e, GPT0, 9); was != 0 || !ok {
		t.Errorf("the tag was %d, %t", was, ok)
	}
	if n, ok := table.Get(e, ConnCnt); n != 0 || ok {
		t.Errorf("what is not stored is %d, %t", n, ok)
	}
	again := table.Hold([]byte("a"))
	if again != e || table.Holders(e) != 2 || !table.Has([]byte("a")) {
		t.Errorf("held by %d", table.Holders(e))
	}
	table.Release(again)
	if rows := table.Rows(9, nil); len(rows) != 1 || len(rows[0].Values) != 4 || rows[0].Values[0] != (Value{Data: GPT0, Count: 9}) {
		t.Errorf("rows %+v", rows)
	}
}
