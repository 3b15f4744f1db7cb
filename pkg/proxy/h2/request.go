package h2

import (
	"bytes"

	"waggle/pkg/proxy/h1"
)

// Verdict is what has come of a request's fields.
type Verdict uint8

// The verdicts.
const (
	Fine      Verdict = iota
	Malformed         // the stream ends with PROTOCOL_ERROR (RFC 9113, section 8.1.1)
	Dubious           // HTTP/1 could read it in another way: 400
	TooLarge          // 431
	Bomb              // so large that it is an attack: the connection ends
)

// Request makes the head of a request of HTTP/1.1 from the fields of one of HTTP/2. What could be read as something else there
// is refused. Call Begin, have a Decoder tell of the fields, and call Finish.
type Request struct {
	out     []byte
	room    int // the most that out may have
	most    int // of the list of fields, in the measure of RFC 9113, section 6.5.2
	size    int
	text    []byte // of pseudo-header fields
	pseudo  [pseudos]piece
	regular bool // a field that is none has come
	hosts   int
	cookies []byte
	length  int64 // -1: not told
	method  h1.Method
	verdict Verdict
}

// piece is a part of text; to is 0 where there is none.
type piece struct{ from, to int }

const (
	pMethod = iota
	pScheme
	pAuthority
	pPath
	pseudos
)

// Begin begins a request whose head is appended to out, which may have room bytes then. most is the limit of the list of fields
// that the client was told.
func (r *Request) Begin(out []byte, room, most int) {
	*r = Request{out: out, room: room, most: most, text: spare(r.text), cookies: spare(r.cookies), length: -1}
}

// Method is that of a request that is fine.
func (r *Request) Method() h1.Method { return r.method }

// Length is what content-length said, -1 if there was none.
func (r *Request) Length() int64 { return r.length }

// Field implements Fields.
func (r *Request) Field(name, value []byte) {
	if r.grow(name, value); r.verdict != Fine {
		return
	}
	if len(name) > 0 && name[0] == ':' {
		r.special(name, value)
		return
	}
	if !r.regular {
		r.regular = true
		r.line()
	}
	r.plain(name, value)
}

// bombs is how many times its limit a list has to exceed to end the connection.
const bombs = 4

func (r *Request) grow(name, value []byte) {
	r.size += len(name) + len(value) + entrySize
	switch {
	case r.size > bombs*r.most:
		r.verdict = Bomb
	case r.size > r.most:
		r.fail(TooLarge)
	}
}

// fail notes what is wrong, the worst of it.
func (r *Request) fail(v Verdict) {
	if r.verdict == Fine || v == Malformed && r.verdict == Dubious {
		r.verdict = v
	}
}

func (r *Request) special(name, value []byte) {
	var which int
	switch string(name) {
	case ":method":
		which = pMethod
	case ":scheme":
		which = pScheme
	case ":authority":
		which = pAuthority
	case ":path":
		which = pPath
	default: // :protocol, too, since we have not offered that (RFC 8441)
		r.fail(Malformed)
		return
	}
	if r.regular || r.pseudo[which].to > 0 || !validValue(value) {
		r.fail(Malformed)
		return
	}
	r.pseudo[which] = r.keep(value)
}

// keep copies a value behind one byte, so that the end of an empty one is not 0.
func (r *Request) keep(value []byte) piece {
	r.text = append(r.text, ' ')
	from := len(r.text)
	r.text = append(r.text, value...)
	return piece{from, len(r.text)}
}

func (r *Request) of(p piece) []byte { return r.text[p.from:p.to] }

// line writes the request line and, if the authority is known, the host.
func (r *Request) line() {
	method, path, authority := r.of(r.pseudo[pMethod]), r.of(r.pseudo[pPath]), r.of(r.pseudo[pAuthority])
	r.method = h1.MethodOf(method)
	if len(method) == 0 || !all(method, isToken) {
		r.fail(Malformed)
		return
	}
	if r.method == h1.MethodConnect { // RFC 9113, section 8.5
		if len(authority) == 0 || r.pseudo[pScheme].to > 0 || r.pseudo[pPath].to > 0 {
			r.fail(Malformed)
			return
		}
		path = authority
	} else {
		if s := string(r.of(r.pseudo[pScheme])); s != "http" && s != "https" || len(path) == 0 {
			r.fail(Malformed)
			return
		}
		if path[0] != '/' && (string(path) != "*" || r.method != h1.MethodOptions) {
			r.fail(Dubious)
		}
	}
	if !visible(path) {
		r.fail(Dubious)
	}
	if r.pseudo[pAuthority].to > 0 && !validHost(authority) {
		r.fail(Dubious)
	}
	if len(method)+len(path)+len(authority)+len("  HTTP/1.1\r\nhost: \r\n") > r.space() {
		r.fail(TooLarge)
	}
	if r.verdict != Fine {
		return
	}
	r.out = append(append(r.out, method...), ' ')
	r.out = append(append(r.out, path...), " HTTP/1.1\r\n"...)
	if len(authority) > 0 {
		if r.method != h1.MethodConnect { // as HAProxy, so that rules about hosts see the name that they know (RFC 9110, section 4.2.3)
			authority = h1.TrimPort(authority, string(r.of(r.pseudo[pScheme])) == "https")
		}
		r.write([]byte("host"), authority)
	}
}

// space is what is left of the room, less what ends a head.
func (r *Request) space() int { return r.room - len(r.out) - len("\r\n") }

func (r *Request) write(name, value []byte) {
	if len(name)+len(value)+len(": \r\n") > r.space() {
		r.fail(TooLarge)
		return
	}
	r.out = append(append(r.out, name...), ": "...)
	r.out = append(append(r.out, value...), "\r\n"...)
}

func (r *Request) plain(name, value []byte) {
	if !validName(name) || !validValue(value) {
		r.fail(Malformed)
		return
	}
	switch string(name) {
	case "host":
		if r.hosts++; r.hosts > 1 || !validHost(value) {
			r.fail(Dubious)
			return
		}
		if r.pseudo[pAuthority].to > 0 { // RFC 9113, section 8.3.1: it must not differ
			if !bytes.EqualFold(value, r.of(r.pseudo[pAuthority])) {
				r.fail(Dubious)
			}
			return
		}
	case "content-length":
		n, ok := parseLength(value)
		if !ok || r.length >= 0 {
			r.fail(Malformed)
			return
		}
		r.length = n
		return // it is written anew
	case "te":
		if string(value) != "trailers" {
			r.fail(Malformed)
		}
		return
	case "trailer":
		return
	case "cookie": // RFC 9113, section 8.2.3
		if len(r.cookies) > 0 {
			r.cookies = append(r.cookies, "; "...)
		}
		r.cookies = append(r.cookies, value...)
		return
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		r.fail(Malformed)
		return
	case "http2-settings":
		return
	}
	r.write(name, value)
}

// Finish ends the head. ends says that no body follows. A body of unknown length is to be sent on in chunks.
func (r *Request) Finish(ends bool) (head []byte, v Verdict) {
	defer func() { r.text, r.cookies = spare(r.text), spare(r.cookies) }()
	if !r.regular && r.verdict == Fine {
		r.line()
	}
	if r.verdict == Fine && len(r.cookies) > 0 {
		r.write([]byte("cookie"), r.cookies)
	}
	if r.verdict != Fine {
		return r.out, r.verdict
	}
	switch {
	case ends && r.length > 0:
		r.fail(Malformed)
	case r.length >= 0:
		var digits [20]byte
		r.write([]byte("content-length"), appendDigits(digits[:0], r.length))
	case !ends:
		r.write([]byte("transfer-encoding"), []byte("chunked"))
	}
	if r.pseudo[pAuthority].to == 0 && r.hosts == 0 {
		r.fail(Dubious)
	}
	r.out = append(r.out, "\r\n"...)
	return r.out, r.verdict
}
