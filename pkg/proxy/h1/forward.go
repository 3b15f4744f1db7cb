package h1

import "strconv"

// Hop is how a head is sent on: what the next hop speaks and what becomes of its connection.
type Hop struct {
	// Minor is the minor version of the client that a response is sent to (its request's Minor). A request
	// keeps the version it came in, as in HAProxy: so a server does not send an HTTP/1.0
	// client what that cannot read.
	Minor uint8
	// KeepAlive says that the connection on which the head is sent is to be used again. A Connection
	// field is written where the version's default says otherwise.
	KeepAlive bool
	// Upgrade passes Upgrade on, with `connection: upgrade`, if the head's own Upgrade is set.
	// Otherwise the field is dropped, but for 426, which has to say what it demands.
	Upgrade bool
	// Body says in which framing the body is sent. Zero: as it came.
	Body BodyAs
}

// BodyAs is how the body of a forwarded response is framed.
type BodyAs uint8

// The framings of a forwarded body.
const (
	AsItCame BodyAs = iota
	// Dechunked drops Transfer-Encoding and Trailer: the payload is sent bare and the connection closed,
	// for an HTTP/1.0 client. KeepAlive is ignored unless the message has no body.
	Dechunked
	// Enchunked adds `transfer-encoding: chunked`: a body that the server ends by closing is sent
	// in chunks, so that the connection of an HTTP/1.1 client lives on. Only for BodyUntilClose.
	Enchunked
	// Recoded is for a body that is sent in chunks of its own, whose length nobody knows yet: Content-Length and
	// Transfer-Encoding are replaced. Only to an HTTP/1.1 client.
	Recoded
)

// BodyFor is how the body of this response is best sent to a client of the given minor version: in chunks as
// far as that client knows them, so that its connection can be used again.
func (r *Response) BodyFor(minor uint8) BodyAs {
	switch {
	case minor == 0 && r.facts.chunked:
		return Dechunked
	case minor == 1 && r.Framing == BodyUntilClose:
		return Enchunked
	}
	return AsItCame
}

// AppendTo appends the head as it is forwarded to a server: the bytes as they came, less the fields
// that concern one hop only (RFC 9110 section 7.6.1), changed by e (nil = unchanged), with the Connection
// field that hop needs. It returns the extended slice. The head must be complete.
func (r *Request) AppendTo(dst []byte, e *Edits, hop Hop) []byte {
	if e != nil && (e.target != (span{}) || e.method != (span{})) {
		method, target := r.MethodBytes(), r.Target()
		if e.method != (span{}) {
			method = e.at(e.method)
		}
		if e.target != (span{}) {
			target = e.at(e.target)
		}
		dst = append(append(dst, method...), ' ')
		dst = append(dst, target...)
		dst = append(dst, r.buf[r.target.to:r.scan.first]...)
	} else {
		dst = append(dst, r.buf[r.scan.begin:r.scan.first]...)
	}
	upgrade := hop.Upgrade && r.Upgrade
	dst = r.appendFields(dst, e, framing{upgrade: upgrade})
	dst = e.appendTo(dst)
	switch {
	case upgrade:
		dst = append(dst, "connection: upgrade\r\n"...)
	case r.Minor == 1 && !hop.KeepAlive:
		dst = append(dst, "connection: close\r\n"...)
	case r.Minor == 0 && hop.KeepAlive:
		dst = append(dst, "connection: keep-alive\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// AppendTo appends the head as it is forwarded to the client. See Request.AppendTo. The version on
// the wire is always HTTP/1.1, our own (RFC 9110 section 6.2); the reason phrase stays as it came.
func (r *Response) AppendTo(dst []byte, e *Edits, hop Hop) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	if e != nil && e.status != 0 {
		dst = strconv.AppendInt(dst, int64(e.status), 10)
		dst = append(append(dst, ' '), e.at(e.reason)...)
	} else {
		dst = append(dst, r.buf[len("HTTP/1.1 "):len("HTTP/1.1 200")]...)
		dst = append(append(dst, ' '), r.ReasonPhrase()...)
	}
	dst = append(dst, "\r\n"...)
	upgrade := r.Upgrade && (hop.Upgrade || r.Status == 426)
	bare := hop.Body == Dechunked || hop.Minor == 0
	dst = r.appendFields(dst, e, framing{upgrade: upgrade, bare: bare, recoded: hop.Body == Recoded})
	dst = e.appendTo(dst)
	if hop.Body == Recoded || hop.Body == Enchunked && r.Framing == BodyUntilClose {
		dst = append(dst, "transfer-encoding: chunked\r\n"...)
	}
	if upgrade {
		dst = append(dst, "connection: upgrade\r\n"...)
	}
	// An interim response says nothing: the connection's fate is the final one's to tell.
	if !r.Interim() && r.Status != 101 {
		dst = appendConnection(dst, hop.Minor, hop.KeepAlive && r.delimited(hop))
	}
	return append(dst, "\r\n"...)
}

// delimited says whether the client can see the end of the body without a close.
func (r *Response) delimited(hop Hop) bool {
	switch r.Framing {
	case BodyUntilClose:
		return hop.Body == Enchunked
	case BodyChunked:
		return hop.Body != Dechunked && hop.Minor == 1
	case BodyTunnel:
		return false
	}
	return true
}

// appendConnection writes a Connection field to a client where its version's default is not what we do.
func appendConnection(dst []byte, minor uint8, keepAlive bool) []byte {
	switch {
	case !keepAlive:
		return append(dst, "connection: close\r\n"...)
	case minor == 0:
		return append(dst, "connection: keep-alive\r\n"...)
	}
	return dst
}

// framing is which fields about the message itself go on.
type framing struct {
	upgrade bool // Upgrade does
	bare    bool // what belongs to chunked framing does not
	recoded bool // neither does what says where the body ends
}

func (g framing) drops(f *field) bool {
	switch f.id {
	case idUpgrade:
		return f.hop && !g.upgrade
	case idTransferEncoding:
		return f.hop || g.bare || g.recoded
	case idTrailer:
		return f.hop || g.bare
	case idContentLength:
		return f.hop || g.recoded
	}
	return f.hop
}

// appendFields appends the field lines that go on, as they came. Lines that stay together are copied in one piece.
func (h *Head) appendFields(dst []byte, e *Edits, g framing) []byte {
	if len(h.fields) == 0 {
		return dst
	}
	from := h.fields[0].line // start of the lines that stay and are not copied yet
	for i := range h.fields {
		f := &h.fields[i]
		if !g.drops(f) && !e.dropped(h.at(f.name)) {
			continue
		}
		dst = append(dst, h.buf[from:f.line]...)
		from = f.end
	}
	return append(dst, h.buf[from:h.fields[len(h.fields)-1].end]...)
}
