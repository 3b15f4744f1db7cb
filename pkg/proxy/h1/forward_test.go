package h1

import (
	"strings"
	"testing"
)

func parseRequest(t *testing.T, in string) *Request {
	t.Helper()
	r := new(Request)
	if n, why := r.Parse([]byte(in)); why != OK || n == 0 {
		t.Fatalf("Parse(%q) = %d, %v", in, n, why)
	}
	return r
}

func parseResponse(t *testing.T, in string, asked Asked) *Response {
	t.Helper()
	r := new(Response)
	if n, why := r.Parse([]byte(in), asked); why != OK || n == 0 {
		t.Fatalf("Parse(%q) = %d, %v", in, n, why)
	}
	return r
}

func TestForwardRequest(t *testing.T) {
	keep := Hop{KeepAlive: true}
	for _, c := range []struct {
		name string
		in   string
		hop  Hop
		want string
	}{
		{"as it came", head(get, "HOST:x", "A:  b ", "Empty:"), keep, head(get, "HOST:x", "A:  b ", "Empty:")},
		{"without the empty line before", "\r\n" + head(get, host), keep, head(get, host)},
		{"no field", head("GET / HTTP/1.0"), Hop{}, head("GET / HTTP/1.0")},
		{"absolute target", head("GET http://x/ HTTP/1.1", host), keep, head("GET http://x/ HTTP/1.1", host)},
		{"close", head(get, host), Hop{}, head(get, host, "connection: close")},
		{"client's close is its own", head(get, host, "Connection: close"), keep, head(get, host)},
		{"1.0", head("GET / HTTP/1.0", "A: b"), keep, head("GET / HTTP/1.0", "A: b", "connection: keep-alive")},
		{"1.0 close", head("GET / HTTP/1.0", "Connection: keep-alive"), Hop{}, head("GET / HTTP/1.0")},
		{
			"hop-by-hop", head(get, "Keep-Alive: 3", host, "TE: trailers", "Proxy-Connection: x", "A: b", "Connection: keep-alive, te", "C: d"),
			keep, head(get, host, "A: b", "C: d"),
		},
		{"what Connection names stays", head(get, "x-a: 1", host, "Connection: X-A,, x-B", "X-b: 2", "X-b: 3", "X-c: 4"), keep, head(get, "x-a: 1", host, "X-b: 2", "X-b: 3", "X-c: 4")},
		{"what two lines name stays", head(get, "Connection: x-forwarded-for", "X-Forwarded-For: 1", "Connection: cookie", "Cookie: 2", host), keep, head(get, "X-Forwarded-For: 1", "Cookie: 2", host)},
		{"named beside upgrade", head(get, host, "Connection: upgrade, x-a", "X-A: 1", "Upgrade: chat"), Hop{KeepAlive: true, Upgrade: true}, head(get, host, "X-A: 1", "Upgrade: chat", "connection: upgrade")},
		{
			"what cannot be named away", head(post, host, "Content-Length: 3", "Connection: host, content-length, transfer-encoding"),
			keep, head(post, host, "Content-Length: 3"),
		},
		{"chunked stays", head(post, host, "transfer-ENCODING: chunked"), keep, head(post, host, "transfer-ENCODING: chunked")},
		{"expect stays", head(post, host, "Content-Length: 3", "Expect: 100-continue"), keep, head(post, host, "Content-Length: 3", "Expect: 100-continue")},
		{"upgrade", head(get, host, "Connection: Upgrade", "Upgrade: chat"), Hop{KeepAlive: true, Upgrade: true}, head(get, host, "Upgrade: chat", "connection: upgrade")},
		{"upgrade not wanted", head(get, host, "Connection: Upgrade", "Upgrade: chat"), keep, head(get, host)},
		{"upgrade not named", head(get, host, "Upgrade: chat"), Hop{KeepAlive: true, Upgrade: true}, head(get, host)},
		{"upgrade to h2c", head(get, host, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA"), Hop{KeepAlive: true, Upgrade: true}, head(get, host)},
		{"upgrade with a body", head(post, host, "Content-Length: 1", "Connection: upgrade", "Upgrade: a"), Hop{KeepAlive: true, Upgrade: true}, head(post, host, "Content-Length: 1")},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := parseRequest(t, c.in).AppendTo([]byte("before "), nil, c.hop)
			if string(out) != "before "+c.want {
				t.Errorf("got  %q\nwant %q", out, "before "+c.want)
			}
			// What we send is a request that we would take.
			parseRequest(t, strings.TrimPrefix(string(out), "before "))
		})
	}
}

func TestForwardResponse(t *testing.T) {
	length, chunked := "Content-Length: 5", "Transfer-Encoding: chunked"
	for _, c := range []struct {
		name  string
		in    string
		asked Asked
		hop   Hop
		want  string
	}{
		{"as it came", head(ok, "Server:  x", length), Asked{}, Hop{Minor: 1, KeepAlive: true}, head(ok, "Server:  x", length)},
		{"no field", head("HTTP/1.1 204 No Content"), Asked{}, Hop{Minor: 1, KeepAlive: true}, head("HTTP/1.1 204 No Content")},
		{"our version", head("HTTP/1.0 404 Nope", length), Asked{}, Hop{Minor: 1, KeepAlive: true}, head("HTTP/1.1 404 Nope", length)},
		{"close", head(ok, length), Asked{}, Hop{Minor: 1}, head(ok, length, "connection: close")},
		{"server's close is its own", head(ok, length, "Connection: close"), Asked{}, Hop{Minor: 1, KeepAlive: true}, head(ok, length)},
		{"to 1.0", head(ok, length), Asked{}, Hop{KeepAlive: true}, head(ok, length, "connection: keep-alive")},
		{"to 1.0, close", head(ok, length), Asked{}, Hop{}, head(ok, length, "connection: close")},
		{"until close cannot be kept", head(ok), Asked{}, Hop{Minor: 1, KeepAlive: true}, head(ok, "connection: close")},
		{"until close in chunks", head("HTTP/1.0 200 OK", "A: b"), Asked{}, Hop{Minor: 1, KeepAlive: true, Body: Enchunked}, head(ok, "A: b", "transfer-encoding: chunked")},
		{"chunks to 1.0", head(ok, chunked, "Trailer: x", "A: b"), Asked{}, Hop{KeepAlive: true, Body: Dechunked}, head(ok, "A: b", "connection: close")},
		{"chunks to 1.0, HEAD", head(ok, chunked), Asked{Method: MethodHead}, Hop{KeepAlive: true, Body: Dechunked}, head(ok, "connection: keep-alive")},
		{"chunks stay", head(ok, chunked, "Trailer: x"), Asked{}, Hop{Minor: 1, KeepAlive: true}, head(ok, chunked, "Trailer: x")},
		{"hop-by-hop", head(ok, "Keep-Alive: timeout=5", "Connection: keep-alive, x", "X: y", length), Asked{}, Hop{Minor: 1, KeepAlive: true}, head(ok, "X: y", length)},
		{"length of a 204", head("HTTP/1.1 204 No Content", length, "A: b"), Asked{}, Hop{Minor: 1, KeepAlive: true}, head("HTTP/1.1 204 No Content", "A: b")},
		{"length of a 304", head("HTTP/1.1 304 Not Modified", length), Asked{}, Hop{Minor: 1, KeepAlive: true}, head("HTTP/1.1 304 Not Modified", length)},
		{"100 says nothing of the connection", head("HTTP/1.1 100 Continue"), Asked{}, Hop{Minor: 1}, head("HTTP/1.1 100 Continue")},
		{
			"101", head("HTTP/1.1 101 Switching Protocols", "connection: Upgrade", "Upgrade: chat"), Asked{Upgrade: true},
			Hop{Minor: 1, Upgrade: true}, head("HTTP/1.1 101 Switching Protocols", "Upgrade: chat", "connection: upgrade"),
		},
		{"426", head("HTTP/1.1 426 Upgrade Required", length, "Connection: upgrade", "Upgrade: TLS/1.2"), Asked{}, Hop{Minor: 1}, head("HTTP/1.1 426 Upgrade Required", length, "Upgrade: TLS/1.2", "connection: upgrade", "connection: close")},
		{"no space behind the status", head("HTTP/1.1 404", length), Asked{}, Hop{Minor: 1, KeepAlive: true}, head("HTTP/1.1 404 ", length)},
		{"Upgrade on a 200 goes no further", head(ok, length, "Connection: Upgrade", "Upgrade: h2"), Asked{}, Hop{Minor: 1, KeepAlive: true, Upgrade: true}, head(ok, length)},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := parseResponse(t, c.in, c.asked)
			if out := r.AppendTo(nil, nil, c.hop); string(out) != c.want {
				t.Errorf("got  %q\nwant %q", out, c.want)
			}
		})
	}
}

func TestBodyFor(t *testing.T) {
	for _, c := range []struct {
		in    string
		asked Asked
		want  [2]BodyAs // to 1.0 and to 1.1
	}{
		{head(ok), Asked{}, [2]BodyAs{AsItCame, Enchunked}},
		{head(ok), Asked{Method: MethodHead}, [2]BodyAs{AsItCame, AsItCame}},
		{head(ok, "Content-Length: 3"), Asked{}, [2]BodyAs{AsItCame, AsItCame}},
		{head(ok, "Transfer-Encoding: chunked"), Asked{}, [2]BodyAs{Dechunked, AsItCame}},
	} {
		for minor, want := range c.want {
			if got := parseResponse(t, c.in, c.asked).BodyFor(uint8(minor)); got != want {
				t.Errorf("%q to 1.%d: %d, want %d", c.in, minor, got, want)
			}
		}
	}
}
