package stick

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestServers: what a table has learned is found until it has expired, and looking puts that off.
func TestServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := New(Config{Name: "t", Type: "string", Len: 32, Size: 2, Expire: time.Minute})
		one, two := Server{1, "s1"}, Server{2, "s2"}
		want := func(key string, s Server, known bool) {
			t.Helper()
			if got, ok := table.Server([]byte(key)); got != s || ok != known {
				t.Errorf("%s: %v %v, want %v %v", key, got, ok, s, known)
			}
		}
		want("a", Server{}, false)
		if table.Used() != 0 {
			t.Error("looking has made an entry")
		}
		table.SetServer([]byte("a"), one)
		table.SetServer([]byte("b"), one)
		table.SetServer([]byte("b"), two)
		want("a", one, true)
		want("b", two, true)
		if rows := table.Rows(10, nil); len(rows) != 2 || rows[1].Server != two {
			t.Errorf("rows %v", rows)
		}

		want("a", one, true) // so that b is the oldest
		table.SetServer([]byte("c"), two)
		want("b", Server{}, false)

		time.Sleep(40 * time.Second)
		want("a", one, true)
		time.Sleep(40 * time.Second)
		want("a", one, true)
		want("c", Server{}, false)

		e := table.Track([]byte("d")) // one that counts and has been sent nowhere
		want("d", Server{}, false)
		table.SetServer([]byte("d"), one)
		want("d", one, true)
		table.Release(e)
		want("d", one, true)
	})
}

// TestFullTableLearnsNothing: with nopurge, and when all entries are held.
func TestFullTableLearnsNothing(t *testing.T) {
	table := New(Config{Name: "t", Type: "string", Len: 32, Size: 1, NoPurge: true})
	table.SetServer([]byte("a"), Server{1, "s1"})
	table.SetServer([]byte("b"), Server{1, "s1"})
	if _, ok := table.Server([]byte("b")); ok || table.Used() != 1 {
		t.Errorf("known: %v, used %d", ok, table.Used())
	}
	held := New(Config{Name: "t", Type: "string", Len: 32, Size: 1})
	held.Track([]byte("a"))
	held.SetServer([]byte("b"), Server{1, "s1"})
	if _, ok := held.Server([]byte("b")); ok || held.Used() != 1 {
		t.Errorf("known: %v, used %d", ok, held.Used())
	}
}
