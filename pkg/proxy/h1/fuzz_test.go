package h1

import (
	"bytes"
	"io"
	"net/http/httputil"
	"testing"
)

// summary is all that a parsed head says, in a form that can be compared.
type summary struct {
	n         int
	why       Reason
	framing   Framing
	length    int64
	keepAlive bool
	upgrade   bool
	fields    int
	forwarded string
}

func summarizeRequest(r *Request, n int, why Reason) summary {
	s := summary{n: n, why: why}
	if n > 0 {
		s.framing, s.length, s.keepAlive, s.upgrade = r.Framing, r.ContentLength, r.KeepAlive, r.Upgrade
		s.fields = r.NumFields()
		s.forwarded = string(r.AppendTo(nil, nil, Hop{KeepAlive: true, Upgrade: true}))
	}
	return s
}

func summarizeResponse(r *Response, n int, why Reason) summary {
	s := summary{n: n, why: why}
	if n > 0 {
		s.framing, s.length, s.keepAlive, s.upgrade = r.Framing, r.ContentLength, r.KeepAlive, r.Upgrade
		s.fields = r.NumFields()
		s.forwarded = string(r.AppendTo(nil, nil, Hop{Minor: 1, KeepAlive: true, Upgrade: true}))
	}
	return s
}

// grow feeds in to parse in growing prefixes, each in memory of its own, and returns the first result.
func grow(in []byte, step int, parse func([]byte) (int, Reason)) (n int, why Reason) {
	for size := 0; ; size = min(size+step, len(in)) {
		n, why = parse(bytes.Clone(in[:size]))
		if n > 0 || why != OK || size == len(in) {
			return n, why
		}
	}
}

// checkRequest demands that how a request is cut changes nothing, that what we send on is what we would take, and that
// it means the same.
func checkRequest(t *testing.T, in []byte) {
	limits := Limits{MaxHead: 1024, MaxFields: 16}
	whole := Request{Head: Head{Limits: limits}}
	n, why := whole.Parse(in)
	want := summarizeRequest(&whole, n, why)
	steps := []int{1, 2, 7, max(1, len(in)/2)}
	for _, step := range steps {
		r := Request{Head: Head{Limits: limits}}
		n, why := grow(in, step, r.Parse)
		if got := summarizeRequest(&r, n, why); got != want {
			t.Fatalf("%q in steps of %d:\ngot  %+v\nwant %+v", in, step, got, want)
		}
	}
	if n == 0 {
		return
	}
	var again Request
	m, why := again.Parse([]byte(want.forwarded))
	if why != OK || m != len(want.forwarded) {
		t.Fatalf("%q is sent on as %q, which is refused: %v", in, want.forwarded, why)
	}
	if again.Framing != whole.Framing || again.ContentLength != whole.ContentLength || again.Method != whole.Method ||
		!bytes.Equal(again.Target(), whole.Target()) || !bytes.Equal(again.Host(), whole.Host()) {
		t.Fatalf("%q is sent on as %q, which means something else", in, want.forwarded)
	}
}

func checkResponse(t *testing.T, in []byte, asked Asked) {
	limits := Limits{MaxHead: 1024, MaxFields: 16}
	whole := Response{Head: Head{Limits: limits}}
	n, why := whole.Parse(in, asked)
	want := summarizeResponse(&whole, n, why)
	for _, step := range []int{1, 2, 7, max(1, len(in)/2)} {
		r := Response{Head: Head{Limits: limits}}
		n, why := grow(in, step, func(b []byte) (int, Reason) { return r.Parse(b, asked) })
		if got := summarizeResponse(&r, n, why); got != want {
			t.Fatalf("%q in steps of %d:\ngot  %+v\nwant %+v", in, step, got, want)
		}
	}
	if n == 0 {
		return
	}
	var again Response
	m, why := again.Parse([]byte(want.forwarded), asked)
	if why != OK || m != len(want.forwarded) {
		t.Fatalf("%q is sent on as %q, which is refused: %v", in, want.forwarded, why)
	}
	if again.Framing != whole.Framing || again.ContentLength != whole.ContentLength || again.Status != whole.Status {
		t.Fatalf("%q is sent on as %q, which means something else", in, want.forwarded)
	}
}

// checkChunked demands that how a body is cut changes nothing, and that net/http reads the same payload.
func checkChunked(t *testing.T, in []byte) {
	var scan Chunked
	n, done, why := scan.Scan(in)
	for _, step := range []int{1, 3, max(1, len(in))} {
		payload, m, d, w := inPieces(in, step)
		if m != n || d != done || w != why || int64(len(payload)) != scan.Payload() {
			t.Fatalf("%q in pieces of %d: %d, %v, %v; whole: %d, %v, %v", in, step, m, d, w, n, done, why)
		}
	}
	if !done {
		return
	}
	payload, _, _, _ := inPieces(in, len(in))
	theirs, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(in)))
	if err != nil || string(theirs) != payload {
		t.Fatalf("%q: we read %q, net/http %q, %v", in, payload, theirs, err)
	}
}

func TestCutAnywhere(t *testing.T) {
	for _, c := range refusedRequests {
		checkRequest(t, []byte(c.in))
	}
	for _, c := range refusedResponses {
		checkResponse(t, []byte(c.in), c.asked)
	}
	for _, c := range chunkedBodies {
		checkChunked(t, []byte(c.in))
	}
	// At the limit of the head each kind of end must be seen alike, whole or in pieces.
	for pad := 1000; pad < 1040; pad++ {
		for _, end := range []string{"\r\n\r\n", "\r\nA: b\r\n\r\n", "\r", "\rx", "\x00", "\n", ""} {
			long := string(bytes.Repeat([]byte("a"), pad))
			checkRequest(t, []byte("GET /"+long+end))
			checkRequest(t, []byte("GET / HTTP/1.1\r\nHost: x\r\nA: "+long+end))
			checkResponse(t, []byte("HTTP/1.1 200 "+long+end), Asked{})
		}
	}
}

func FuzzRequest(f *testing.F) {
	for _, c := range refusedRequests {
		if len(c.in) < 1000 {
			f.Add([]byte(c.in))
		}
	}
	f.Add([]byte(head("\r\nGET http://x/a?b HTTP/1.1", "Host: x", "Connection: a, upgrade", "Upgrade: y", "A: b")))
	f.Fuzz(func(t *testing.T, in []byte) {
		checkRequest(t, in)
		if err := compareRequest(in); err != nil {
			t.Fatalf("%q: %v", in, err)
		}
	})
}

func FuzzResponse(f *testing.F) {
	for _, c := range refusedResponses {
		f.Add([]byte(c.in), uint8(c.asked.Method), c.asked.Upgrade)
	}
	f.Add([]byte(head("HTTP/1.1 101 X", "Connection: upgrade", "Upgrade: y")), uint8(0), true)
	f.Fuzz(func(t *testing.T, in []byte, method uint8, upgrade bool) {
		checkResponse(t, in, Asked{Method: Method(method), Upgrade: upgrade})
		for _, head := range []bool{false, true} {
			if err := compareResponse(in, head); err != nil {
				t.Fatalf("%q: %v", in, err)
			}
		}
	})
}

func FuzzChunked(f *testing.F) {
	for _, c := range chunkedBodies {
		if len(c.in) < 1000 {
			f.Add([]byte(c.in))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) { checkChunked(t, in) })
}
