package sample

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
)

// opening is a Subject with the first bytes of a client.
type opening struct {
	Nothing
	bytes []byte
	more  bool
}

func (o opening) Content() ([]byte, bool) { return o.bytes, o.more }

// helloOf is what crypto/tls begins a handshake with.
func helloOf(t testing.TB, name string, protocols ...string) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	go tls.Client(theirs, &tls.Config{ServerName: name, InsecureSkipVerify: name == "", NextProtos: protocols}).Handshake()
	defer theirs.Close()
	b := make([]byte, 16<<10)
	n, err := ours.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	for n < 5 || n < 5+int(b[3])<<8+int(b[4]) {
		m, err := ours.Read(b[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += m
	}
	return b[:n]
}

func TestContentConditions(t *testing.T) {
	hello := helloOf(t, "www.Site.test", "h2", "http/1.1")
	nameless := helloOf(t, "")
	for _, tc := range []struct {
		cond  string
		bytes string
		more  bool
		want  verdict
	}{
		{"if { req.ssl_sni -i www.site.test }", string(hello), true, yes},
		{"if { req_ssl_sni -i www.site.test }", string(hello), false, yes},
		{"if { req.ssl_sni www.site.test }", string(hello), true, no},
		{"if { req_ssl_sni -m end -i .test }", string(hello), true, yes},
		{"if { req.ssl_sni -m found }", string(nameless), true, no},
		{"if { req.ssl_sni -m found }", string(hello[:20]), true, notYet},
		{"if !{ req.ssl_sni -m found }", string(hello[:20]), true, notYet},
		{"unless { req.ssl_sni -m found }", string(hello[:20]), true, notYet},
		{"if { req.ssl_sni -m found }", string(hello[:20]), false, no},
		{"unless { req.ssl_sni -m found }", string(hello[:20]), false, yes},
		{"if { req.ssl_sni -m found }", "", true, notYet},
		{"if { req.ssl_sni -m found }", "GET / HTTP/1.1", true, no},
		{"if { req.ssl_hello_type 1 }", string(hello), true, yes},
		{"if { req_ssl_hello_type 1 }", "G", true, no},
		{"if { req.ssl_hello_type 1 }", "\x16", true, notYet},
		{"if { req.ssl_alpn http/1.1 }", string(hello), true, yes},
		{"if { req.ssl_alpn h2 }", string(hello), true, yes},
		{"if { req.ssl_alpn acme-tls/1 }", string(hello), true, no},
		{"if { req.len gt 3 }", "abcd", true, yes},
		{"if { req.len gt 3 }", "abc", true, notYet},
		{"if { req.len gt 3 }", "abc", false, no},
		{"if REQ_CONTENT", "", true, notYet},
		{"if REQ_CONTENT", "x", true, yes},
		{"if WAIT_END", "x", true, notYet},
		{"if WAIT_END", "", false, yes},
		{"if !WAIT_END", "", false, no},
		{"if { req.payload(0,3) -m str SSH }", "SSH-2.0", true, yes},
		{"if { req.payload(0,3) -m str SSH }", "GET ", true, no},
		{"if { payload(0,3) -m str SSH }", "SS", true, notYet},
		{"if { payload(0,3) 535348 }", "SSH-2.0", true, yes},
		{"if { payload(0,3),lower ssh }", "SSH-2.0", true, yes},
		{"if { payload_lv(0,1) 6162 }", "\x02ab", true, yes},
		{"if { req.payload(1,0) -m str bc }", "abc", true, yes},
		{"if { req.payload(1,0) -m str bc }", "ab", true, notYet},
		{"if { req.payload(9,0) -m found }", "ab", false, no},
		{"if { req.payload(0,2),hex 1603 }", string(hello), true, yes},
		{"if { req.payload_lv(0,2) -m str abc }", "\x00\x03abcd", true, yes},
		{"if { req.payload_lv(0,2,+1) -m str bcd }", "\x00\x03abcd", true, yes},
		{"if { req.payload_lv(0,2,2) -m str abc }", "\x00\x03abc", true, yes},
		{"if { req.payload_lv(0,2) -m found }", "\x00\x03ab", true, notYet},
		{"if { req.payload_lv(0,1) -m found }", "\x00", true, no},
		// What is decided does not wait for what is not.
		{"if { req.len gt 9 } or { always_true }", "a", true, yes},
		{"if { always_false } { req.len gt 9 }", "a", true, no},
		{"if { always_true } { req.len gt 9 }", "a", true, notYet},
	} {
		c, err := ParseCond(strings.Fields(tc.cond), Env{})
		if err != nil {
			t.Errorf("%s: %v", tc.cond, err)
			continue
		}
		s := opening{bytes: []byte(tc.bytes), more: tc.more}
		holds, waits := c.Judge(s)
		if holds != (tc.want == yes) || waits != (tc.want == notYet) {
			t.Errorf("%s of %.20q, more %v: holds %v, waits %v", tc.cond, tc.bytes, tc.more, holds, waits)
		}
		if !tc.more && c.Eval(s) != (tc.want == yes) {
			t.Errorf("%s of %.20q: Eval and Judge differ", tc.cond, tc.bytes)
		}
	}
	// Cut anywhere, a ClientHello waits for the rest.
	for n := range len(hello) {
		if _, state := parseHello(hello[:n]); state != helloPart {
			t.Fatalf("%d of %d bytes: state %d", n, len(hello), state)
		}
	}
}

func TestContentArguments(t *testing.T) {
	for _, expr := range []string{"req.payload(0)", "req.payload(-1,2)", "req.payload(a,2)", "req.payload_lv(0,9)", "req.payload_lv(0,0)", "req.payload_lv(0,1,-5)", "req.len(1)"} {
		if _, err := ParseCond([]string{"if", "{", expr, "-m", "found", "}"}, Env{}); err == nil {
			t.Errorf("%s is taken", expr)
		}
	}
	for where, want := range map[Where]bool{AtConnection: false, AtRequest: true, AtResponse: false} {
		if _, err := ParseExpr("req.len", Env{Where: where}); (err == nil) != want {
			t.Errorf("at moment %d: %v", where, err)
		}
	}
}

// Whatever comes, a name is found only within what came, and more bytes do not change what is whole.
func FuzzHello(f *testing.F) {
	f.Add(helloOf(f, "a.test", "h2"))
	f.Add(helloOf(f, ""))
	f.Add([]byte("\x16\x03\x01\x00\x04\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, state := parseHello(b)
		if len(h.sni) > len(b) || len(h.alpn) > len(b) || state != helloWhole && (h.sni != nil || h.alpn != nil) {
			t.Fatalf("%d bytes: name of %d, state %d", len(b), len(h.sni), state)
		}
		if state == helloPart {
			return
		}
		again, still := parseHello(append(b[:len(b):len(b)], "more"...))
		if still != state || string(again.sni) != string(h.sni) || string(again.alpn) != string(h.alpn) {
			t.Fatalf("more bytes change it: %q, then %q", h.sni, again.sni)
		}
		s := opening{bytes: b}
		for _, expr := range []string{"req.ssl_alpn", "req.ssl_sni", "req.ssl_hello_type", "req.payload(1,2)", "req.payload_lv(0,2)"} {
			x, err := ParseExpr(expr, Env{})
			if err != nil {
				t.Fatal(err)
			}
			x.Append(nil, s)
		}
	})
}
