package sample

import "net/netip"

// Subject is the connection, request or response that an expression is evaluated on. A data path
// implements it over what it has parsed; byte slices are valid only during the evaluation, and nil
// means that the value does not exist (a TCP connection has no method).
type Subject interface {
	Src() netip.AddrPort // the client
	Dst() netip.AddrPort // the address the client connected to

	Method() []byte
	URI() []byte               // the request target as it came
	Version() []byte           // "1.1"
	Header(name string) []byte // first value of the request header, compared without case; nil if absent
	// Headers calls fn for each value of a request header in order, until fn returns false.
	Headers(name string, fn func(value []byte) bool)

	FrontendName() string
	TLS() bool // the client side is TLS
}
