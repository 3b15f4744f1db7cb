package proxy

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/proxy/loop"
	"waggle/pkg/sample"
)

// sticky is a backend with a cookie, whose servers have their names for values.
func sticky(_ *Setup, _, be *config.Proxy) {
	be.Cookie = &config.Cookie{Name: "SRV", Insert: true, Indirect: true}
	for i := range be.Servers {
		be.Servers[i].Cookie = be.Servers[i].Name
	}
}

// withCookie sends a GET with a cookie and returns the body of the answer.
func (c *client) withCookie(value string) string {
	c.t.Helper()
	c.send("GET / HTTP/1.1\r\nHost: test\r\nCookie: SRV=" + value + "\r\n\r\n")
	_, body := c.response("GET")
	return body
}

// A request waits for the server that its cookie names even when others have room, and goes elsewhere once that
// server is no more.
func TestCookieWaitsForItsServer(t *testing.T) {
	w := start(t, []netip.AddrPort{named(t, "one"), named(t, "two")}, sticky, func(_ *Setup, _, be *config.Proxy) {
		be.Servers[0].MaxConn = 1
		be.Timeouts.Queue = patience
		be.Options.Redispatch = true
	})
	b := w.pool.Backend("be")
	one := b.Servers()[0]
	if !one.Acquire() { // it is full
		t.Fatal("no room")
	}
	c := w.dial()
	answer := make(chan string, 1)
	go func() { answer <- c.withCookie("s1") }()
	eventually(t, "it waits", func() bool { return one.Queue.Load() == 1 })
	one.Release()
	if got := receive(t, answer, "the answer"); !strings.HasPrefix(got, "one ") {
		t.Errorf("answered by %q", got)
	}

	eventually(t, "the place is free", one.Acquire)
	go func() { answer <- c.withCookie("s1") }()
	eventually(t, "it waits", func() bool { return one.Queue.Load() == 1 })
	one.SetMaint(true, pool.CauseNone)
	if got := receive(t, answer, "the answer"); !strings.HasPrefix(got, "two ") {
		t.Errorf("answered by %q", got)
	}
	one.Release()
}

// A tarpitted client is answered when the time is up, and one that leaves holds nothing until then.
func TestTarpit(t *testing.T) {
	w := start(t, []netip.AddrPort{named(t, "one")}, func(_ *Setup, fe, _ *config.Proxy) {
		fe.Timeouts.Tarpit = 50 * time.Millisecond
		fe.HTTPRequest = []config.HTTPRule{{Action: config.ActionTarpit, Status: 429}}
	})
	from := time.Now()
	if status, _ := w.dial().get("/"); status != 429 || time.Since(from) < 50*time.Millisecond {
		t.Errorf("%d after %v", status, time.Since(from))
	}
	if n := w.pool.Frontend("fe").Counters.Sum().DeniedReq; n != 1 {
		t.Errorf("%d requests were denied", n)
	}
}

func TestTarpittedClientLeaves(t *testing.T) {
	w := start(t, []netip.AddrPort{named(t, "one")}, func(_ *Setup, fe, _ *config.Proxy) {
		fe.Timeouts.Tarpit = time.Hour
		fe.HTTPRequest = []config.HTTPRule{{Action: config.ActionTarpit, Status: 429}}
	})
	c := w.dial()
	c.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
	eventually(t, "it waits", func() bool { return w.pool.Frontend("fe").Counters.Sum().DeniedReq == 1 })
	if err := c.SetLinger(0); err != nil { // a reset
		t.Fatal(err)
	}
	c.Close()
	eventually(t, "the session ends", func() bool { return w.engine.Sessions() == 0 })
}

// Whatever clients send as cookies, ours goes and those of others stay in their order.
func FuzzCookieLine(f *testing.F) {
	for _, line := range []string{"SRV=s1", "a=b; SRV=s1; c=d", "SRV=s1|AAAAA|BBBBB;SRV = x", ";;=;SRV", "SRV=", "a;SRV=x", " SRV=x ;", "SRV=one~x", "$,SRV=", "$Version=1; SRV=x; $Path=/; a=b"} {
		f.Add([]byte(line), true)
		f.Add([]byte(line), false)
	}
	l, err := loop.New()
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(l.Close)
	b := pool.New(1).AddBackend(pool.BackendOptions{Name: "be"})
	f.Fuzz(func(t *testing.T, line []byte, insert bool) {
		p := &config.Proxy{Cookie: &config.Cookie{Name: "SRV", Insert: insert, Indirect: insert, Prefix: !insert, MaxIdle: time.Hour, MaxLife: time.Hour}}
		s := &session{w: &worker{loop: l}, transaction: &transaction{be: &backend{cfg: p}}}
		s.persist.cookie = cookieNone
		before := string(line)
		out, edited := s.cookieLine(newCookies(p, b), line)
		if string(line) != before {
			t.Fatalf("%q became %q", before, line)
		}
		if !edited && string(out) != before {
			t.Fatalf("%q: unsaid change to %q", before, out)
		}
		if insert && strings.Join(others(string(out), "SRV"), ";") != strings.Join(others(before, "SRV"), ";") {
			t.Fatalf("%q: others lost in %q", before, out)
		}
		if insert && len(others(string(out), "")) != len(others(string(out), "SRV")) {
			t.Fatalf("%q: ours left in %q", before, out)
		}
	})
}

// A request full of our cookie takes no more memory, and so no more time, than its length.
func TestManyCookies(t *testing.T) {
	l, err := loop.New()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := pool.New(1).AddBackend(pool.BackendOptions{Name: "be"})
	line := []byte(strings.Repeat("S=x~y;a=1;", 1500))
	for _, cookie := range []*config.Cookie{{Name: "S", Insert: true, Indirect: true}, {Name: "S", Prefix: true}} {
		p := &config.Proxy{Cookie: cookie}
		s := &session{w: &worker{loop: l}, transaction: &transaction{be: &backend{cfg: p}}}
		c := newCookies(p, b)
		if _, made := allocated(func() { s.cookieLine(c, line) }, 0); made > uint64(4*len(line)) {
			t.Errorf("%+v: %d bytes for a line of %d", *cookie, made, len(line))
		}
	}
}

// cookieRows are what HAProxy 2.6 was seen to make of a request's cookies where the servers have a and b: the server that
// they lead to, and what it is sent, blanks apart.
var cookieRows = []struct{ mode, line, server, sent string }{
	{"indirect", "k=1,S=a", "a", "k=1"},
	{"indirect", "S=a,k=1", "a", "k=1"},
	{"indirect", "j=1, S=a, k=1", "a", "j=1, k=1"},
	{"indirect", `k="x;S=a";z=1`, "", `k="x;S=a";z=1`},
	{"indirect", `k="x;S=a`, "", `k="x;S=a`},
	{"indirect", `k=a"b;S=a"c;z=1`, "", `k=a"b;S=a"c;z=1`},
	{"indirect", `k="a\";S=a";z=1`, "", `k="a\";S=a";z=1`},
	{"indirect", `S="a;b";z=1`, "", "z=1"},
	{"indirect", `"S=a";S=a`, "", `"S=a";S=a`},
	{"indirect", "S=x; S=a", "a", ""},
	{"indirect", "S=a; S=b", "a", ""},
	{"indirect", "$Version=1; S=a; $Path=/; k=1", "a", "$Version=1; k=1"},
	{"indirect", "k=1; $Path=/x; S=a; $Path=/; j=2", "a", "k=1; $Path=/x; j=2"},
	{"indirect", "k=1; S=a; $Path=/; $Domain=x", "a", "k=1"},
	{"indirect", "$Version=1; S=a; $Path=/", "a", ""},
	{"indirect", "$Version=1, S=a; $Path=/, k=1", "a", "$Version=1, k=1"},
	{"indirect", "$Version=1; k=1", "", "$Version=1; k=1"},
	{"indirect", "k=1; S=a, S=b, j=2", "a", "k=1, j=2"},
	{"indirect", "k=1; S=a, j=2", "a", "k=1, j=2"},
	{"indirect", "k=1, S=a; $Path=/; j=2", "a", "k=1; j=2"},
	{"indirect", "k=1, S=a; $Path=/, S=b; j=2", "a", "k=1; j=2"},
	{"insert", "k=1,S=a", "a", "k=1,S=a"},
	{"insert", "S=a|AAAAA|AAAAA; S=b", "a", "S=a|AAAAA|AAAAA; S=b"},
	{"maxidle", "S=b|AAAAB; S=a", "a", "S=b|AAAAB; S=a"},
	{"prefix", "S=a~v,k=1", "a", "S=v,k=1"},
	{"prefix", "S=a; S=b", "a", "S=a; S=b"},
	{"prefix", "S=c~v; S=b~w", "b", "S=v; S=w"},
	{"rewrite", "S=a|AAAAA; k=1", "a", "S=a|AAAAA; k=1"},
	{"rewrite", "S=c; S=a b; S=b", "b", "S=c; S=a b; S=b"},
}

func TestCookiesAsHAProxy(t *testing.T) {
	l, err := loop.New()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := pool.New(1).AddBackend(pool.BackendOptions{Name: "be"})
	for _, name := range []string{"a", "b"} {
		o := pool.DefaultServerOptions()
		o.Name, o.Cookie, o.Addr = name, name, netip.MustParseAddrPort("192.0.2.1:80")
		b.AddServer(o)
	}
	modes := map[string]config.Cookie{
		"indirect": {Insert: true, Indirect: true}, "insert": {Insert: true}, "maxidle": {Insert: true, MaxIdle: time.Hour}, "prefix": {Prefix: true}, "rewrite": {Rewrite: true},
	}
	for _, row := range cookieRows {
		cookie := modes[row.mode]
		cookie.Name = "S"
		p := &config.Proxy{Cookie: &cookie}
		s := &session{w: &worker{loop: l, calendar: newCalendar(time.Now)}, transaction: &transaction{be: &backend{cfg: p}}}
		s.persist.cookie = cookieNone
		out, _ := s.cookieLine(newCookies(p, b), []byte(row.line))
		server := ""
		if to := s.persist.wanted.Server; to != nil {
			server = to.Name
		}
		if server != row.server || string(out) != row.sent {
			t.Errorf("%s, %s: to %q as %s, want %q as %s", row.mode, row.line, server, out, row.server, row.sent)
		}
	}
}

// others are the pairs of a line apart from those of a name, from empty ones and from attributes, which go with their cookie, and from a
// line that no cookie is left of.
func others(line, name string) (pairs []string) {
	for len(line) > 0 {
		end := sample.CookieEnd([]byte(line))
		pair := line[:end]
		line = line[min(end+1, len(line)):]
		key, _, ok := strings.Cut(pair, "=")
		if strings.HasPrefix(strings.TrimSpace(pair), "$") {
			continue
		}
		if strings.Trim(pair, " ") != "" && (name == "" || !ok || strings.TrimSpace(key) != name) {
			pairs = append(pairs, strings.Trim(pair, " "))
		}
	}
	return pairs
}
