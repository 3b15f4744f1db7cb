package h2

import "bytes"

// Trailer makes the trailer section of a body in chunks from the fields behind a body of HTTP/2. The zero value is ready; use
// it once.
type Trailer struct {
	Text   []byte // field lines, without the empty one that ends them
	Most   int    // bytes that Text may have
	Broken bool   // what came is malformed (RFC 9113, section 8.1), or too large
}

// Field implements Fields.
func (t *Trailer) Field(name, value []byte) {
	if !validName(name) || !validValue(value) || len(t.Text)+len(name)+len(value)+len(": \r\n") > t.Most {
		t.Broken = true
		return
	}
	switch {
	case ofConnection(name), string(name) == "content-length", string(name) == "host":
		t.Broken = true // RFC 9113, section 8.2.2, and as in HAProxy: whoever sends that is up to something
		return
	case ofMessage(name):
		return
	}
	t.Text = append(append(t.Text, name...), ": "...)
	t.Text = append(append(t.Text, value...), "\r\n"...)
}

// ofMessage says whether a field decides about the message itself, and so must not come behind its body (RFC 9110, section
// 6.5.1). One that does is left out.
func ofMessage(name []byte) bool {
	switch string(name) {
	case "trailer", "expect", "authorization", "proxy-authorization", "cookie", "set-cookie",
		"content-encoding", "content-type", "content-range", "cache-control", "max-forwards":
		return true
	}
	return false
}

// AppendTrailer appends the field lines of a trailer section, which a codec of HTTP/1 has accepted, as a block.
func AppendTrailer(dst, lines []byte) []byte {
	for len(lines) > 0 {
		line, rest, _ := bytes.Cut(lines, []byte("\r\n"))
		lines = rest
		if name, value, ok := bytes.Cut(line, []byte{':'}); ok && !ofConnection(name) {
			dst = AppendField(dst, name, bytes.Trim(value, " \t"))
		}
	}
	return dst
}
