package h1

// Framing says how the end of a body is found (RFC 9112 section 6.3).
type Framing uint8

// The framings.
const (
	BodyNone       Framing = iota // nothing follows the head
	BodyLength                    // ContentLength bytes follow, more than zero
	BodyChunked                   // chunked: follow it by a Chunked
	BodyUntilClose                // a response that ends when the server closes
	BodyTunnel                    // both directions are opaque from here on: 101, or 2xx to CONNECT
)

func (f Framing) String() string {
	switch f {
	case BodyNone:
		return "none"
	case BodyLength:
		return "content-length"
	case BodyChunked:
		return "chunked"
	case BodyUntilClose:
		return "until close"
	case BodyTunnel:
		return "tunnel"
	}
	return "unknown"
}
