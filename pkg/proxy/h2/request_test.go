package h2

import (
	"bytes"
	"strings"
	"testing"

	"waggle/pkg/proxy/h1"
)

// head makes the head of a request of fields, of which every other one is a value.
func head(ends bool, room, most int, fields ...string) (string, Verdict, *Request) {
	var r Request
	r.Begin(make([]byte, 0, room), room, most)
	for i := 0; i+1 < len(fields); i += 2 {
		r.Field([]byte(fields[i]), []byte(fields[i+1]))
	}
	h, v := r.Finish(ends)
	return string(h), v, &r
}

func TestRequestHead(t *testing.T) {
	get := func(more ...string) []string {
		return append([]string{":method", "GET", ":scheme", "https", ":authority", "a.test", ":path", "/"}, more...)
	}
	of := func(method, path, authority string, more ...string) []string {
		return append([]string{":method", method, ":scheme", "https", ":path", path, ":authority", authority}, more...)
	}
	for _, tc := range []struct {
		fields []string
		ends   bool
		want   string
		v      Verdict
	}{
		{get(), true, "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n", Fine},
		{get("x", "", "y", "a b\tc"), true, "GET / HTTP/1.1\r\nhost: a.test\r\nx: \r\ny: a b\tc\r\n\r\n", Fine},
		{get("content-length", "4"), false, "GET / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 4\r\n\r\n", Fine},
		{get("content-length", "0"), true, "GET / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 0\r\n\r\n", Fine},
		{get(), false, "GET / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n", Fine},
		{get("cookie", "x=1", "a", "b", "cookie", "y=2"), true, "GET / HTTP/1.1\r\nhost: a.test\r\na: b\r\ncookie: x=1; y=2\r\n\r\n", Fine},
		{get("te", "trailers", "trailer", "x", "http2-settings", "y"), true, "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n", Fine},
		{get("host", "A.TEST"), true, "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n", Fine},
		{[]string{":method", "GET", ":scheme", "http", ":path", "/", "host", "b"}, true, "GET / HTTP/1.1\r\nhost: b\r\n\r\n", Fine},
		{of("GET", "/", "a.test:443"), true, "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n", Fine},
		{of("GET", "/", "a.test:", "host", "a.test:"), true, "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n", Fine},
		{of("GET", "/", "a.test:80"), true, "GET / HTTP/1.1\r\nhost: a.test:80\r\n\r\n", Fine},
		{of("OPTIONS", "*", "a"), true, "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n", Fine},
		{[]string{":method", "CONNECT", ":authority", "a:443"}, true, "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n", Fine},

		{get("host", "b"), true, "", Dubious},
		{get("host", "a.test", "host", "a.test"), true, "", Dubious},
		{of("GET", "/ HTTP/1.1\x00", "a"), true, "", Malformed},
		{of("GET", "/ HTTP/1.1\r\nX: y", "a"), true, "", Malformed},
		{of("GET", "/a b", "a"), true, "", Dubious},
		{of("GET", "x", "a"), true, "", Dubious},
		{of("GET", "*", "a"), true, "", Dubious},
		{of("GET", "/", "a/b"), true, "", Dubious},
		{of("GET", "/", "user@a"), true, "", Dubious},
		{of("GET", "/", "a b"), true, "", Dubious},
		{of("GET", "/", ""), true, "", Dubious},
		{[]string{":method", "GET", ":scheme", "http", ":path", "/"}, true, "", Dubious},

		{of("GET", "", "a"), true, "", Malformed},
		{of("GE T", "/", "a"), true, "", Malformed},
		{of("", "/", "a"), true, "", Malformed},
		{of("GET", "/", "a\r\nX: y"), true, "", Malformed},
		{nil, true, "", Malformed},
		{[]string{":method", "GET", ":path", "/", ":authority", "a"}, true, "", Malformed},
		{[]string{":scheme", "http", ":path", "/", ":authority", "a"}, true, "", Malformed},
		{[]string{":method", "GET", ":scheme", "ftp", ":path", "/", ":authority", "a"}, true, "", Malformed},
		{[]string{":method", "CONNECT", ":authority", "a:1", ":path", "/"}, true, "", Malformed},
		{[]string{":method", "CONNECT", ":authority", ""}, true, "", Malformed},
		{get(":path", "/"), true, "", Malformed},
		{append([]string{"x", "y"}, get()...), true, "", Malformed},
		{get("x", "y", ":authority", "b"), true, "", Malformed},
		{append(get(), ":status", "200"), true, "", Malformed},
		{[]string{":protocol", "websocket"}, true, "", Malformed},
		{get("X", "y"), true, "", Malformed},
		{get("", "y"), true, "", Malformed},
		{get("x y", "z"), true, "", Malformed},
		{get("x:", "z"), true, "", Malformed},
		{get("x", "y\r\nz: 1"), true, "", Malformed},
		{get("x", "\x00"), true, "", Malformed},
		{get("x", " y"), true, "", Malformed},
		{get("x", "y\t"), true, "", Malformed},
		{get("connection", "close"), true, "", Malformed},
		{get("keep-alive", "1"), true, "", Malformed},
		{get("proxy-connection", "close"), true, "", Malformed},
		{get("transfer-encoding", "chunked"), false, "", Malformed},
		{get("upgrade", "websocket"), true, "", Malformed},
		{get("te", "gzip"), true, "", Malformed},
		{get("content-length", "4"), true, "", Malformed},
		{get("content-length", "4", "content-length", "4"), false, "", Malformed},
		{get("content-length", "+4"), false, "", Malformed},
		{get("content-length", ""), false, "", Malformed},
		{get("content-length", "9223372036854775808"), false, "", Malformed},
	} {
		got, v, _ := head(tc.ends, 1<<12, 1<<12, tc.fields...)
		if v != tc.v || v == Fine && got != tc.want {
			t.Errorf("%q: %q %v, want %q %v", tc.fields, got, v, tc.want, tc.v)
		}
	}
}

// No head is longer than the room for it, and no list than the client was told.
func TestRequestSize(t *testing.T) {
	fields := []string{":method", "GET", ":scheme", "https", ":authority", "a.test", ":path", "/", "x", strings.Repeat("y", 100), "cookie", "a=b", "cookie", "c=d", "content-length", "12"}
	whole, v, _ := head(false, 1<<12, 1<<12, fields...)
	if v != Fine {
		t.Fatal(v)
	}
	for room := range len(whole) + 1 {
		got, v, _ := head(false, room, 1<<12, fields...)
		if len(got) > room || (v == Fine) != (room == len(whole)) || v != Fine && v != TooLarge {
			t.Errorf("in %d of %d bytes: %d, %v", room, len(whole), len(got), v)
		}
	}
	size := 0
	for i := 0; i < len(fields); i += 2 {
		size += len(fields[i]) + len(fields[i+1]) + 32
	}
	for most, want := range map[int]Verdict{size: Fine, size - 1: TooLarge, size/4 + 1: TooLarge, size/4 - 1: Bomb} {
		if _, v, _ := head(false, 1<<12, most, fields...); v != want {
			t.Errorf("a list of %d, limit %d: %v, want %v", size, most, v, want)
		}
	}
}

func TestTrailers(t *testing.T) {
	for _, tc := range []struct {
		fields []string
		want   string
		broken bool
	}{
		{[]string{"x-sum", "7", "x-b", ""}, "x-sum: 7\r\nx-b: \r\n", false},
		{[]string{"expect", "3", "x", "y", "cookie", "a", "authorization", "x"}, "x: y\r\n", false},
		{[]string{"content-length", "3"}, "", true},
		{[]string{"connection", "x"}, "", true},
		{[]string{"transfer-encoding", "chunked"}, "", true},
		{[]string{"host", "a"}, "", true},
		{[]string{":path", "/"}, "", true},
		{[]string{"X", "y"}, "", true},
		{[]string{"x", "a\r\nb"}, "", true},
		{[]string{"x", strings.Repeat("y", 100)}, "", true},
	} {
		tr := Trailer{Most: 100}
		for i := 0; i < len(tc.fields); i += 2 {
			tr.Field([]byte(tc.fields[i]), []byte(tc.fields[i+1]))
		}
		if tr.Broken != tc.broken || !tc.broken && string(tr.Text) != tc.want {
			t.Errorf("%q: %q %v", tc.fields, tr.Text, tr.Broken)
		}
	}
	var got list
	if err := new(Decoder).Decode(AppendTrailer(nil, []byte("X-Sum: 7 \r\nConnection: x\r\nb:\r\n")), &got); err != nil || got.String() != "\"x-sum\": \"7\"\n\"b\": \"\"\n" {
		t.Errorf("%s %v", got, err)
	}
}

func TestResponseFields(t *testing.T) {
	var r h1.Response
	if _, why := r.Parse([]byte("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nConnection: close\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\nProxy-Connection: x\r\nSet-Cookie: a=b\r\nX-Odd:  y \r\n\r\n"), h1.Asked{}); why != h1.OK {
		t.Fatal(why)
	}
	var got list
	if err := new(Decoder).Decode(AppendResponse(nil, &r), &got); err != nil {
		t.Fatal(err)
	}
	if want := "\":status\": \"404\"\n\"content-length\": \"3\"\n\"set-cookie\": \"a=b\"\n\"x-odd\": \"y\"\n"; got.String() != want {
		t.Errorf("%swant\n%s", got, want)
	}
}

func TestFrames(t *testing.T) {
	f := Frame{Length: 0x123456, Type: Continuation, Flags: 0x5, Stream: MaxStreamID}
	if got := ParseFrame(f.Append(nil)); got != f {
		t.Errorf("%v became %v", f, got)
	}
	b := f.Append(nil)
	b[5] |= 0x80 // which is reserved
	if got := ParseFrame(b); got != f {
		t.Errorf("%v became %v", f, got)
	}
}

// Whatever fields come, what is passed on is one request of HTTP/1 to our own strict parser, with nothing behind it and with
// the method, target, host and length that came.
func FuzzRequest(f *testing.F) {
	f.Add("GET", "/", "a.test", "x-y", "z", "", true)
	f.Add("POST", "/a?b", "a:1", "cookie", "a=b", "3", false)
	f.Add("CONNECT", "", "a:1", "te", "trailers", "", false)
	f.Add("GET", "/ HTTP/1.1\r\nHost: b", "a\r\n", "transfer-encoding", "chunked\r\n", "1", false)
	f.Add("OPTIONS", "*", "", "host", "b", "0", true)
	f.Fuzz(func(t *testing.T, method, path, authority, name, value, length string, ends bool) {
		fields := []string{":method", method}
		if method != "CONNECT" {
			fields = append(fields, ":scheme", "http", ":path", path)
		}
		if authority != "" {
			fields = append(fields, ":authority", authority)
		}
		fields = append(fields, name, value)
		if length != "" {
			fields = append(fields, "content-length", length)
		}
		text, v, made := head(ends, 8<<10, 8<<10, fields...)
		if len(text) > 8<<10 {
			t.Fatalf("%d bytes", len(text))
		}
		if v != Fine {
			return
		}
		var got h1.Request
		got.Limits = h1.Limits{MaxHead: 1 << 20, MaxFields: 100}
		n, why := got.Parse([]byte(text))
		if why != h1.OK { // refused by the engine: nothing is forwarded
			return
		}
		if n != len(text) {
			t.Fatalf("%q: %d of %d bytes are the head", text, n, len(text))
		}
		if string(got.MethodBytes()) != method || got.Method != made.Method() {
			t.Fatalf("%q: read as %q", text, got.MethodBytes())
		}
		if method != "CONNECT" && string(got.Target()) != path {
			t.Fatalf("%q: read as %q", text, got.Target())
		}
		if want := []byte(authority); method != "CONNECT" {
			authority = string(h1.TrimPort(want, false))
		}
		if authority != "" && !bytes.EqualFold(got.Host(), []byte(authority)) {
			t.Fatalf("%q: for %q", text, got.Host())
		}
		switch {
		case made.Length() > 0 && (got.Framing != h1.BodyLength || got.ContentLength != made.Length()),
			made.Length() < 0 && !ends && got.Framing != h1.BodyChunked,
			made.Length() < 0 && ends && got.Framing != h1.BodyNone,
			made.Length() == 0 && got.Framing != h1.BodyNone:
			t.Fatalf("%q: framing %v, length %d, want %d", text, got.Framing, got.ContentLength, made.Length())
		}
	})
}
