package h1

// Framing says how the end of a body is found (RFC 9112 section 6.3).
type Framing uint8

// The framings.
const (
	NoBody     Framing = iota // nothing follows the head
	Length                    // ContentLength bytes follow, more than zero
	Chunked11                 // chunked: follow it by a Chunked
	UntilClose                // a response that ends when the server closes
	Tunnel                    // both directions are opaque from here on: 101, or 2xx to CONNECT
)

func (f Framing) String() string {
	switch f {
	case NoBody:
		return "none"
	case Length:
		return "content-length"
	case Chunked11:
		return "chunked"
	case UntilClose:
		return "until close"
	case Tunnel:
		return "tunnel"
	}
	return "unknown"
}
