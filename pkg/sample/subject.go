package sample

import (
	"net/netip"
	"time"
)

// Subject is the connection, request or response that an expression is evaluated on. A data path
// implements it over what it has parsed; byte slices are valid only during the evaluation, and nil
// means that the value does not exist (a TCP connection has no method). Embedding [Nothing] gives the
// methods that a path has no answer for.
type Subject interface {
	Src() netip.AddrPort // the client
	Dst() netip.AddrPort // the address the client connected to
	Now() time.Time

	// RequestLine is the first line of the request as it came, also when its head has gone; that of HTTP/2 has the
	// whole URI.
	RequestLine() []byte
	Method() []byte
	URI() []byte               // the request target as it came, or as rules have made it
	Version() []byte           // "1.1"
	Header(name string) []byte // first value of the request header, compared without case; nil if absent
	// Headers calls fn for each value of a request header in order, until fn returns false.
	Headers(name string, fn func(value []byte) bool)

	Status() int             // of the response, 0 before there is one
	ResponseVersion() []byte // "1.1"
	// ResponseHeaders is Headers for the response.
	ResponseHeaders(name string, fn func(value []byte) bool)

	FrontendName() string
	BackendName() string // "" before one is chosen
	ServerName() string  // "" before one is chosen
	TLS() bool           // the client side is TLS
	TLSState() *TLS      // of it; nil in clear text
	// ConnError is why the client's connection has failed before it carried anything, ConnOK if it has not.
	ConnError() ConnError
	FirstRequest() bool // of its connection

	// Vars gives the variables of a scope; nil if it has none.
	Vars(Scope) *Vars
	// Captured gives what slot i of the captures of requests or responses holds, nil if nothing.
	Captured(response bool, i int) []byte
	// UniqueID gives the request's identifier (unique-id-format), nil if there is none.
	UniqueID() []byte
	// UsableServers counts the servers of a backend that would be given a request; "" is the one in use. It is
	// -1 if there is no such backend.
	UsableServers(backend string) int
}

// Nothing is a Subject about which nothing is known.
type Nothing struct{}

var _ Subject = Nothing{}

// Src implements Subject.
func (Nothing) Src() netip.AddrPort { return netip.AddrPort{} }

// Dst implements Subject.
func (Nothing) Dst() netip.AddrPort { return netip.AddrPort{} }

// Now implements Subject: it is the time of the system.
func (Nothing) Now() time.Time { return time.Now() }

// RequestLine implements Subject.
func (Nothing) RequestLine() []byte { return nil }

// Method implements Subject.
func (Nothing) Method() []byte { return nil }

// URI implements Subject.
func (Nothing) URI() []byte { return nil }

// Version implements Subject.
func (Nothing) Version() []byte { return nil }

// Header implements Subject.
func (Nothing) Header(string) []byte { return nil }

// Headers implements Subject.
func (Nothing) Headers(string, func([]byte) bool) {}

// Status implements Subject.
func (Nothing) Status() int { return 0 }

// ResponseVersion implements Subject.
func (Nothing) ResponseVersion() []byte { return nil }

// ResponseHeaders implements Subject.
func (Nothing) ResponseHeaders(string, func([]byte) bool) {}

// FrontendName implements Subject.
func (Nothing) FrontendName() string { return "" }

// BackendName implements Subject.
func (Nothing) BackendName() string { return "" }

// ServerName implements Subject.
func (Nothing) ServerName() string { return "" }

// TLS implements Subject.
func (Nothing) TLS() bool { return false }

// ConnError implements Subject.
func (Nothing) ConnError() ConnError { return ConnOK }

// TLSState implements Subject.
func (Nothing) TLSState() *TLS { return nil }

// FirstRequest implements Subject.
func (Nothing) FirstRequest() bool { return true }

// Vars implements Subject.
func (Nothing) Vars(Scope) *Vars { return nil }

// Captured implements Subject.
func (Nothing) Captured(bool, int) []byte { return nil }

// UniqueID implements Subject.
func (Nothing) UniqueID() []byte { return nil }

// UsableServers implements Subject.
func (Nothing) UsableServers(string) int { return -1 }
