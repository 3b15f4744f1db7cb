package h1

// Reason says why a message was refused. The zero value OK means that it was not.
// It is an error, so it can be logged and wrapped; converting it allocates nothing.
type Reason uint8

// The reasons.
const (
	OK Reason = iota

	BadRequestLine // not method SP target SP version, or HTTP/0.9
	BadMethod      // the method is not a token
	BadTarget      // a byte or form that a request target cannot have
	TargetTooLong  // the request line alone exceeds the limit of the head
	BadVersion     // not of the form HTTP/d.d
	UnknownVersion // well-formed, but neither 1.0 nor 1.1
	BadStatusLine  // a response's first line is malformed
	BadStatus      // the status code is not within 100-599
	BareCR         // CR without LF
	BareLF         // LF without CR
	ControlByte    // NUL, DEL or another control byte within a line
	ObsFold        // a line that continues the one before (obs-fold)
	BadFieldName   // empty, or not a token
	SpaceBeforeColon
	NoColon          // a field line without a colon
	HeadTooLarge     // more bytes than Limits.MaxHead
	TooManyFields    // more field lines than Limits.MaxFields
	MissingHost      // HTTP/1.1 without Host
	DuplicateHost    // more than one Host
	BadHost          // Host is not host[:port]
	HostMismatch     // Host differs from the authority of an absolute target
	BadLength        // Content-Length is not 1*DIGIT, or beyond 2^63-1
	DuplicateLength  // more than one Content-Length, equal or not
	LengthAndCoding  // Content-Length together with Transfer-Encoding
	BadCoding        // Transfer-Encoding without chunked as its only, last coding
	UnknownCoding    // a transfer coding other than chunked
	CodingIn10       // Transfer-Encoding in an HTTP/1.0 message
	BadChunkSize     // the size of a chunk is malformed or beyond 2^60
	BadChunkExt      // a malformed or overlong chunk extension
	BadChunkEnd      // a chunk's data is not followed by CRLF
	TrailerTooLarge  // the trailer section exceeds its limit
	ForbiddenTrailer // a trailer that would change framing or routing
	UnexpectedSwitch // 101 though no upgrade was asked for
	TooManyOptions   // more Connection options than anyone has
	BodyIn10         // GET, HEAD or DELETE with a body in HTTP/1.0, which servers of that time do not read
	numReasons
)

// Status is the status code to answer a refused request with. Refused responses are 502 whatever the reason.
func (r Reason) Status() int { panic("h1: not written yet") }

// Error says the reason in words, for logs.
func (r Reason) Error() string { panic("h1: not written yet") }
