package adapter

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"waggle/pkg/proxy/h1"
)

// h2request is a request as http2.Server hands it over.
func h2request(method, uri, host string, length int64, fields ...string) *http.Request {
	r := &http.Request{Method: method, RequestURI: uri, Host: host, ContentLength: length, Header: http.Header{}, Body: http.NoBody}
	if length != 0 {
		r.Body = io.NopCloser(strings.NewReader("body"))
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header[http.CanonicalHeaderKey(fields[i])] = append(r.Header[http.CanonicalHeaderKey(fields[i])], fields[i+1])
	}
	return r
}

func TestRequestHead(t *testing.T) {
	for _, tc := range []struct {
		r    *http.Request
		want string // "" = refused
	}{
		{h2request("GET", "/", "a.test", 0), "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n"},
		{h2request("POST", "/x?y", "a.test:8443", 4), "POST /x?y HTTP/1.1\r\nhost: a.test:8443\r\ncontent-length: 4\r\n\r\n"},
		{h2request("POST", "/", "a", -1), "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"},
		{h2request("GET", "/", "a", 0, "Cookie", "x=1; y=2"), "GET / HTTP/1.1\r\nhost: a\r\ncookie: x=1; y=2\r\n\r\n"},
		{h2request("OPTIONS", "*", "a", 0), "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n"},
		{h2request("CONNECT", "", "a:443", 0), "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n"},
		{h2request("GET", "/", "a", 0, "Host", "A"), "GET / HTTP/1.1\r\nhost: a\r\n\r\n"},
		{h2request("GET", "/", "a", 0, "Connection", "x", "Te", "trailers", "Transfer-Encoding", "chunked"), "GET / HTTP/1.1\r\nhost: a\r\n\r\n"},
		{h2request("GET", "/", "a", 0, "Host", "b"), ""},
		{h2request("GET", "/ HTTP/1.1\r\nX: y", "a", 0), ""},
		{h2request("GET", "/a b", "a", 0), ""},
		{h2request("GET", "x", "a", 0), ""},
		{h2request("GET", "*", "a", 0), ""},
		{h2request("GET", "", "a", 0), ""},
		{h2request("GET", "/", "", 0), ""},
		{h2request("GET", "/", "a\r\nX: y", 0), ""},
		{h2request("GET", "/", "a/b", 0), ""},
		{h2request("GET", "/", "user@a", 0), ""},
		{h2request("GE T", "/", "a", 0), ""},
		{h2request("", "/", "a", 0), ""},
		{h2request("GET", "/", "a", 0, "X", "y\r\nz: 1"), ""},
		{h2request("GET", "/", "a", 0, "X", " y"), ""},
		{h2request("GET", "/", "a", 0, "X y", "z"), ""},
	} {
		got, ok := requestHead(tc.r)
		if ok != (tc.want != "") || string(got) != tc.want {
			t.Errorf("%s %q %q %v: %q, want %q", tc.r.Method, tc.r.RequestURI, tc.r.Host, tc.r.Header, got, tc.want)
		}
	}
}

func TestRequestBody(t *testing.T) {
	for _, length := range []int64{int64(40000), -1} {
		body := strings.Repeat("0123456789", 4000)
		r := h2request("POST", "/", "a", length)
		r.Body = io.NopCloser(strings.NewReader(body))
		if length < 0 {
			r.Trailer = http.Header{"X-Sum": {"7"}, "Content-Length": {"3"}, "X-Bad": {"a\r\nb"}}
		}
		var out bytes.Buffer
		head, _ := requestHead(r)
		out.Write(head)
		if err := sendBody(&out, r); err != nil {
			t.Fatal(err)
		}
		back, err := http.ReadRequest(bufio.NewReader(&out))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(back.Body)
		if err != nil || string(got) != body || out.Len() != 0 {
			t.Errorf("length %d: %d bytes, %v", length, len(got), err)
		}
		if length < 0 && (len(back.Trailer) != 1 || back.Trailer.Get("X-Sum") != "7") {
			t.Errorf("trailer %v", back.Trailer)
		}
	}
}

// Whatever comes by HTTP/2, what is passed on is one request of HTTP/1 to our own strict parser, with nothing behind
// it and with the method, target, host and length that came.
func FuzzRequestHead(f *testing.F) {
	f.Add("GET", "/", "a.test", "x-y", "z", int64(0))
	f.Add("POST", "/a?b", "a:1", "cookie", "a=b", int64(3))
	f.Add("CONNECT", "", "a:1", "te", "trailers", int64(-1))
	f.Add("GET", "/ HTTP/1.1\r\nHost: b", "a\r\n", "transfer-encoding", "chunked\r\n", int64(1))
	f.Fuzz(func(t *testing.T, method, uri, host, name, value string, length int64) {
		r := h2request(method, uri, host, length)
		r.Header[name] = []string{value}
		head, ok := requestHead(r)
		if !ok {
			return
		}
		var got h1.Request
		got.Limits = h1.Limits{MaxHead: 1 << 20, MaxFields: 100}
		n, why := got.Parse(head)
		if why != h1.OK { // refused by the engine: nothing is forwarded
			return
		}
		if n != len(head) {
			t.Fatalf("%q: %d of %d bytes are the head", head, n, len(head))
		}
		if string(got.MethodBytes()) != method || string(got.Host()) != host && method != "CONNECT" {
			t.Fatalf("%q: read as %q %q", head, got.MethodBytes(), got.Host())
		}
		switch {
		case length > 0 && (got.Framing != h1.BodyLength || got.ContentLength != length),
			length < 0 && got.Framing != h1.BodyChunked,
			length == 0 && got.Framing != h1.BodyNone && got.ContentLength != 0:
			t.Fatalf("%q: framing %v, length %d, want %d", head, got.Framing, got.ContentLength, length)
		}
	})
}
