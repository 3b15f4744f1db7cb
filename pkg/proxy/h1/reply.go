package h1

import (
	"cmp"
	"strconv"
)

// Reply is how a response of our own is sent.
type Reply struct {
	Minor     uint8 // of the client
	KeepAlive bool  // the client's connection is used again
	NoBody    bool  // answer to HEAD: the head says a length, and no body follows
}

const (
	pageOpen  = "<html><body><h1>"
	pageMid   = "</h1>\n"
	pageClose = "\n</body></html>\n"
)

// AppendError appends HAProxy's response for a status, byte for byte as HAProxy words it where it has one:
// 200 400 401 403 404 405 407 408 410 413 421 422 425 429 500 501 502 503 504. Others are like them.
func AppendError(dst []byte, status int, how Reply) []byte {
	title := errorTitle(status)
	size := len(pageOpen) + len("200 ") + len(title) + len(pageMid) + len(errorSentence(status)) + len(pageClose)
	dst = appendStatusLine(dst, status, title)
	dst = appendLength(dst, size)
	dst = append(dst, "cache-control: no-cache\r\ncontent-type: text/html\r\n"...)
	dst = appendConnection(dst, how.Minor, how.KeepAlive)
	dst = append(dst, "\r\n"...)
	if how.NoBody {
		return dst
	}
	return AppendErrorPage(dst, status)
}

// AppendErrorPage appends the body of that response.
func AppendErrorPage(dst []byte, status int) []byte {
	dst = append(dst, pageOpen...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, errorTitle(status)...)
	dst = append(dst, pageMid...)
	dst = append(dst, errorSentence(status)...)
	return append(dst, pageClose...)
}

func errorTitle(status int) string { return cmp.Or(StatusText(status), "Error") }

// AppendReply appends a response with a body of our own: the stats page, metrics, `http-request return`.
// fields are whole lines, each with its CRLF ("refresh: 15\r\n"); contentType may be empty.
// The caller answers for fields and contentType being free of control bytes. A status that has no body
// (1xx, 204, 304) gets neither length nor body.
func AppendReply(dst []byte, status int, contentType, fields string, body []byte, how Reply) []byte {
	dst = appendStatusLine(dst, status, StatusText(status))
	bare := status < 200 || status == 204 || status == 304
	if !bare {
		dst = appendLength(dst, len(body))
	}
	dst = append(dst, fields...)
	if contentType != "" {
		dst = append(dst, "content-type: "...)
		dst = append(dst, contentType...)
		dst = append(dst, "\r\n"...)
	}
	dst = appendConnection(dst, how.Minor, how.KeepAlive)
	dst = append(dst, "\r\n"...)
	if bare || how.NoBody {
		return dst
	}
	return append(dst, body...)
}

// AppendRedirect appends a redirect as HAProxy sends it: 301, 302, 303, 307 or 308 with a Location and no
// body. Control bytes and blanks in location are percent-encoded.
func AppendRedirect(dst []byte, status int, location []byte, how Reply) []byte {
	dst = appendStatusLine(dst, status, StatusText(status))
	dst = appendLength(dst, 0)
	dst = append(dst, "location: "...)
	dst = appendTarget(dst, location)
	dst = append(dst, "\r\n"...)
	if status == 302 || status == 303 || status == 307 {
		dst = append(dst, "cache-control: no-cache\r\n"...)
	}
	dst = appendConnection(dst, how.Minor, how.KeepAlive)
	return append(dst, "\r\n"...)
}

// Continue is the interim response that lets a client send its body.
const Continue = "HTTP/1.1 100 Continue\r\n\r\n"

func appendStatusLine(dst []byte, status int, title string) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, title...)
	return append(dst, "\r\n"...)
}

func appendLength(dst []byte, n int) []byte {
	dst = append(dst, "content-length: "...)
	dst = strconv.AppendInt(dst, int64(n), 10)
	return append(dst, "\r\n"...)
}
