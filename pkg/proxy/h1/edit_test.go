package h1

import (
	"strconv"
	"strings"
	"testing"
)

func TestEdits(t *testing.T) {
	in := head(get, "A: 1", "B: 2", "a: 3", "C: 4")
	for _, c := range []struct {
		name string
		edit func(*Edits)
		want string // field lines joined by '|'
	}{
		{"nothing", func(e *Edits) {}, "A: 1|B: 2|a: 3|C: 4"},
		{"add", func(e *Edits) { e.Add("A", "5") }, "A: 1|B: 2|a: 3|C: 4|A: 5"},
		{"set", func(e *Edits) { e.Set("a", "5") }, "B: 2|C: 4|a: 5"},
		{"delete", func(e *Edits) { e.Del("a") }, "B: 2|C: 4"},
		{"delete the last", func(e *Edits) { e.Del("c") }, "A: 1|B: 2|a: 3"},
		{"delete all", func(e *Edits) { e.Del("a"); e.Del("B"); e.Del("c") }, ""},
		{"delete what is not there", func(e *Edits) { e.Del("d") }, "A: 1|B: 2|a: 3|C: 4"},
		{"add, then delete", func(e *Edits) { e.Add("D", "5"); e.Del("d") }, "A: 1|B: 2|a: 3|C: 4"},
		{"delete, then add", func(e *Edits) { e.Del("a"); e.Add("a", "5") }, "B: 2|C: 4|a: 5"},
		{"set, add, set", func(e *Edits) { e.Set("a", "5"); e.Add("A", "6"); e.Set("A", "7") }, "B: 2|C: 4|A: 7"},
		{"set, then add", func(e *Edits) { e.Set("a", "5"); e.Add("A", "6") }, "B: 2|C: 4|a: 5|A: 6"},
		{"bytes", func(e *Edits) { e.SetBytes("B", []byte("5")); e.AddBytes("D", []byte("6")) }, "A: 1|a: 3|C: 4|B: 5|D: 6"},
		{"forged lines", func(e *Edits) { e.Add("D", "5\r\nE: 6\x00") }, "A: 1|B: 2|a: 3|C: 4|D: 5  E: 6 "},
		{"forged names", func(e *Edits) { e.Add("D\r\nE", "5"); e.Add("", "5"); e.Del("A ") }, "A: 1|B: 2|a: 3|C: 4"},
		{"framing", func(e *Edits) {
			e.Add("Content-Length", "5")
			e.Set("transfer-encoding", "chunked")
			e.Del("Connection")
		}, "A: 1|B: 2|a: 3|C: 4"},
		{"reset", func(e *Edits) { e.Del("a"); e.SetTarget([]byte("/y")); e.Reset() }, "A: 1|B: 2|a: 3|C: 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := parseRequest(t, strings.Replace(in, "HTTP/1.1", "HTTP/1.0", 1))
			var e Edits
			c.edit(&e)
			want := "GET / HTTP/1.0\r\n"
			if c.want != "" {
				want += strings.ReplaceAll(c.want, "|", "\r\n") + "\r\n"
			}
			if out := r.AppendTo(nil, &e, Hop{}); string(out) != want+"\r\n" {
				t.Errorf("got  %q\nwant %q", out, want+"\r\n")
			}
			for _, name := range []string{"a", "B", "c", "D"} {
				compareLookup(t, name, r, &e, c.want)
			}
		})
	}
}

// compareLookup checks that rules see through Header and Headers what is going to be sent.
// A rule may ask for the connection's end, and a later one may take that back.
func TestEditsClose(t *testing.T) {
	for _, c := range []struct {
		edit func(*Edits)
		want bool
	}{
		{func(*Edits) {}, false},
		{func(e *Edits) { e.Set("Connection", "close") }, true},
		{func(e *Edits) { e.AddBytes("connection", []byte("x, Close")) }, true},
		{func(e *Edits) { e.Set("connection", "closed") }, false},
		{func(e *Edits) { e.Set("Connection", "close"); e.Add("connection", "x") }, true},
		{func(e *Edits) { e.Set("Connection", "close"); e.Set("connection", "keep-alive") }, false},
		{func(e *Edits) { e.Set("Connection", "close"); e.Del("connection") }, false},
		{func(e *Edits) { e.Set("Connection", "close"); e.Reset() }, false},
	} {
		var e Edits
		if c.edit(&e); e.Closes() != c.want {
			t.Errorf("closes is %v, want %v", e.Closes(), c.want)
		}
	}
}

func compareLookup(t *testing.T, name string, r *Request, e *Edits, lines string) {
	t.Helper()
	var want, got []string
	for line := range strings.SplitSeq(lines, "|") {
		if n, v, ok := strings.Cut(line, ": "); ok && strings.EqualFold(n, name) {
			want = append(want, v)
		}
	}
	e.Headers(&r.Head, name, func(v []byte) bool { got = append(got, string(v)); return true })
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("Headers(%s) gives %q, sent are %q", name, got, want)
	}
	first := e.Header(&r.Head, name)
	if (first == nil) != (len(want) == 0) || len(want) > 0 && string(first) != want[0] {
		t.Errorf("Header(%s) gives %q, sent are %q", name, first, want)
	}
}

func TestEditTarget(t *testing.T) {
	var e Edits
	e.Add("A", "b")
	e.SetTarget([]byte("/new path\r\n?\xe9"))
	out := parseRequest(t, "\r\n"+head("GET /old HTTP/1.1", host)).AppendTo(nil, &e, Hop{KeepAlive: true})
	if want := head("GET /new%20path%0D%0A?%E9 HTTP/1.1", host, "A: b"); string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
	var none *Edits
	if v := none.Header(&parseRequest(t, head(get, host)).Head, "host"); string(v) != "x" {
		t.Errorf("a nil *Edits hides fields: %q", v)
	}
}

func TestEditMethod(t *testing.T) {
	for _, c := range []struct{ line, method, want string }{
		{"GET /a HTTP/1.1", "POST", "POST /a HTTP/1.1"},
		{"GET /a HTTP/1.1", "PROPFIND", "PROPFIND /a HTTP/1.1"},
		{"GET /a HTTP/1.1", "HEAD", "GET /a HTTP/1.1"}, // the client would wait for a body
		{"HEAD /a HTTP/1.1", "GET", "HEAD /a HTTP/1.1"},
		{"GET /a HTTP/1.1", "CONNECT", "GET /a HTTP/1.1"},
		{"GET /a HTTP/1.1", "A B", "GET /a HTTP/1.1"},
		{"GET /a HTTP/1.1", "", "GET /a HTTP/1.1"},
	} {
		r := parseRequest(t, head(c.line, host))
		var e Edits
		e.SetMethod(r, []byte(c.method))
		if got := string(r.AppendTo(nil, &e, Hop{KeepAlive: true})); got != head(c.want, host) {
			t.Errorf("%s to %s: %q", c.line, c.method, got)
		}
	}
}

// A status is not changed into one with which the message would end elsewhere.
func TestEditStatus(t *testing.T) {
	for _, c := range []struct {
		from, to int
		reason   string
		want     string
	}{
		{200, 404, "", "HTTP/1.1 404 Not Found\r\n"},
		{200, 418, "Short\r\nand: stout", "HTTP/1.1 418 Short  and: stout\r\n"},
		{200, 204, "", "HTTP/1.1 200 OK\r\n"},
		{304, 200, "", "HTTP/1.1 304 OK\r\n"},
		{200, 100, "", "HTTP/1.1 200 OK\r\n"},
	} {
		var r Response
		r.Reset()
		text := "HTTP/1.1 " + strconv.Itoa(c.from) + " OK\r\nContent-Length: 0\r\n\r\n"
		if _, why := r.Parse([]byte(text), Asked{}); why != OK {
			t.Fatal(why)
		}
		var e Edits
		e.SetStatus(&r, c.to, c.reason)
		if got := string(r.AppendTo(nil, &e, Hop{Minor: 1, KeepAlive: true})); !strings.HasPrefix(got, c.want) {
			t.Errorf("%d to %d: %q, want %q", c.from, c.to, got, c.want)
		}
	}
}

func TestDelMatching(t *testing.T) {
	r := parseRequest(t, head(get, host, "X-A: 1", "x-b: 2", "Y: 3"))
	var e Edits
	e.Add("X-C", "4")
	e.DelMatching(&r.Head, func(name []byte) bool { return name[0]|0x20 == 'x' })
	e.Add("X-D", "5")
	if got := string(r.AppendTo(nil, &e, Hop{KeepAlive: true})); got != head(get, host, "Y: 3", "X-D: 5") {
		t.Errorf("%q", got)
	}
}
