package adapter

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// requestHead makes the head of a request that came by HTTP/2 as one of HTTP/1.1. http2.Server has checked the
// pseudo-header fields, that no field belongs to a connection, that names are lower case and values free of control
// characters; what could still be read as something else in HTTP/1 is refused here: ok is false then.
func requestHead(r *http.Request) (b []byte, ok bool) {
	if !validMethod(r.Method) || !validTarget(r) || !validHost(r.Host) {
		return nil, false
	}
	if hosts := r.Header["Host"]; len(hosts) > 1 || len(hosts) == 1 && !strings.EqualFold(hosts[0], r.Host) {
		return nil, false // RFC 9113, section 8.3.1: it must not differ from :authority
	}
	b = append([]byte(r.Method), ' ')
	b = append(b, target(r)...)
	b = append(append(b, " HTTP/1.1\r\nhost: "...), r.Host...)
	b = append(b, "\r\n"...)
	for name, values := range r.Header {
		if skipped(name) {
			continue
		}
		lower := strings.ToLower(name)
		for _, v := range values {
			if !httpguts.ValidHeaderFieldName(lower) || !validValue(v) {
				return nil, false
			}
			b = append(append(append(append(b, lower...), ": "...), v...), "\r\n"...)
		}
	}
	switch {
	case r.ContentLength > 0:
		b = append(b, "content-length: "...)
		b = append(strconv.AppendInt(b, r.ContentLength, 10), "\r\n"...)
	case hasBody(r):
		b = append(b, "transfer-encoding: chunked\r\n"...)
	case r.Header["Content-Length"] != nil:
		b = append(b, "content-length: 0\r\n"...)
	}
	return append(b, "\r\n"...), true
}

// skipped says whether a field is made anew or must not be passed on.
func skipped(name string) bool {
	return name == "Host" || name == "Content-Length" || name == "Trailer" || name == "Te" || isHopByHop(name)
}

// hasBody says whether anything may follow the head.
func hasBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
}

func validMethod(m string) bool {
	if m == "" {
		return false
	}
	for i := range len(m) {
		if !httpguts.IsTokenRune(rune(m[i])) {
			return false
		}
	}
	return true
}

// target is what goes into the request line.
func target(r *http.Request) string {
	if r.Method == http.MethodConnect {
		return r.Host
	}
	return r.RequestURI
}

// validTarget: a path, or the asterisk of OPTIONS, without anything that ends a request line.
func validTarget(r *http.Request) bool {
	t := target(r)
	if r.Method != http.MethodConnect && !strings.HasPrefix(t, "/") && (t != "*" || r.Method != http.MethodOptions) {
		return false
	}
	return visible(t)
}

func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return s != ""
}

// validHost: no character that could end the field or begin another part of a URI (RFC 3986, section 3.2).
func validHost(h string) bool { return visible(h) && !strings.ContainsAny(h, "/?#@,\\") }

func validValue(v string) bool {
	return httpguts.ValidHeaderFieldValue(v) && v == strings.Trim(v, " \t")
}

// clientError is the end of a body that the client has not sent whole.
type clientError struct{ err error }

func (e *clientError) Error() string { return e.err.Error() }

// sendBody passes a request's body on: as it is where its length is known, else in chunks, with the trailer fields
// behind them.
func sendBody(w io.Writer, r *http.Request) error {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	chunked := r.ContentLength < 0
	const room = 16 // for the length of a chunk
	for {
		n, err := r.Body.Read(buf[room : bufferSize-2])
		if n > 0 {
			piece := buf[room : room+n]
			if chunked {
				length := fmt.Appendf(nil, "%x\r\n", n)
				start := room - len(length)
				copy(buf[start:], length)
				copy(buf[room+n:], "\r\n")
				piece = buf[start : room+n+2]
			}
			if _, werr := w.Write(piece); werr != nil {
				return werr
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			if !chunked {
				return nil
			}
			_, err = w.Write(appendTrailer(nil, r.Trailer))
			return err
		case err != nil:
			return &clientError{err}
		}
	}
}

// appendTrailer ends a body in chunks. A field that HTTP/1 cannot carry there is left out.
func appendTrailer(b []byte, fields http.Header) []byte {
	b = append(b, "0\r\n"...)
	for name, values := range fields {
		lower := strings.ToLower(name)
		if !httpguts.ValidTrailerHeader(name) || !httpguts.ValidHeaderFieldName(lower) {
			continue
		}
		for _, v := range values {
			if validValue(v) {
				b = append(append(append(append(b, lower...), ": "...), v...), "\r\n"...)
			}
		}
	}
	return append(b, "\r\n"...)
}
