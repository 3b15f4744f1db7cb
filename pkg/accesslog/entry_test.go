package accesslog

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

var (
	accepted = time.Date(2026, 11, 23, 17, 45, 48, 945_600_000, time.UTC)
	client   = netip.MustParseAddrPort("127.0.0.1:48676")
)

// served is the request of the line that HAProxy 2.6.12 was seen to write for it.
func served() Entry {
	return Entry{
		Style: HTTP, HTTPMode: true, Client: client, Dest: netip.MustParseAddrPort("127.0.0.1:19083"), Time: accepted,
		Frontend: "fh", Backend: "b", Server: "s", Status: 200, Bytes: 75, CookieIn: []byte("SID=abc"),
		ActConn: 1, FeConn: 1,
		RequestHeaders:  [][]byte{[]byte(`x"{|}y`), {}},
		ResponseHeaders: [][]byte{[]byte("my\"srv{|}\x80")},
		Request:         []byte("GET /a HTTP/1.1"),
	}
}

func TestLines(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(*Entry)
		want string
	}{
		{"http", func(*Entry) {},
			`127.0.0.1:48676 [23/Nov/2026:17:45:48.945] fh b/s 0/0/0/0/0 200 75 SID=abc - ---- 1/1/0/0/0 0/0 {x#22#7B#7C#7Dy|} {my#22srv#7B#7C#7D#80} "GET /a HTTP/1.1"`},
		{"http, refused", func(e *Entry) {
			e.NoTimers()
			*e = Entry{Style: HTTP, Client: e.Client, Time: e.Time, Frontend: "fh2", Backend: "fh2", TR: -1, Tw: -1, Tc: -1, Tr: -1, Status: 400, State: [4]byte{'P', 'R'}, ActConn: 1, FeConn: 1}
		}, `127.0.0.1:48676 [23/Nov/2026:17:45:48.945] fh2 fh2/<NOSRV> -1/-1/-1/-1/0 400 0 - - PR-- 1/1/0/0/0 0/0 "<BADREQ>"`},
		{"http, redirected", func(e *Entry) {
			e.Tw, e.Tc, e.Tr = -1, -1, -1
			e.Backend, e.Server, e.Status, e.Bytes, e.CookieIn = "fh", "", 302, 83, nil
			e.State = [4]byte{'L', 'R', '-', '-'}
			e.RequestHeaders, e.ResponseHeaders = [][]byte{[]byte("x"), {}}, [][]byte{}
			e.Request = []byte("GET /r HTTP/1.1")
		}, `127.0.0.1:48676 [23/Nov/2026:17:45:48.945] fh fh/<NOSRV> 0/-1/-1/-1/0 302 83 - - LR-- 1/1/0/0/0 0/0 {x|} {} "GET /r HTTP/1.1"`},
		{"http, everything", func(e *Entry) {
			e.TLS, e.ASAP, e.Redispatched = true, true, true
			e.TR, e.Tw, e.Tc, e.Tr, e.Ta = 1, 2, 3, 4, 10
			e.ActConn, e.FeConn, e.BeConn, e.SrvConn, e.Retries, e.SrvQueue, e.BeQueue = 5, 6, 7, 8, 9, 10, 11
			e.CookieIn, e.CookieOut = nil, []byte("A=b c")
			e.RequestHeaders, e.ResponseHeaders = nil, nil
			e.Client = netip.MustParseAddrPort("[2001:db8::1]:80")
		}, `2001:db8::1:80 [23/Nov/2026:17:45:48.945] fh~ b/s 1/2/3/4/+10 200 +75 - A=b#20c ---- 5/6/7/8/+9 10/11 "GET /a HTTP/1.1"`},
		{"http, no response", func(e *Entry) {
			e.Status, e.RequestHeaders, e.ResponseHeaders, e.State = 0, nil, nil, [4]byte{'C', 'H'}
		}, `127.0.0.1:48676 [23/Nov/2026:17:45:48.945] fh b/s 0/0/0/0/0 -1 75 SID=abc - CH-- 1/1/0/0/0 0/0 "GET /a HTTP/1.1"`},
		{"tcp", func(e *Entry) {
			*e = Entry{Style: TCP, Client: e.Client, Time: e.Time, Frontend: "ft", Backend: "bt", Server: "s", Tw: 1, Tt: 402, Bytes: 72, ActConn: 1, FeConn: 1}
		}, `127.0.0.1:48676 [23/Nov/2026:17:45:48.945] ft bt/s 1/0/402 72 -- 1/1/0/0/0 0/0`},
		{"tcp, no server", func(e *Entry) {
			*e = Entry{Style: TCP, Client: netip.MustParseAddrPort("[::ffff:10.0.0.1]:5"), Time: e.Time, Frontend: "ft", Backend: "bt", Tw: -1, Tc: -1, State: [4]byte{'S', 'C'}, Retries: 3}
		}, `10.0.0.1:5 [23/Nov/2026:17:45:48.945] ft bt/<NOSRV> -1/-1/0 0 SC 0/0/0/0/3 0/0`},
		{"neither, http", func(e *Entry) { e.Style, e.Frontend = Connect, "fn" },
			`Connect from 127.0.0.1:48676 to 127.0.0.1:19083 (fn/HTTP)`},
		{"neither, tcp", func(e *Entry) { e.Style, e.HTTPMode, e.Client = Connect, false, netip.AddrPort{} },
			`Connect from -:0 to 127.0.0.1:19083 (fh/TCP)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := served()
			c.make(&e)
			if got := string(e.Append(nil, time.UTC)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// Whatever a peer sends, a line is printable ASCII, and the request's quotes close once.
func TestNoForgedLines(t *testing.T) {
	e := served()
	var evil []byte
	for c := range 256 {
		evil = append(evil, byte(c))
	}
	e.Request, e.CookieIn, e.CookieOut = evil, evil, evil
	e.RequestHeaders, e.ResponseHeaders = [][]byte{evil, evil}, [][]byte{evil}
	line := string(e.Append(nil, time.UTC))
	for i := range len(line) {
		if line[i] < ' ' || line[i] > '~' {
			t.Fatalf("byte %#x at %d", line[i], i)
		}
	}
	for part, want := range map[string]int{`"`: 2, "#0A": 6, "#23": 6, "#7C": 3} {
		if got := strings.Count(line, part); got != want {
			t.Errorf("%q occurs %d times, want %d", part, got, want)
		}
	}
	if words := strings.Fields(line); words[9] != "----" {
		t.Errorf("the tenth word is %q, not the state: a cookie broke the columns", words[9])
	}
	captures := line[strings.Index(line, " 0/0 {"):strings.LastIndex(line, ` "`)]
	for part, want := range map[string]int{"{": 2, "}": 2, "|": 1} {
		if got := strings.Count(captures, part); got != want {
			t.Errorf("%q occurs %d times in the captures %s, want %d", part, got, captures, want)
		}
	}
}

func TestTimeIsLocal(t *testing.T) {
	e := served()
	zone := time.FixedZone("", -3*3600)
	if line := string(e.Append(nil, zone)); !strings.Contains(line, "[23/Nov/2026:14:45:48.945]") {
		t.Errorf("time in the wrong zone: %s", line)
	}
}
