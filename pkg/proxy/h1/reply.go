package h1

// Reply is how a response of our own is sent.
type Reply struct {
	Minor     uint8 // of the client
	KeepAlive bool  // the client's connection is used again
	NoBody    bool  // answer to HEAD: the head says a length, and no body follows
}

// AppendError appends HAProxy's response for a status that has one (400 401 403 404 405 407 408 410 413 414 421
// 422 425 429 431 500 501 502 503 504), byte for byte as HAProxy words it, and a like one for others.
func AppendError(dst []byte, status int, how Reply) []byte { panic("h1: not written yet") }

// AppendReply appends a response with a body of our own: the stats page, metrics, `http-request return`.
// fields are whole lines, each with its CRLF ("refresh: 15\r\n"); contentType may be empty.
// The caller answers for fields and contentType being free of control bytes.
func AppendReply(dst []byte, status int, contentType, fields string, body []byte, how Reply) []byte {
	panic("h1: not written yet")
}

// AppendRedirect appends a redirect as HAProxy sends it: 301, 302, 303, 307 or 308 with a Location and no
// body. Control bytes and blanks in location are percent-encoded.
func AppendRedirect(dst []byte, status int, location []byte, how Reply) []byte {
	panic("h1: not written yet")
}

// StatusText is the reason phrase of a status code as HAProxy writes it, "" if unknown.
func StatusText(status int) string { panic("h1: not written yet") }
