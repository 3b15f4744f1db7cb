package h1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// message makes request or response heads from parts that are valid, doubtful and broken.
type message struct{ *rand.Rand }

func (m message) pick(parts ...string) string { return parts[m.IntN(len(parts))] }

// rarely is bad once in n times.
func (m message) rarely(n int, good, bad string) string {
	if m.IntN(n) == 0 {
		return bad
	}
	return good
}

func (m message) request() string {
	method := m.pick("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "FOO", m.rarely(3, "GET", "G@T"))
	target := m.pick("/", "/a/b?c=d", "/%20", "//x", "/a|b", "*", "http://x/a", "http://X:80", "/a;b", m.rarely(3, "/", m.pick("/#", "x", "", "/\x80", "http:///", "/%zz")))
	version := m.pick("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", m.rarely(3, "HTTP/1.1", m.pick("HTTP/2.0", "HTTP/1.2", "HTTP/1", "http/1.1")))
	line := method + " " + target + " " + version
	return m.rarely(12, "", m.pick("\r\n", "\n", " ")) + line + m.eol() + m.fields(m.pick("Host: x", "host:x ", "Host: x:80", m.rarely(3, "Host: x", m.pick("Host: y", "Host: a b", "Host:", "X: y"))))
}

func (m message) response() string {
	version := m.pick("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", m.rarely(4, "HTTP/1.1", m.pick("HTTP/2.0", "HTTP/1", "ICY")))
	status := m.pick("200 OK", "200 OK", "204 No Content", "304 Not Modified", "404 ", "404", "100 Continue", "500 a b", m.rarely(3, "200 OK", m.pick("20 OK", "2000 OK", "+20 OK", "099 X", "600 X", "999 X")))
	return version + " " + status + m.eol() + m.fields("Server: x")
}

func (m message) eol() string { return m.rarely(40, "\r\n", m.pick("\n", "\r", "\r\r\n")) }

func (m message) fields(first string) string {
	var b strings.Builder
	b.WriteString(first + m.eol())
	for range m.IntN(4) {
		b.WriteString(m.field() + m.eol())
	}
	b.WriteString(m.rarely(40, "\r\n", m.pick("\n", "\r")))
	return b.String()
}

func (m message) field() string {
	name := m.pick("Content-Length", "content-length", "Transfer-Encoding", "Connection", "X-A", "x-a", "Expect", "Upgrade", "Keep-Alive", m.rarely(4, "X", m.pick("", "X Y", "X ", " X", "X\x00", "\xc3", "X/")))
	var value string
	switch strings.ToLower(name) {
	case "content-length":
		value = m.pick("0", "3", "3", "10", m.rarely(2, "3", m.pick("", "+3", "-3", "3,3", "3 3", "0x3", "99999999999999999999", "3\t")))
	case "transfer-encoding":
		value = m.pick("chunked", "Chunked", m.rarely(2, "chunked", m.pick("", "gzip, chunked", "identity", "chunked, chunked", "xchunked", "chunked\x0b", ",chunked")))
	case "connection":
		value = m.pick("close", "keep-alive", "Keep-Alive, X-A", "CLOSE", "upgrade", "close, keep-alive", ",", "x")
	case "expect":
		value = m.pick("100-continue", "other")
	default:
		value = m.pick("v", "a  b", "\tv ", "\xe9", "a:b", m.rarely(6, "v", m.pick("\x00", "\x7f", "\x01", "a\x0bb")))
	}
	return name + ":" + m.pick("", " ", " ", "\t", "  ") + value + m.pick("", "", " ", "\t")
}

// stricter are reasons for which we refuse what net/http takes, on purpose.
var stricter = map[Reason]string{
	BareLF:           "net/http ends lines by LF alone",
	BareCR:           "net/http trims a CR at the end of a line that has two",
	DuplicateLength:  "net/http folds equal lengths into one",
	BadLength:        "net/http does not look at the length of a message whose framing it knows otherwise",
	LengthAndCoding:  "net/http drops the length and goes by the coding",
	BadTarget:        "net/http takes fragments, relative and 8-bit targets, and * with any method",
	MissingHost:      "http.Server checks that behind ReadRequest",
	BadHost:          "http.Server checks that behind ReadRequest",
	HostMismatch:     "net/http prefers the target, as RFC 9112 section 3.2.2 has proxies do",
	UnknownVersion:   "http.Server checks that behind ReadRequest",
	BadStatus:        "net/http takes any three digits",
	BodyIn10:         "net/http reads such bodies",
	CodingIn10:       "net/http ignores Transfer-Encoding in 1.0",
	BadCoding:        "net/http ignores Transfer-Encoding where there is no body, and in 1.0",
	UnknownCoding:    "net/http ignores Transfer-Encoding where there is no body, and in 1.0",
	UnexpectedSwitch: "net/http leaves that to the transport",
	BadWebSocket:     "net/http knows nothing of WebSocket",
	ControlByte:      "net/http takes control bytes in the reason phrase, and in values but for NUL, CR and LF",
	DuplicateHost:    "http.Server checks that behind ReadRequest",
	ObsFold:          "net/http unfolds lines",
	BadRequestLine:   "net/http skips blanks that stand before the method",
	BadMethod:        "net/http skips blanks that stand before the method",
	SpaceBeforeColon: "net/http refuses this as we do; a folded first line reaches it",
	BadFieldName:     "net/http unfolds the line into the one before",
}

// looser says whether net/http refuses with err what we take on purpose: a target with a broken escape is forwarded for
// the server to judge, as HAProxy does.
func looser(err error) bool {
	var escape url.EscapeError
	return errors.As(err, &escape)
}

// compareRequest demands that net/http and we agree about a request that both take.
func compareRequest(in []byte) error {
	var ours Request
	n, why := ours.Parse(in)
	// RFC 9112 section 2.2 has servers skip one empty line; net/http does not.
	theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.TrimPrefix(in, []byte("\r\n")))))
	switch {
	case why != OK && err != nil, n == 0 && why == OK:
		return nil
	case why != OK:
		if _, listed := stricter[why]; !listed && why != HeadTooLarge && why != TooManyFields && why != TargetTooLong {
			return fmt.Errorf("we refuse (%v) what net/http takes", why)
		}
		return nil
	case err != nil:
		if looser(err) {
			return nil
		}
		return fmt.Errorf("net/http refuses (%v) what we take", err)
	}
	if string(ours.MethodBytes()) != theirs.Method || string(ours.Target()) != theirs.RequestURI {
		return fmt.Errorf("line %q, net/http reads %q %q", ours.FirstLine(), theirs.Method, theirs.RequestURI)
	}
	if int(ours.Minor) != theirs.ProtoMinor || theirs.ProtoMajor != 1 {
		return fmt.Errorf("version 1.%d, net/http reads %d.%d", ours.Minor, theirs.ProtoMajor, theirs.ProtoMinor)
	}
	if string(ours.Host()) != theirs.Host {
		return fmt.Errorf("host %q, net/http reads %q", ours.Host(), theirs.Host)
	}
	if ours.Method != MethodConnect && ours.KeepAlive == theirs.Close {
		return fmt.Errorf("keep-alive %v, net/http closes %v", ours.KeepAlive, theirs.Close)
	}
	want := theirs.ContentLength
	if err := compareFraming(&ours.Head, want, theirs.TransferEncoding); err != nil {
		return err
	}
	return compareFields(&ours.Head, theirs.Header)
}

func compareFraming(h *Head, length int64, codings []string) error {
	chunked := slices.Equal(codings, []string{"chunked"})
	agree := false
	switch h.Framing {
	case BodyNone:
		agree = length == 0 && !chunked
	case BodyLength:
		agree = length == h.ContentLength && !chunked
	case BodyChunked:
		agree = chunked
	case BodyUntilClose:
		agree = length == -1 && !chunked
	}
	if !agree {
		return fmt.Errorf("body %v (%d), net/http reads length %d, codings %q", h.Framing, h.ContentLength, length, codings)
	}
	return nil
}

// compareFields compares all fields but those that net/http moves elsewhere or makes up.
func compareFields(h *Head, theirs http.Header) error {
	ours := http.Header{}
	for i := range h.NumFields() {
		name, value := h.Field(i)
		ours.Add(string(name), string(value))
	}
	for _, moved := range []string{"Host", "Transfer-Encoding", "Trailer", "Cache-Control", "Content-Length", "Pragma", "Connection"} {
		ours.Del(moved)
		theirs.Del(moved)
	}
	if len(ours) != len(theirs) {
		return fmt.Errorf("fields %q, net/http reads %q", ours, theirs)
	}
	for name, values := range ours {
		if !slices.Equal(values, theirs[name]) {
			return fmt.Errorf("%s is %q, net/http reads %q", name, values, theirs[name])
		}
	}
	return nil
}

func compareResponse(in []byte, head bool) error {
	asked, req := Asked{Method: MethodGet}, &http.Request{Method: "GET"}
	if head {
		asked, req = Asked{Method: MethodHead}, &http.Request{Method: "HEAD"}
	}
	var ours Response
	n, why := ours.Parse(in, asked)
	theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(in)), req)
	switch {
	case why != OK && err != nil, n == 0 && why == OK:
		return nil
	case why != OK:
		if _, listed := stricter[why]; !listed && why != HeadTooLarge && why != TooManyFields && why != TargetTooLong {
			return fmt.Errorf("we refuse (%v) what net/http takes", why)
		}
		return nil
	case err != nil:
		return fmt.Errorf("net/http refuses (%v) what we take", err)
	}
	if ours.Status != theirs.StatusCode || int(ours.Minor) != theirs.ProtoMinor {
		return fmt.Errorf("line %q, net/http reads %q %s", ours.FirstLine(), theirs.Proto, theirs.Status)
	}
	if ours.Framing != BodyNone { // where there is no body net/http reports the length that the fields say
		if err := compareFraming(&ours.Head, theirs.ContentLength, theirs.TransferEncoding); err != nil {
			return err
		}
	} else if theirs.Body != http.NoBody && theirs.ContentLength != 0 && !head {
		return fmt.Errorf("no body, net/http reads length %d", theirs.ContentLength)
	}
	if ours.KeepAlive == theirs.Close {
		return fmt.Errorf("keep-alive %v, net/http closes %v", ours.KeepAlive, theirs.Close)
	}
	return compareFields(&ours.Head, theirs.Header)
}

func TestAgainstNetHTTP(t *testing.T) {
	m := message{rand.New(rand.NewPCG(1, 2))}
	taken := 0
	for range 40000 {
		in := []byte(m.request())
		if err := compareRequest(in); err != nil {
			t.Fatalf("request %q: %v", in, err)
		}
		var r Request
		if n, _ := r.Parse(in); n > 0 {
			taken++
		}
		in = []byte(m.response())
		for _, head := range []bool{false, true} {
			if err := compareResponse(in, head); err != nil {
				t.Fatalf("response %q (to HEAD: %v): %v", in, head, err)
			}
		}
	}
	if taken < 4000 {
		t.Errorf("only %d of 40000 requests were taken: the generator compares too little", taken)
	}
}
