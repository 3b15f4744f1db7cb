package h1

import (
	"testing"
)

const ok = "HTTP/1.1 200 OK"

var refusedResponses = []struct {
	name, in string
	asked    Asked
	why      Reason
}{
	{"no status", head("HTTP/1.1"), Asked{}, BadStatusLine},
	{"short status", head("HTTP/1.1 20"), Asked{}, BadStatusLine},
	{"long status", head("HTTP/1.1 2000 OK"), Asked{}, BadStatusLine},
	{"two spaces", head("HTTP/1.1  200 OK"), Asked{}, BadStatus},
	{"status in letters", head("HTTP/1.1 2x0 OK"), Asked{}, BadStatus},
	{"negative status", head("HTTP/1.1 -20 OK"), Asked{}, BadStatus},
	{"status 099", head("HTTP/1.1 099 OK"), Asked{}, BadStatus},
	{"WebSocket not accepted", head("HTTP/1.1 101 OK", "Connection: upgrade", "Upgrade: websocket"), Asked{Upgrade: true}, BadWebSocket},
	{"version 2", head("HTTP/2.0 200 OK"), Asked{}, UnknownVersion},
	{"version 1.2", head("HTTP/1.2 200 OK"), Asked{}, UnknownVersion},
	{"lower-case http", head("http/1.1 200 OK"), Asked{}, BadVersion},
	{"ICY", head("ICY 200 OK and more"), Asked{}, BadStatusLine},
	{"empty line first", "\r\n" + head(ok), Asked{}, BadStatusLine},
	{"bare LF", "HTTP/1.1 200 OK\nA: b\n\n", Asked{}, BareLF},
	{"bare LF behind a field", "HTTP/1.1 200 OK\r\nA: b\n\r\n", Asked{}, BareLF},
	{"bare CR in the reason", head("HTTP/1.1 200 O\rK"), Asked{}, BareCR},
	{"NUL in the reason", head("HTTP/1.1 200 O\x00K"), Asked{}, ControlByte},
	{"bare CR in a value", head(ok, "A: b\rc"), Asked{}, BareCR},
	{"response splitting", "HTTP/1.1 200 OK\r\nA: b\rSet-Cookie: x\r\n\r\n", Asked{}, BareCR},
	{"folded", head(ok, "A: b", " c"), Asked{}, ObsFold},
	{"space before colon", head(ok, "Content-Length : 3"), Asked{}, SpaceBeforeColon},
	{"no colon", head(ok, "junk"), Asked{}, NoColon},
	{"length and coding", head(ok, "Content-Length: 3", "Transfer-Encoding: chunked"), Asked{}, LengthAndCoding},
	{"two lengths", head(ok, "Content-Length: 3", "Content-Length: 3"), Asked{}, DuplicateLength},
	{"a list of lengths", head(ok, "Content-Length: 3,3"), Asked{}, BadLength},
	{"bad length of a 304", head("HTTP/1.1 304 Not Modified", "Content-Length: x"), Asked{}, BadLength},
	{"bad length for HEAD", head(ok, "Content-Length: x"), Asked{Method: MethodHead}, BadLength},
	{"coding in 1.0", head("HTTP/1.0 200 OK", "Transfer-Encoding: chunked"), Asked{}, CodingIn10},
	{"gzip", head(ok, "Transfer-Encoding: gzip"), Asked{}, BadCoding},
	{"identity", head(ok, "Transfer-Encoding: identity"), Asked{}, BadCoding},
	{"gzip, chunked", head(ok, "Transfer-Encoding: gzip, chunked"), Asked{}, UnknownCoding},
	{"chunked twice", head(ok, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), Asked{}, BadCoding},
	{"101 not asked for", head("HTTP/1.1 101 Switching Protocols", "Connection: upgrade", "Upgrade: a"), Asked{}, UnexpectedSwitch},
	{"101 without Upgrade", head("HTTP/1.1 101 Switching Protocols"), Asked{Upgrade: true}, UnexpectedSwitch},
	{"101 in 1.0", head("HTTP/1.0 101 Switching Protocols", "Connection: upgrade", "Upgrade: a"), Asked{Upgrade: true}, UnexpectedSwitch},
}

func TestResponsesThatAreRefused(t *testing.T) {
	for _, c := range refusedResponses {
		t.Run(c.name, func(t *testing.T) {
			var r Response
			if n, why := r.Parse([]byte(c.in), c.asked); n != 0 || why != c.why {
				t.Fatalf("Parse(%q) = %d, %v; want 0, %v", c.in, n, why, c.why)
			}
		})
	}
}

func TestResponsesThatPass(t *testing.T) {
	length := "Content-Length: 5"
	chunked := "Transfer-Encoding: chunked"
	upgrade := []string{"Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Accept: x"}
	for _, c := range []struct {
		name, in  string
		asked     Asked
		status    int
		reason    string
		framing   Framing
		length    int64
		keepAlive bool
	}{
		{"length", head(ok, length), Asked{}, 200, "OK", BodyLength, 5, true},
		{"length 0", head(ok, "Content-Length: 0"), Asked{}, 200, "OK", BodyNone, 0, true},
		{"chunked", head(ok, chunked), Asked{}, 200, "OK", BodyChunked, 0, true},
		{"until close", head(ok), Asked{}, 200, "OK", BodyUntilClose, 0, false},
		{"until close despite keep-alive", head("HTTP/1.0 200 OK", "Connection: keep-alive"), Asked{}, 200, "OK", BodyUntilClose, 0, false},
		{"1.0 keep-alive", head("HTTP/1.0 200 OK", "Connection: keep-alive", length), Asked{}, 200, "OK", BodyLength, 5, true},
		{"1.0", head("HTTP/1.0 200 OK", length), Asked{}, 200, "OK", BodyLength, 5, false},
		{"close", head(ok, length, "Connection: close"), Asked{}, 200, "OK", BodyLength, 5, false},
		{"no reason", head("HTTP/1.1 404 ", length), Asked{}, 404, "", BodyLength, 5, true},
		{"no space either", head("HTTP/1.1 404", length), Asked{}, 404, "", BodyLength, 5, true},
		{"reason in words", head("HTTP/1.1 500 It\tbroke \xe9", length), Asked{}, 500, "It\tbroke \xe9", BodyLength, 5, true},
		{"unknown status", head("HTTP/1.1 599 X", length), Asked{}, 599, "X", BodyLength, 5, true},
		{"status of no class", head("HTTP/1.1 999 X", length), Asked{}, 999, "X", BodyLength, 5, true},
		{"HEAD", head(ok, length), Asked{Method: MethodHead}, 200, "OK", BodyNone, 0, true},
		{"HEAD, chunked", head(ok, chunked), Asked{Method: MethodHead}, 200, "OK", BodyNone, 0, true},
		{"HEAD, neither", head(ok), Asked{Method: MethodHead}, 200, "OK", BodyNone, 0, true},
		{"304", head("HTTP/1.1 304 Not Modified", length), Asked{}, 304, "Not Modified", BodyNone, 0, true},
		{"204", head("HTTP/1.1 204 No Content"), Asked{}, 204, "No Content", BodyNone, 0, true},
		{"204 with a length", head("HTTP/1.1 204 No Content", length), Asked{}, 204, "No Content", BodyNone, 0, true},
		{"204 chunked", head("HTTP/1.1 204 No Content", chunked), Asked{}, 204, "No Content", BodyNone, 0, true},
		{"205 is read by its fields", head("HTTP/1.1 205 Reset Content", length), Asked{}, 205, "Reset Content", BodyLength, 5, true},
		{"100", head("HTTP/1.1 100 Continue"), Asked{}, 100, "Continue", BodyNone, 0, true},
		{"103", head("HTTP/1.1 103 Early Hints", "Link: x"), Asked{}, 103, "Early Hints", BodyNone, 0, true},
		{"101", head(append([]string{"HTTP/1.1 101 Switching Protocols"}, upgrade...)...), Asked{Upgrade: true}, 101, "Switching Protocols", BodyTunnel, 0, false},
		{"CONNECT", head(ok, length), Asked{Method: MethodConnect}, 200, "OK", BodyTunnel, 0, false},
		{"CONNECT refused", head("HTTP/1.1 403 Forbidden", length), Asked{Method: MethodConnect}, 403, "Forbidden", BodyLength, 5, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r Response
			n, why := r.Parse([]byte(c.in+"body"), c.asked)
			if n != len(c.in) || why != OK {
				t.Fatalf("Parse(%q) = %d, %v; want %d, OK", c.in, n, why, len(c.in))
			}
			if r.Status != c.status || string(r.ReasonPhrase()) != c.reason || r.Framing != c.framing ||
				r.ContentLength != c.length || r.KeepAlive != c.keepAlive {
				t.Errorf("got %d %q, body %v (%d), keep-alive %v; want %d %q, body %v (%d), keep-alive %v",
					r.Status, r.ReasonPhrase(), r.Framing, r.ContentLength, r.KeepAlive,
					c.status, c.reason, c.framing, c.length, c.keepAlive)
			}
			if want := c.status < 200 && c.status != 101; r.Interim() != want {
				t.Errorf("interim is %v, want %v", r.Interim(), want)
			}
		})
	}
}

func TestHeadsOverTheLimit(t *testing.T) {
	r := Response{Head: Head{Limits: Limits{MaxHead: 64, MaxFields: 2}}}
	for in, want := range map[string]Reason{
		head(ok, "A: b", "C: d"):                                        OK,
		head(ok, "A: b", "C: d", "E: f"):                                TooManyFields,
		head(ok, "A: "+string(make([]byte, 64))):                        HeadTooLarge,
		head(ok + " and a reason that is longer than sixty-four bytes"): TargetTooLong,
	} {
		r.Reset()
		if _, why := r.Parse([]byte(in), Asked{}); why != want {
			t.Errorf("%q: %v, want %v", in, why, want)
		}
	}
}
