package h1

import (
	"strconv"
	"strings"
	"testing"
)

// head joins lines to a head: CRLF behind each, and an empty line.
func head(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

const get = "GET / HTTP/1.1"
const host = "Host: x"
const post = "POST / HTTP/1.1"

// refusedRequests are requests that no server may be shown, each with the reason.
var refusedRequests = []struct {
	name, in string
	why      Reason
}{
	// First line.
	{"no version (0.9)", "GET /\r\n\r\n", BadRequestLine},
	{"empty method", head(" / HTTP/1.1", host), BadRequestLine},
	{"only a word", head("GET", host), BadRequestLine},
	{"method with a colon", head("G:T / HTTP/1.1", host), BadMethod},
	{"method with a paren", head("GET() / HTTP/1.1", host), BadMethod},
	{"method in UTF-8", head("G\xc3\xa9T / HTTP/1.1", host), BadMethod},
	{"two spaces before target", head("GET  / HTTP/1.1", host), BadVersion},
	{"two spaces before version", head("GET /  HTTP/1.1", host), BadVersion},
	{"space behind version", head("GET / HTTP/1.1 ", host), BadVersion},
	{"tab for a space", head("GET\t/ HTTP/1.1", host), BadMethod},
	{"tab behind the target", head("GET /\tHTTP/1.1", host), BadRequestLine},
	{"space within the target", head("GET /a b HTTP/1.1", host), BadVersion},
	{"lower-case http", head("GET / http/1.1", host), BadVersion},
	{"no slash in version", head("GET / HTTP1.1", host), BadVersion},
	{"long minor", head("GET / HTTP/1.10", host), BadVersion},
	{"long major", head("GET / HTTP/11.1", host), BadVersion},
	{"signed version", head("GET / HTTP/+1.1", host), BadVersion},
	{"version 1.2", head("GET / HTTP/1.2", host), UnknownVersion},
	{"version 0.9", head("GET / HTTP/0.9", host), UnknownVersion},
	{"version 2.0", head("GET / HTTP/2.0", host), UnknownVersion},
	{"HTTP/2 preface", head("PRI * HTTP/2.0"), UnknownVersion},
	{"NUL in the method", head("G\x00T / HTTP/1.1", host), ControlByte},
	{"NUL in the target", head("GET /\x00 HTTP/1.1", host), ControlByte},
	{"DEL in the target", head("GET /\x7f HTTP/1.1", host), ControlByte},
	{"8-bit target", head("GET /\xe9 HTTP/1.1", host), BadTarget},
	{"fragment", head("GET /a#b HTTP/1.1", host), BadTarget},
	{"relative target", head("GET a HTTP/1.1", host), BadTarget},
	{"query alone", head("GET ?a HTTP/1.1", host), BadTarget},
	{"asterisk with GET", head("GET * HTTP/1.1", host), BadTarget},
	{"asterisk and more", head("OPTIONS *a HTTP/1.1", host), BadTarget},
	{"other scheme", head("GET ftp://x/ HTTP/1.1", host), BadTarget},
	{"scheme without authority", head("GET http:/// HTTP/1.1", "Host:"), BadTarget},
	{"scheme alone", head("GET http:// HTTP/1.1", "Host:"), BadTarget},
	{"half a scheme", head("GET http:/x HTTP/1.1", host), BadTarget},
	{"userinfo", head("GET http://u@x/ HTTP/1.1", host), BadTarget},
	{"authority with GET", head("GET x:80 HTTP/1.1", host), BadTarget},
	{"CONNECT to a path", head("CONNECT / HTTP/1.1", host), BadTarget},
	{"CONNECT without port", head("CONNECT x HTTP/1.1", host), BadTarget},
	{"CONNECT with an empty port", head("CONNECT x: HTTP/1.1", host), BadTarget},
	{"TLS ClientHello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc", ControlByte},

	// Line ends.
	{"bare LF behind the request line", "GET / HTTP/1.1\nHost: x\r\n\r\n", BareLF},
	{"bare LF behind a field", "GET / HTTP/1.1\r\nHost: x\n\r\n", BareLF},
	{"bare LF at the end", "GET / HTTP/1.1\r\nHost: x\r\n\n", BareLF},
	{"bare LF first", "\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", BareLF},
	{"two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", BadRequestLine},
	{"bare CR first", "\rGET / HTTP/1.1\r\nHost: x\r\n\r\n", BareCR},
	{"bare CR in the request line", head("GET /\rHTTP/1.1", host), BareCR},
	{"two CR", "GET / HTTP/1.1\r\r\nHost: x\r\n\r\n", BareCR},
	{"bare CR in a value", head(get, host, "A: b\rC: d"), BareCR},
	{"two CR behind a field", "GET / HTTP/1.1\r\nHost: x\r\r\n\r\n", BareCR},
	{"bare CR in a name", head(get, host, "A\rB: c"), BareCR},
	{"CR for an empty line", "GET / HTTP/1.1\r\nHost: x\r\n\r\r\n", BareCR},

	// Names and values.
	{"folded", head(get, host, "A: b", " c"), ObsFold},
	{"folded by a tab", head(get, host, "A: b", "\tc"), ObsFold},
	{"blank line first", head(get, " Host: x"), ObsFold},
	{"folded to nothing", head(get, host, "A: b", " "), ObsFold},
	{"space before colon", head(get, host, "A : b"), SpaceBeforeColon},
	{"tab before colon", head(get, host, "A\t: b"), SpaceBeforeColon},
	{"space before colon of a length", head(post, host, "Content-Length : 3"), SpaceBeforeColon},
	{"empty name", head(get, host, ": b"), BadFieldName},
	{"no colon", head(get, host, "A"), NoColon},
	{"no colon with blanks", head(get, host, "A b"), NoColon},
	{"blank within a name", head(get, host, "A B: c"), BadFieldName},
	{"8-bit name", head(get, host, "\xc3\xa9: c"), BadFieldName},
	{"slash in a name", head(get, host, "A/B: c"), BadFieldName},
	{"quote in a name", head(get, host, "\"A\": c"), BadFieldName},
	{"NUL in a name", head(get, host, "A\x00B: c"), ControlByte},
	{"vertical tab in a name", head(get, host, "A\x0bB: c"), ControlByte},
	{"NUL in a value", head(get, host, "A: \x00"), ControlByte},
	{"DEL in a value", head(get, host, "A: b\x7f"), ControlByte},
	{"escape in a value", head(get, host, "A: 12345678\x1b[0m"), ControlByte},

	// Host.
	{"no Host", head(get), MissingHost},
	{"no Host with absolute target", head("GET http://x/ HTTP/1.1"), MissingHost},
	{"two Hosts", head(get, host, host), DuplicateHost},
	{"two Hosts in 1.0", head("GET / HTTP/1.0", host, "host: y"), DuplicateHost},
	{"Host with a path", head(get, "Host: x/y"), BadHost},
	{"Host with userinfo", head(get, "Host: u@x"), BadHost},
	{"Host with a space", head(get, "Host: x y"), BadHost},
	{"Host with a bad port", head(get, "Host: x:8a"), BadHost},
	{"Host with a long port", head(get, "Host: x:123456"), BadHost},
	{"Host is a port", head(get, "Host: :80"), BadHost},
	{"Host with two colons", head(get, "Host: x:80:80"), BadHost},
	{"Host in UTF-8", head(get, "Host: \xc3\xa9"), BadHost},
	{"Host with a bad escape", head(get, "Host: a%2"), BadHost},
	{"Host with an open bracket", head(get, "Host: [::1"), BadHost},
	{"Host with brackets around a name", head(get, "Host: [xyz]"), BadHost},
	{"Host with more behind a bracket", head(get, "Host: [::1]x"), BadHost},
	{"Host other than the target's", head("GET http://a/ HTTP/1.1", "Host: b"), HostMismatch},
	{"Host with another port", head("GET http://a/ HTTP/1.1", "Host: a:81"), HostMismatch},
	{"Host with the other scheme's port", head("GET https://a/ HTTP/1.1", "Host: a:80"), HostMismatch},
	{"Host empty, the target's not", head("GET http://a/ HTTP/1.1", "Host:"), HostMismatch},

	// Framing.
	{"length and coding", head(post, host, "Content-Length: 3", "Transfer-Encoding: chunked"), LengthAndCoding},
	{"coding and length", head(post, host, "Transfer-Encoding: chunked", "Content-Length: 3"), LengthAndCoding},
	{"length 0 and coding", head(post, host, "Transfer-Encoding: chunked", "Content-Length: 0"), LengthAndCoding},
	{"two lengths", head(post, host, "Content-Length: 3", "Content-Length: 4"), DuplicateLength},
	{"the same length twice", head(post, host, "Content-Length: 3", "content-length: 3"), DuplicateLength},
	{"a list of lengths", head(post, host, "Content-Length: 3, 3"), BadLength},
	{"no length", head(post, host, "Content-Length:"), BadLength},
	{"blank length", head(post, host, "Content-Length:  \t "), BadLength},
	{"signed length", head(post, host, "Content-Length: +3"), BadLength},
	{"negative length", head(post, host, "Content-Length: -3"), BadLength},
	{"hexadecimal length", head(post, host, "Content-Length: 0x3"), BadLength},
	{"fractional length", head(post, host, "Content-Length: 3.0"), BadLength},
	{"length with underscore", head(post, host, "Content-Length: 1_0"), BadLength},
	{"length in two words", head(post, host, "Content-Length: 1 0"), BadLength},
	{"length quoted", head(post, host, `Content-Length: "3"`), BadLength},
	{"length with parameter", head(post, host, "Content-Length: 3;a"), BadLength},
	{"length of 2^63", head(post, host, "Content-Length: 9223372036854775808"), BadLength},
	{"length of 2^64+3", head(post, host, "Content-Length: 18446744073709551619"), BadLength},
	{"long length", head(post, host, "Content-Length: "+strings.Repeat("9", 400)), BadLength},
	{"coding in 1.0", head("POST / HTTP/1.0", host, "Transfer-Encoding: chunked"), CodingIn10},
	{"coding and length in 1.0", head("POST / HTTP/1.0", "Transfer-Encoding: chunked", "Content-Length: 3"), CodingIn10},
	{"no coding", head(post, host, "Transfer-Encoding:"), BadCoding},
	{"identity", head(post, host, "Transfer-Encoding: identity"), BadCoding},
	{"gzip", head(post, host, "Transfer-Encoding: gzip"), BadCoding},
	{"chunked not last", head(post, host, "Transfer-Encoding: chunked, gzip"), BadCoding},
	{"chunked not last, two lines", head(post, host, "Transfer-Encoding: chunked", "Transfer-Encoding: identity"), BadCoding},
	{"chunked twice", head(post, host, "Transfer-Encoding: chunked, chunked"), BadCoding},
	{"chunked twice, two lines", head(post, host, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), BadCoding},
	{"chunked with a comma before", head(post, host, "Transfer-Encoding: ,chunked"), BadCoding},
	{"chunked with a comma behind", head(post, host, "Transfer-Encoding: chunked,"), BadCoding},
	{"chunked with parameter", head(post, host, "Transfer-Encoding: chunked;a=b"), BadCoding},
	{"chunked quoted", head(post, host, `Transfer-Encoding: "chunked"`), BadCoding},
	{"xchunked", head(post, host, "Transfer-Encoding: xchunked"), BadCoding},
	{"chunked behind a vertical tab", head(post, host, "Transfer-Encoding: \x0bchunked"), ControlByte},
	{"chunked behind 8-bit", head(post, host, "Transfer-Encoding: \xa0chunked"), BadCoding},
	{"gzip, chunked", head(post, host, "Transfer-Encoding: gzip, chunked"), UnknownCoding},
	{"identity, chunked", head(post, host, "Transfer-Encoding: identity, chunked"), UnknownCoding},
	{"gzip and chunked in two lines", head(post, host, "Transfer-Encoding: gzip", "Transfer-Encoding: chunked"), UnknownCoding},
	{"GET with a body in 1.0", head("GET / HTTP/1.0", "Content-Length: 3"), BodyIn10},
	{"HEAD with a body in 1.0", head("HEAD / HTTP/1.0", "Content-Length: 3"), BodyIn10},
	{"DELETE with a body in 1.0", head("DELETE / HTTP/1.0", "Content-Length: 3"), BodyIn10},
	{"HTTP/2 preface in 1.1", head("PRI * HTTP/1.1", host), BadMethod},
	{"absolute with a query for a path", head("GET http://x?y HTTP/1.1", host), BadTarget},
	{"WebSocket without a key", head(get, host, "Connection: upgrade", "Upgrade: x, WebSocket"), BadWebSocket},
	{"WebSocket with another key", head(get, host, "Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x"), BadWebSocket},
	{"WebSocket without a key in 1.0", head("GET / HTTP/1.0", "Connection: upgrade", "Upgrade: websocket"), BadWebSocket},

	// Limits.
	{"target too long", head("GET /"+strings.Repeat("a", DefaultMaxHead)+" HTTP/1.1", host), TargetTooLong},
	{"field too long", head(get, host, "A: "+strings.Repeat("a", DefaultMaxHead)), HeadTooLarge},
	{"too many fields", head(get, host, strings.Repeat("A: b\r\n", DefaultMaxFields-1)+"A: b"), TooManyFields},
}

func TestRequestsThatAreRefused(t *testing.T) {
	for _, c := range refusedRequests {
		t.Run(c.name, func(t *testing.T) {
			var r Request
			n, why := r.Parse([]byte(c.in))
			if n != 0 || why != c.why {
				t.Fatalf("Parse(%.200q) = %d, %v; want 0, %v", c.in, n, why, c.why)
			}
			if s := why.Status(); s < 400 || s > 505 {
				t.Errorf("status %d for %v", s, why)
			}
		})
	}
}

func TestRequestsThatPass(t *testing.T) {
	for _, c := range []struct {
		name, in          string
		method            Method
		form              Form
		path, query, host string
		framing           Framing
		length            int64
		flags             string // k keep-alive, u upgrade, e expect
	}{
		{"plain", head(get, host), MethodGet, OriginForm, "/", "", "x", BodyNone, 0, "k"},
		{"empty line first", "\r\n" + head(get, host), MethodGet, OriginForm, "/", "", "x", BodyNone, 0, "k"},
		{"query", head("GET /a/b;c?d=e?f HTTP/1.1", host), MethodGet, OriginForm, "/a/b;c", "d=e?f", "x", BodyNone, 0, "k"},
		{"marks that browsers send", head("GET /a|b\"c<d>{e}^`\\ HTTP/1.1", host), MethodGet, OriginForm, "/a|b\"c<d>{e}^`\\", "", "x", BodyNone, 0, "k"},
		{"double slash is a path", head("GET //evil/ HTTP/1.1", host), MethodGet, OriginForm, "//evil/", "", "x", BodyNone, 0, "k"},
		{"colon in path", head("GET /http://y/ HTTP/1.1", host), MethodGet, OriginForm, "/http://y/", "", "x", BodyNone, 0, "k"},
		{"empty Host", head(get, "Host:"), MethodGet, OriginForm, "/", "", "", BodyNone, 0, "k"},
		{"Host with blanks around", head(get, "hOsT: \t x:80 \t"), MethodGet, OriginForm, "/", "", "x:80", BodyNone, 0, "k"},
		{"Host is IPv6", head(get, "Host: [2001:db8::1]:8080"), MethodGet, OriginForm, "/", "", "[2001:db8::1]:8080", BodyNone, 0, "k"},
		{"Host with underscore and escape", head(get, "Host: my_web.%41"), MethodGet, OriginForm, "/", "", "my_web.%41", BodyNone, 0, "k"},
		{"absolute", head("GET http://a.b/c?d HTTP/1.1", "Host: A.b"), MethodGet, AbsoluteForm, "/c", "d", "a.b", BodyNone, 0, "k"},
		{"absolute with default port", head("GET HTTP://a.b:80/c HTTP/1.1", "Host: a.b"), MethodGet, AbsoluteForm, "/c", "", "a.b:80", BodyNone, 0, "k"},
		{"absolute https", head("GET https://[::1]:443 HTTP/1.1", "Host: [::1]"), MethodGet, AbsoluteForm, "/", "", "[::1]:443", BodyNone, 0, "k"},
		{"absolute without path", head("GET http://a.b HTTP/1.1", "Host: a.b:"), MethodGet, AbsoluteForm, "/", "", "a.b", BodyNone, 0, "k"},
		{"asterisk", head("OPTIONS * HTTP/1.1", host), MethodOptions, AsteriskForm, "*", "", "x", BodyNone, 0, "k"},
		{"CONNECT", head("CONNECT a:443 HTTP/1.1", "Host: a:443"), MethodConnect, AuthorityForm, "a:443", "", "a:443", BodyNone, 0, ""},
		{"lower-case method is another", head("get / HTTP/1.1", host), MethodOther, OriginForm, "/", "", "x", BodyNone, 0, "k"},
		{"length", head("PUT / HTTP/1.1", host, "Content-Length: 003"), MethodPut, OriginForm, "/", "", "x", BodyLength, 3, "k"},
		{"length 0", head("DELETE / HTTP/1.1", host, "Content-Length: 0"), MethodDelete, OriginForm, "/", "", "x", BodyNone, 0, "k"},
		{"length of 2^63-1", head("PATCH / HTTP/1.1", host, "Content-Length: 9223372036854775807"), MethodPatch, OriginForm, "/", "", "x", BodyLength, 1<<63 - 1, "k"},
		{"chunked", head(post, host, "Transfer-Encoding: \tChunked "), MethodPost, OriginForm, "/", "", "x", BodyChunked, 0, "k"},
		{"GET with a body", head(get, host, "Content-Length: 3"), MethodGet, OriginForm, "/", "", "x", BodyLength, 3, "k"},
		{"1.0", head("GET / HTTP/1.0"), MethodGet, OriginForm, "/", "", "", BodyNone, 0, ""},
		{"1.0 with Host", head("HEAD / HTTP/1.0", host), MethodHead, OriginForm, "/", "", "x", BodyNone, 0, ""},
		{"1.0 keep-alive", head("GET / HTTP/1.0", "Connection: Keep-Alive"), MethodGet, OriginForm, "/", "", "", BodyNone, 0, "k"},
		{"1.0 keep-alive and close", head("GET / HTTP/1.0", "Connection: keep-alive, close"), MethodGet, OriginForm, "/", "", "", BodyNone, 0, ""},
		{"1.0 with a body", head("POST / HTTP/1.0", "Content-Length: 3"), MethodPost, OriginForm, "/", "", "", BodyLength, 3, ""},
		{"close", head("TRACE / HTTP/1.1", host, "Connection: x , CLOSE"), MethodTrace, OriginForm, "/", "", "x", BodyNone, 0, ""},
		{"close in the second line", head(get, host, "Connection: keep-alive", "Connection: ,close"), MethodGet, OriginForm, "/", "", "x", BodyNone, 0, ""},
		{"closed is not close", head(get, host, "Connection: closed"), MethodGet, OriginForm, "/", "", "x", BodyNone, 0, "k"},
		{"upgrade", head(get, host, "Connection: keep-alive, Upgrade", "Upgrade: chat"), MethodGet, OriginForm, "/", "", "x", BodyNone, 0, "ku"},
		{"upgrade not named", head(get, host, "Upgrade: chat"), MethodGet, OriginForm, "/", "", "x", BodyNone, 0, "k"},
		{"upgrade named and absent", head(get, host, "Connection: upgrade"), MethodGet, OriginForm, "/", "", "x", BodyNone, 0, "k"},
		{"upgrade to h2c", head(get, host, "Connection: Upgrade, HTTP2-Settings", "Upgrade: foo, h2c", "HTTP2-Settings: x"), MethodGet, OriginForm, "/", "", "x", BodyNone, 0, "k"},
		{"upgrade in 1.0", head("GET / HTTP/1.0", "Connection: upgrade", "Upgrade: chat"), MethodGet, OriginForm, "/", "", "", BodyNone, 0, ""},
		{"WebSocket", head(get, host, "Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), MethodGet, OriginForm, "/", "", "x", BodyNone, 0, "ku"},
		{"WebSocket with a body is none", head(post, host, "Content-Length: 1", "Connection: upgrade", "Upgrade: websocket"), MethodPost, OriginForm, "/", "", "x", BodyLength, 1, "k"},
		{"upgrade with a body", head(post, host, "Content-Length: 1", "Connection: upgrade", "Upgrade: chat"), MethodPost, OriginForm, "/", "", "x", BodyLength, 1, "k"},
		{"expect", head(post, host, "Content-Length: 1", "Expect: 100-Continue"), MethodPost, OriginForm, "/", "", "x", BodyLength, 1, "ke"},
		{"expect without a body", head(get, host, "Expect: 100-continue"), MethodGet, OriginForm, "/", "", "x", BodyNone, 0, "k"},
		{"expect in 1.0", head("POST / HTTP/1.0", "Content-Length: 1", "Expect: 100-continue"), MethodPost, OriginForm, "/", "", "", BodyLength, 1, ""},
		{"expect something else", head(post, host, "Content-Length: 1", "Expect: x"), MethodPost, OriginForm, "/", "", "x", BodyLength, 1, "k"},
		{"most fields", head(get, host+strings.Repeat("\r\nA: b", DefaultMaxFields-1)), MethodGet, OriginForm, "/", "", "x", BodyNone, 0, "k"},
		{"8-bit and tab in a value", head(get, host, "A: \xc3\xa9\tb"), MethodGet, OriginForm, "/", "", "x", BodyNone, 0, "k"},
		{"empty value", head(get, host, "A:"), MethodGet, OriginForm, "/", "", "x", BodyNone, 0, "k"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r Request
			n, why := r.Parse([]byte(c.in + "more"))
			if n != len(c.in) || why != OK || r.Len() != n {
				t.Fatalf("Parse(%q) = %d, %v; want %d, OK", c.in, n, why, len(c.in))
			}
			flags := ""
			for _, f := range []struct {
				set  bool
				mark string
			}{{r.KeepAlive, "k"}, {r.Upgrade, "u"}, {r.Expect100, "e"}} {
				if f.set {
					flags += f.mark
				}
			}
			got := []any{r.Method, r.Form, string(r.Path()), string(r.Query()), string(r.Host()), r.Framing, r.ContentLength, flags}
			want := []any{c.method, c.form, c.path, c.query, c.host, c.framing, c.length, c.flags}
			for i := range got {
				if got[i] != want[i] {
					t.Errorf("%s: got %v, want %v", [...]string{"method", "form", "path", "query", "host", "framing", "length", "flags"}[i], got[i], want[i])
				}
			}
		})
	}
}

func TestHeadLookup(t *testing.T) {
	var r Request
	in := []byte(head("GET /x HTTP/1.1", "Host: h", "X-A: 1", "x-a:2", "Empty: ", "X-Ab: 3"))
	if _, why := r.Parse(in); why != OK {
		t.Fatal(why)
	}
	if v := r.Header("x-A"); string(v) != "1" {
		t.Errorf("first x-a is %q", v)
	}
	if v := r.Header("empty"); v == nil || len(v) != 0 {
		t.Errorf("an empty value reads as %#v; want empty and not nil", v)
	}
	if v := r.Header("absent"); v != nil {
		t.Errorf("an absent field reads as %#v; want nil", v)
	}
	var all []string
	r.Headers("X-A", func(v []byte) bool { all = append(all, string(v)); return true })
	if strings.Join(all, ",") != "1,2" {
		t.Errorf("values of x-a: %q", all)
	}
	name, value := r.Field(2)
	if r.NumFields() != 5 || string(name) != "x-a" || string(value) != "2" {
		t.Errorf("field 2 of %d is %q: %q", r.NumFields(), name, value)
	}
	if string(r.FirstLine()) != "GET /x HTTP/1.1" || string(r.MethodBytes()) != "GET" || string(r.Target()) != "/x" {
		t.Errorf("first line %q, method %q, target %q", r.FirstLine(), r.MethodBytes(), r.Target())
	}
	moved := append([]byte(nil), in...)
	clear(in)
	r.Rebase(moved)
	if string(r.Header("host")) != "h" || string(r.Bytes()) != string(moved) {
		t.Errorf("after Rebase host is %q", r.Header("host"))
	}
	if v := append(r.Header("host"), "overrun"...); string(r.Header("x-a")) != "1" {
		t.Errorf("appending to a value (%q) overwrote the buffer", v)
	}
}

func TestRequestLimits(t *testing.T) {
	line := head(get, host)
	for _, c := range []struct {
		limits Limits
		why    Reason
	}{
		{Limits{MaxHead: len(line)}, OK},
		{Limits{MaxHead: len(line) - 1}, HeadTooLarge},
		{Limits{MaxHead: len(get) + 2}, HeadTooLarge},
		{Limits{MaxHead: len(get) + 1}, TargetTooLong},
		{Limits{MaxFields: 1}, OK},
	} {
		r := Request{Head: Head{Limits: c.limits}}
		if _, why := r.Parse([]byte(line)); why != c.why {
			t.Errorf("%+v: %v, want %v", c.limits, why, c.why)
		}
		r.Reset()
		if r.Limits != c.limits {
			t.Errorf("Reset forgot the limits")
		}
	}
}

func TestRequestIsReusedAndPipelined(t *testing.T) {
	var r Request
	in := head("GET /1 HTTP/1.1", host) + head("GET /22 HTTP/1.1", "Host: y", "Connection: close") + "GET /3"
	rest := []byte(in)
	for i, want := range []string{"/1", "/22"} {
		r.Reset()
		n, why := r.Parse(rest)
		if why != OK || string(r.Path()) != want || r.KeepAlive != (i == 0) {
			t.Fatalf("request %d: path %q, %v, keep-alive %v", i, r.Path(), why, r.KeepAlive)
		}
		if again, _ := r.Parse(rest); again != n {
			t.Fatalf("parsing a complete head again gives %d, not %d", again, n)
		}
		rest = rest[n:]
	}
	r.Reset()
	if n, why := r.Parse(rest); n != 0 || why != OK {
		t.Fatalf("an incomplete request gives %d, %v", n, why)
	}
}

// A head that trickles in is read in linear time: what was searched for a line end is not searched again.
func TestTrickleIsLinear(t *testing.T) {
	in := []byte(head("GET /"+strings.Repeat("a", 5000)+" HTTP/1.1", host, "A: "+strings.Repeat("b", 5000)))
	var r Request
	for size := 1; size < len(in); size++ {
		if n, why := r.Parse(in[:size]); n != 0 || why != OK {
			t.Fatalf("%d bytes: %d, %v", size, n, why)
		}
		if unseen := size - r.scan.seen; unseen > 1 { // one CR may still be undecided
			t.Fatalf("%d of %d bytes will be searched again", unseen, size)
		}
	}
}

func TestIdempotent(t *testing.T) {
	for m, want := range map[Method]bool{
		MethodGet: true, MethodHead: true, MethodPut: true, MethodDelete: true, MethodOptions: true, MethodTrace: true,
		MethodPost: false, MethodPatch: false, MethodConnect: false, MethodOther: false,
	} {
		if m.Idempotent() != want {
			t.Errorf("method %d: idempotent is %v", m, !want)
		}
	}
}

func TestReasons(t *testing.T) {
	seen := map[string]Reason{}
	for r := OK; r < numReasons; r++ {
		s := r.Error()
		if s == "" {
			t.Errorf("reason %d has no sentence", r)
		}
		if other, dup := seen[s]; dup {
			t.Errorf("reasons %d and %d have the same sentence", r, other)
		}
		seen[s] = r
	}
	for r, status := range map[Reason]int{
		BareLF: 400, TargetTooLong: 414, HeadTooLarge: 431, TooManyFields: 431, UnknownVersion: 505,
		UnknownCoding: 501, BodyIn10: 413, LengthAndCoding: 400, OK: 200,
	} {
		if r.Status() != status {
			t.Errorf("%v: status %d, want %s", r, r.Status(), strconv.Itoa(status))
		}
	}
}
