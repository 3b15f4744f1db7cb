package userlist

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"waggle/pkg/userlist/crypt3"
)

// $6$ of "secret" with few rounds.
const secret = "$6$rounds=1000$abc$MqEcPZUYRGGcOeq7PhMpfjfu/F0HrVEI0OlZBijWvO8mSG77iNUDP5MqFceKpJTBc8iITVtNyLiNTRNCxv6oh0"

func testList(t *testing.T) *List {
	t.Helper()
	h, err := crypt3.Parse(secret)
	if err != nil {
		t.Fatal(err)
	}
	return &List{Name: "l", Users: map[string]*User{
		"hashed": {Name: "hashed", Hash: h, Groups: []string{"g"}}, "plain": {Name: "plain", Plain: "secret"}, "locked": {Name: "locked", Locked: true},
	}}
}

func TestChecker(t *testing.T) {
	c := NewChecker()
	defer c.Close()
	l := testList(t)
	for _, tt := range []struct {
		name, password string
		known, right   bool
	}{
		{"nobody", "secret", true, false},
		{"locked", "", true, false},
		{"plain", "secret", true, true},
		{"plain", "secre", true, false},
		{"hashed", "secret", false, true},
		{"hashed", "wrong", false, false},
		{"hashed", string(make([]byte, crypt3.MaxPassword+1)), true, false},
	} {
		u, known := c.Known(l, []byte(tt.name), []byte(tt.password))
		if known != tt.known {
			t.Errorf("%s:%s is known at once: %t", tt.name, tt.password, known)
		}
		if !known {
			found := make(chan struct{})
			if !c.Check(l, []byte(tt.name), []byte(tt.password), netip.Addr{}, func() { close(found) }) {
				t.Fatal("nothing is checked")
			}
			<-found
			u, known = c.Known(l, []byte(tt.name), []byte(tt.password))
		}
		if !known || (u != nil) != tt.right {
			t.Errorf("%s:%s is known %t, and right %t", tt.name, tt.password, known, u != nil)
		}
	}
	other := testList(t)
	other.Users["hashed"].Hash, _ = crypt3.Parse("$1$abcdefgh$" + "aaaaaaaaaaaaaaaaaaaaaa")
	if _, known := c.Known(other, []byte("hashed"), []byte("secret")); known {
		t.Error("what was found out of one hash is said of another")
	}
}

// One password is hashed at a time, few wait, and what is asked for twice is hashed once.
func TestCheckerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewChecker()
		now, most, hashed := 0, 0, 0
		c.hash = func(*crypt3.Hash, []byte) bool {
			now++
			hashed++
			most = max(most, now)
			time.Sleep(time.Millisecond)
			now--
			return false
		}
		l, told, refused := testList(t), 0, 0
		ask := func(password, client string) {
			if !c.Check(l, []byte("hashed"), []byte(password), netip.MustParseAddr(client), func() { told++ }) {
				refused++
			}
		}
		for i := range 200 {
			ask(fmt.Sprint("of one ", i), fmt.Sprint("2001:db8::", i))
		}
		if waiting := 200 - refused; waiting < maxOfOne || waiting > maxOfOne+1 {
			t.Errorf("%d of one client wait", waiting)
		}
		for i := range 200 {
			ask(fmt.Sprint(i), fmt.Sprint("192.0.2.", i))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if told+refused != 400 || told < maxWaiting || told > maxWaiting+1 || most != 1 || hashed != told {
			t.Errorf("%d were told, %d refused, %d hashed, %d at once", told, refused, hashed, most)
		}
		hashed = 0
		for range 3 {
			ask("twice", "192.0.2.1")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if hashed != 1 {
			t.Errorf("one password was hashed %d times", hashed)
		}
		for i := range 10 * maxWrong {
			c.note(digest{byte(i), byte(i >> 8)}, false)
		}
		if n := len(c.wrong.young) + len(c.wrong.aged); n > maxWrong {
			t.Errorf("%d wrong passwords are remembered", n)
		}
		c.Close()
		if c.Check(l, []byte("hashed"), []byte("x"), netip.Addr{}, func() {}) {
			t.Error("a closed checker takes work")
		}
	})
}

// Wrong passwords push no right one out of memory.
func TestRightPasswordsStay(t *testing.T) {
	c := NewChecker()
	defer c.Close()
	l := testList(t)
	c.note(c.digest(l.Users["hashed"], []byte("secret")), true)
	for i := range 10 * maxRight {
		c.note(digest{byte(i), byte(i >> 8)}, false)
	}
	if u, known := c.Known(l, []byte("hashed"), []byte("secret")); !known || u == nil {
		t.Error("it has been forgotten")
	}
}
