package h1

// Reason says why a message was refused. The zero value OK means that it was not.
// It is an error, so it can be logged and wrapped; converting it allocates nothing.
type Reason uint8

// The reasons.
const (
	OK Reason = iota

	BadRequestLine
	BadMethod
	BadTarget
	TargetTooLong
	BadVersion
	UnknownVersion
	BadStatusLine
	BadStatus
	BareCR
	BareLF
	ControlByte
	ObsFold
	BadFieldName
	SpaceBeforeColon
	NoColon
	HeadTooLarge
	TooManyFields
	MissingHost
	DuplicateHost
	BadHost
	HostMismatch
	BadLength
	DuplicateLength
	LengthAndCoding
	BadCoding
	UnknownCoding
	CodingIn10
	BadChunkSize
	BadChunkExt
	BadChunkEnd
	TrailerTooLarge
	ForbiddenTrailer
	UnexpectedSwitch
	BodyIn10
	BadWebSocket
	numReasons
)

// sentences has one for each reason; nothing writes it.
var sentences = [numReasons]string{
	OK:               "no error",
	BadRequestLine:   "request line is not method, target and version",
	BadMethod:        "method is not a token",
	BadTarget:        "request target has a form or a byte that is not allowed",
	TargetTooLong:    "first line exceeds the size limit",
	BadVersion:       "version is not of the form HTTP/1.1",
	UnknownVersion:   "version is neither HTTP/1.0 nor HTTP/1.1",
	BadStatusLine:    "status line is not version, status and reason",
	BadStatus:        "status code is not within 100-999",
	BareCR:           "CR without LF",
	BareLF:           "LF without CR",
	ControlByte:      "control byte within a line",
	ObsFold:          "folded field line",
	BadFieldName:     "field name is empty or not a token",
	SpaceBeforeColon: "blank between field name and colon",
	NoColon:          "field line without colon",
	HeadTooLarge:     "head exceeds the size limit",
	TooManyFields:    "more fields than the limit",
	MissingHost:      "HTTP/1.1 request without Host",
	DuplicateHost:    "more than one Host",
	BadHost:          "Host is not host:port",
	HostMismatch:     "Host differs from the authority of the target",
	BadLength:        "Content-Length is not a number",
	DuplicateLength:  "more than one Content-Length",
	LengthAndCoding:  "both Content-Length and Transfer-Encoding",
	BadCoding:        "chunked is not the last transfer coding, once",
	UnknownCoding:    "transfer coding other than chunked",
	CodingIn10:       "Transfer-Encoding in HTTP/1.0",
	BadChunkSize:     "chunk size is malformed or too large",
	BadChunkExt:      "chunk extension is malformed or too large",
	BadChunkEnd:      "chunk data is not followed by CRLF",
	TrailerTooLarge:  "trailer section exceeds the size limit",
	ForbiddenTrailer: "trailer field that belongs in the head",
	UnexpectedSwitch: "101 without an upgrade that was asked for",
	BodyIn10:         "HTTP/1.0 GET, HEAD or DELETE with a body",
	BadWebSocket:     "WebSocket handshake without its key",
}

// Status is the status code to answer a refused request with. A refused response is 502 whatever the reason.
// 414 and 431 are RFC 9110 section 15.5.15 and RFC 6585 section 5, 501 is RFC 9112 section 6.1, and 413 is
// HAProxy's answer to bodies that servers of HTTP/1.0's time do not read.
func (r Reason) Status() int {
	switch r {
	case OK:
		return 200
	case TargetTooLong:
		return 414
	case HeadTooLarge, TooManyFields:
		return 431
	case UnknownVersion:
		return 505
	case UnknownCoding:
		return 501
	case BodyIn10:
		return 413
	}
	return 400
}

// Error says the reason in words, for logs.
func (r Reason) Error() string {
	if r >= numReasons {
		return "unknown reason"
	}
	return sentences[r]
}
