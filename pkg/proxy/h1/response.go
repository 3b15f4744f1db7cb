package h1

// Asked is what a response's meaning depends on: the request it answers.
type Asked struct {
	Method Method
	// Upgrade says that the request was forwarded with its Upgrade field, so that 101 is an answer to it.
	Upgrade bool
}

// Response is a response head. The zero value is ready for use.
type Response struct {
	Head
	Status int // 100-599

	reason span
}

// Reset makes the response ready for the next message. Limits and grown storage stay.
func (r *Response) Reset() {
	panic("h1: not written yet")
}

// Parse reads a response head from the start of buf, as Request.Parse does. A reason means that the
// server's answer cannot be forwarded: 502.
func (r *Response) Parse(buf []byte, asked Asked) (n int, why Reason) {
	panic("h1: not written yet")
}

// Interim says that this head is a 1xx other than 101: the final response follows on the same connection.
// Interim heads are not forwarded to an HTTP/1.0 client (RFC 9110 section 15.2).
func (r *Response) Interim() bool { return r.Status < 200 && r.Status != 101 }

// ReasonPhrase is the reason phrase as it came, possibly empty.
func (r *Response) ReasonPhrase() []byte { return r.at(r.reason) }

// AppendTo appends the head as it is forwarded to the client. See Request.AppendTo. Set hop.Body where the
// body is not passed on as it is framed.
func (r *Response) AppendTo(dst []byte, e *Edits, hop Hop) []byte {
	panic("h1: not written yet")
}
