package h1

// Hop is how a head is sent on: what the next hop speaks and what becomes of its connection.
type Hop struct {
	// Minor is the minor version of the peer that the head is sent to. For a response it is the
	// client's (its request's Minor). For a request it is not used: a request keeps its version, so that
	// a server does not send an HTTP/1.0 client what that cannot read.
	Minor uint8
	// KeepAlive says that the connection on which the head is sent is to be used again. A Connection
	// field is written where the version's default says otherwise.
	KeepAlive bool
	// Upgrade passes Upgrade on, with `connection: upgrade`. Otherwise Upgrade is dropped.
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
	// for an HTTP/1.0 client. KeepAlive must be false.
	Dechunked
	// Enchunked adds `transfer-encoding: chunked`: a body that the server ends by closing is sent
	// in chunks, so that the connection of an HTTP/1.1 client lives on.
	Enchunked
)
