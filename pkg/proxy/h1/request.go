package h1

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
}

// Reset makes the request ready for the next message. Limits and grown storage stay.
func (r *Request) Reset() {
	panic("h1: not written yet")
}

// Parse reads a request head from the start of buf. It returns the head's length when the head is
// complete; (0, OK) when more bytes are needed: call again with a buffer that starts with the same bytes
// and has more; or a reason, after which the connection cannot be used any more (answer with
// reason.Status() and close). One empty line before the request line is skipped (RFC 9112 section 2.2) and counted in the
// length. Call Reset between messages.
func (r *Request) Parse(buf []byte) (n int, why Reason) {
	panic("h1: not written yet")
}

// MethodBytes is the method as it came.
func (r *Request) MethodBytes() []byte { return r.at(r.method) }

// Target is the request target as it came.
func (r *Request) Target() []byte { return r.at(r.target) }

// Path is the path without the query: of an absolute target its path, "/" if it has none; "*" and a
// CONNECT authority are returned as they are.
func (r *Request) Path() []byte { return r.at(r.path) }

// Query is what follows the first '?', nil if there is none.
func (r *Request) Query() []byte { return r.at(r.query) }

// Host is the authority that the request is for: of an absolute target or CONNECT that one, otherwise the
// value of Host; nil if there is neither (HTTP/1.0).
func (r *Request) Host() []byte { return r.at(r.authority) }

// AppendTo appends the head as it is forwarded to a server: the bytes as they came, less the fields
// that concern one hop only (RFC 9110 section 7.6.1), changed by e (nil = unchanged), with the Connection
// field that hop needs. It returns the extended slice.
func (r *Request) AppendTo(dst []byte, e *Edits, hop Hop) []byte {
	panic("h1: not written yet")
}
