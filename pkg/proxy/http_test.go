package proxy

import (
	"fmt"
	"net/netip"
	"testing"
)

func TestRoundRobinPerRequest(t *testing.T) {
	w := start(t, []netip.AddrPort{named(t, "a"), named(t, "b"), named(t, "c")})
	c := w.dial()
	got := map[string]int{}
	for i := range 9 {
		status, body := c.get(fmt.Sprint("/", i))
		if status != 200 {
			t.Fatalf("request %d: status %d", i, status)
		}
		got[body[:1]]++
	}
	for _, name := range []string{"a", "b", "c"} {
		if got[name] != 3 {
			t.Errorf("server %s answered %d of 9 requests over one connection, want 3", name, got[name])
		}
	}
}

func TestHTTP10ServerEndsBodyByClosing(t *testing.T) {
	w := start(t, []netip.AddrPort{scripted(t, "HTTP/1.0 200 ok\r\nServer: x\r\n\r\nhostname: abc")})
	c := w.dial()
	c.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
	if got, want := c.rest(), "HTTP/1.1 200 ok\r\nServer: x\r\nconnection: close\r\n\r\nhostname: abc"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

