package h1

import "bytes"

// Method is a request method; MethodOther is any token that is not listed.
type Method uint8

// The methods that the proxy treats apart or counts.
const (
	MethodOther Method = iota
	MethodGet
	MethodHead
	MethodPost
	MethodPut
	MethodDelete
	MethodOptions
	MethodTrace
	MethodConnect
	MethodPatch
)

// Form is the form of a request target (RFC 9112 section 3.2).
type Form uint8

// The forms.
const (
	OriginForm    Form = iota // /path?query
	AbsoluteForm              // http://host/path?query
	AuthorityForm             // host:port, only with CONNECT
	AsteriskForm              // *, only with OPTIONS
)

// Request is a request head. The zero value is ready for use.
type Request struct {
	Head
	Method Method
	Form   Form
	// Expect100 says that the client waits for 100 Continue before it sends its body
	// (RFC 9110 section 10.1.1). It is only set on HTTP/1.1 requests that have a body.
	Expect100 bool

	method, target         span
	authority, path, query span
	https                  bool // the scheme of an absolute target
}

// Reset makes the request ready for the next message. Limits and grown storage stay.
func (r *Request) Reset() {
	r.Head.reset()
	*r = Request{Head: r.Head}
}

// Parse reads a request head from the start of buf. It returns the head's length when the head is
// complete; (0, OK) when more bytes are needed: call again with a buffer that starts with the same bytes
// and has more; or a reason, after which the connection cannot be used any more: answer with
// reason.Status() and close. One empty line before the request line is skipped (RFC 9112 section 2.2) and
// counted in the length. Call Reset between messages.
//
// The fields of r are meaningful when the head is complete.
func (r *Request) Parse(buf []byte) (n int, why Reason) {
	r.buf = buf
	if r.scan.body > 0 {
		return r.scan.body, OK
	}
	if !r.scan.gotLine {
		line, ok, why := r.firstLine(true)
		if !ok {
			return 0, why
		}
		if why := r.requestLine(line); why != OK {
			return 0, why
		}
		r.scan.gotLine = true
	}
	done, why := r.readFields()
	if !done {
		return 0, why
	}
	if why := r.conclude(); why != OK {
		r.scan.body = 0
		return 0, why
	}
	return r.scan.body, OK
}

// requestLine reads method SP target SP version, with single spaces.
func (r *Request) requestLine(line span) Reason {
	b := r.at(line)
	sp := bytes.IndexByte(b, ' ')
	if sp <= 0 {
		return BadRequestLine
	}
	if !all(b[:sp], isToken) {
		return BadMethod
	}
	r.method = span{line.from, line.from + uint32(sp)}
	r.Method = MethodOf(b[:sp])
	rest := b[sp+1:]
	end := bytes.IndexByte(rest, ' ')
	if end < 0 {
		return BadRequestLine
	}
	r.target = span{r.method.to + 1, r.method.to + 1 + uint32(end)}
	if why := r.version(rest[end+1:]); why != OK {
		return why
	}
	if string(b[:sp]) == "PRI" { // the preface of HTTP/2 (RFC 9113 section 3.4), whatever version it says
		return BadMethod
	}
	return r.splitTarget()
}

// conclude decides what depends on all fields together.
func (r *Request) conclude() Reason {
	if why := r.settle(); why != OK {
		return why
	}
	if why := r.checkHost(); why != OK {
		return why
	}
	switch {
	case r.facts.chunked:
		r.Framing = BodyChunked
	case r.facts.length > 0:
		r.Framing, r.ContentLength = BodyLength, r.facts.length
	}
	if r.Framing != BodyNone {
		if r.Minor == 0 && (r.Method == MethodGet || r.Method == MethodHead || r.Method == MethodDelete) {
			return BodyIn10
		}
		r.Expect100 = r.facts.expect && r.Minor == 1
		r.Upgrade = false
	}
	// HAProxy 2.6 refuses such a handshake too: whoever takes it for one would see a tunnel where others see requests.
	if r.Framing == BodyNone && r.facts.upgrade && r.facts.webSocket && len(r.Header("sec-websocket-key")) != webSocketKey {
		return BadWebSocket
	}
	if r.Method == MethodConnect {
		r.KeepAlive = false
	}
	return OK
}

// webSocketKey is the length of a Sec-WebSocket-Key: 16 bytes in base64 (RFC 6455 section 4.1).
const webSocketKey = 24

// MethodOf compares with case: methods are case-sensitive.
func MethodOf(name []byte) Method {
	switch string(name) {
	case "GET":
		return MethodGet
	case "HEAD":
		return MethodHead
	case "POST":
		return MethodPost
	case "PUT":
		return MethodPut
	case "DELETE":
		return MethodDelete
	case "OPTIONS":
		return MethodOptions
	case "TRACE":
		return MethodTrace
	case "CONNECT":
		return MethodConnect
	case "PATCH":
		return MethodPatch
	}
	return MethodOther
}

// Idempotent says whether sending the request twice has the effect of sending it once
// (RFC 9110 section 9.2.2), so that it may be sent again when a reused connection dies. Other methods are not.
func (m Method) Idempotent() bool {
	switch m {
	case MethodGet, MethodHead, MethodOptions, MethodTrace, MethodPut, MethodDelete:
		return true
	}
	return false
}

// MethodBytes is the method as it came.
func (r *Request) MethodBytes() []byte { return r.at(r.method) }

// Target is the request target as it came.
func (r *Request) Target() []byte { return r.at(r.target) }

// Path is the path without the query: of an absolute target its path, "/" if it has none; "*" and a
// CONNECT authority are returned as they are.
func (r *Request) Path() []byte {
	if p := r.at(r.path); len(p) > 0 {
		return p
	}
	return rootPath
}

// rootPath is never written.
var rootPath = []byte("/")

// Query is what follows the first '?', nil if there is none.
func (r *Request) Query() []byte { return r.optional(r.query) }

// Host is the authority that the request is for: of an absolute target or CONNECT that one, otherwise the
// value of Host; nil if there is neither (HTTP/1.0).
func (r *Request) Host() []byte { return r.optional(r.authority) }

// WithoutImpliedPort is the authority of an absolute target that says a port which its scheme implies, or none behind its colon,
// without it; nil where there is nothing to leave out (RFC 9110 section 4.2.3). before and after are the rest of the target.
func (r *Request) WithoutImpliedPort() (before, authority, after []byte) {
	if r.Form != AbsoluteForm {
		return nil, nil, nil
	}
	a := r.at(r.authority)
	bare := TrimPort(a, r.https)
	if len(bare) == len(a) {
		return nil, nil, nil
	}
	return r.at(span{r.target.from, r.authority.from}), bare, r.at(span{r.authority.to, r.target.to})
}

// Asked is what the response to this request is to be parsed with; upgrade says that it was forwarded with Upgrade.
func (r *Request) Asked(upgrade bool) Asked {
	return Asked{Method: r.Method, Upgrade: upgrade && r.Upgrade}
}
