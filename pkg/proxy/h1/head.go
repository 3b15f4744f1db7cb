package h1

import (
	"bytes"
	"math"
)

// span is a range of the head's bytes.
type span struct{ from, to uint32 }

// Head is what requests and responses have in common: a first line and fields, as offsets into the
// caller's bytes. Slices that its methods return point into those bytes and live as long as they do.
type Head struct {
	// Limits are the caller's; they stay over Reset.
	Limits Limits
	// Minor is the minor version: 0 for HTTP/1.0, 1 for HTTP/1.1.
	Minor uint8
	// Framing and ContentLength say where the body ends. ContentLength is 0 unless Framing is BodyLength.
	// A response to HEAD and a 304 have no body whatever their fields say.
	Framing       Framing
	ContentLength int64
	// KeepAlive says whether the sender would have its connection used again after this message
	// (RFC 9112 section 9.3). It is never set where the body ends by closing.
	KeepAlive bool
	// Upgrade says that the message asks for or grants a change of protocol that a proxy can pass on: an
	// HTTP/1.1 message without body that carries Upgrade and names it in Connection. HTTP/2 over clear text
	// is not passed on (RFC 9113 section 3.1 did away with it, and it would hide requests from rules).
	Upgrade bool

	buf    []byte
	fields []field
	scan   scanner
	facts  facts
}

// scanner is how far an incomplete head has been read, so that bytes that trickle in are looked at once.
type scanner struct {
	begin   int // start of the first line, behind a tolerated CRLF
	line    int // start of the line that is not complete yet
	seen    int // bytes already searched for the end of that line
	first   int // one past the first line
	body    int // one past the head; 0 until it is complete
	gotLine bool
}

// Len is the head's length in bytes, from the start of the buffer to the first byte of the body.
func (h *Head) Len() int { return h.scan.body }

// Bytes is the complete head as it came, for captures and logs.
func (h *Head) Bytes() []byte { return h.buf[:h.scan.body:h.scan.body] }

// FirstLine is the request or status line as it came, without its line end.
func (h *Head) FirstLine() []byte { return h.buf[h.scan.begin : h.scan.first-2 : h.scan.first-2] }

// Rebase tells the head that its bytes have moved: buf starts with what the parsed buffer started with.
func (h *Head) Rebase(buf []byte) { h.buf = buf }

// NumFields is the number of field lines.
func (h *Head) NumFields() int { return len(h.fields) }

// Field returns field line i: its name as it came, its value without blanks around.
func (h *Head) Field(i int) (name, value []byte) {
	f := &h.fields[i]
	return h.at(f.name), h.at(f.value)
}

// Header returns the first value of the field called name, compared without case; nil if there is none
// (a field with an empty value gives an empty slice that is not nil). It does not split lists.
func (h *Head) Header(name string) []byte {
	if i := h.Next(name, 0); i >= 0 {
		return h.at(h.fields[i].value)
	}
	return nil
}

// Headers calls fn for the value of each field called name, in order, until fn returns false.
func (h *Head) Headers(name string, fn func(value []byte) bool) {
	for i := h.Next(name, 0); i >= 0; i = h.Next(name, i+1) {
		if !fn(h.at(h.fields[i].value)) {
			return
		}
	}
}

// Next returns the index of the first field line called name at or behind from, or -1.
func (h *Head) Next(name string, from int) int {
	for i := from; i < len(h.fields); i++ {
		if f := &h.fields[i]; int(f.name.to-f.name.from) == len(name) && equalFold(h.at(f.name), name) {
			return i
		}
	}
	return -1
}

func (h *Head) at(s span) []byte { return h.buf[s.from:s.to:s.to] }

// optional is at for what may be absent: the zero span is nil.
func (h *Head) optional(s span) []byte {
	if s == (span{}) {
		return nil
	}
	return h.at(s)
}

func (h *Head) reset() {
	*h = Head{Limits: h.Limits, fields: h.fields[:0]}
}

// firstLine finds the first line when it is complete. Control bytes are refused as soon as they are
// there, so that a TLS ClientHello on a clear-text port is not waited for.
func (h *Head) firstLine(skipEmpty bool) (line span, ok bool, why Reason) {
	s, b, limit := &h.scan, h.buf, h.Limits.maxHead()
	if skipEmpty && s.begin == 0 && len(b) > 0 && b[0] == '\r' {
		if len(b) < 2 {
			return line, false, OK
		}
		if b[1] != '\n' {
			return line, false, BareCR
		}
		s.begin, s.line, s.seen = 2, 2, 2
	}
	stop, lf := len(b), bytes.IndexByte(b[s.seen:], '\n')
	if lf >= 0 {
		lf += s.seen
		stop = lf
	}
	stop = min(stop, limit)
	for p := s.seen; p < stop; {
		i := indexControl(b[p:stop])
		if i < 0 {
			break
		}
		p += i
		if b[p] != '\r' {
			return line, false, ControlByte
		}
		if p+1 >= min(len(b), limit) {
			stop = p // the byte that decides about this CR is not there yet
			break
		}
		if b[p+1] != '\n' {
			return line, false, BareCR
		}
		p++
	}
	switch {
	case lf >= limit || lf < 0 && len(b) >= limit:
		return line, false, TargetTooLong
	case lf < 0:
		s.seen = max(s.seen, stop)
		return line, false, OK
	case lf == s.line || b[lf-1] != '\r':
		return line, false, BareLF
	}
	s.first = lf + 1
	s.line, s.seen = s.first, s.first
	return span{uint32(s.begin), uint32(lf - 1)}, true, OK
}

// readFields reads field lines up to the empty one. done is false when bytes are missing.
func (h *Head) readFields() (done bool, why Reason) {
	s, b := &h.scan, h.buf
	limit, most := h.Limits.maxHead(), h.Limits.maxFields()
	for {
		lf := bytes.IndexByte(b[s.seen:], '\n')
		if lf < 0 {
			if len(b) >= limit {
				return false, HeadTooLarge
			}
			s.seen = len(b)
			return false, OK
		}
		lf += s.seen
		switch {
		case lf >= limit:
			return false, HeadTooLarge
		case lf == s.line || b[lf-1] != '\r':
			return false, BareLF
		case lf-1 == s.line:
			s.body = lf + 1
			return true, OK
		case len(h.fields) >= most:
			return false, TooManyFields
		}
		f, why := splitField(b, s.line, lf-1)
		if why != OK {
			return false, why
		}
		f.line, f.end = uint32(s.line), uint32(lf+1)
		f.id = identify(h.at(f.name))
		f.hop = f.id.oneHop()
		if why := h.note(&f); why != OK {
			return false, why
		}
		h.fields = append(h.fields, f)
		s.line, s.seen = lf+1, lf+1
	}
}

// version reads "HTTP/d.d".
func (h *Head) version(b []byte) Reason {
	if len(b) != 8 || string(b[:5]) != "HTTP/" || !is(b[5], isDigit) || b[6] != '.' || !is(b[7], isDigit) {
		return BadVersion
	}
	if b[5] != '1' || b[7] > '1' {
		return UnknownVersion
	}
	h.Minor = b[7] - '0'
	return OK
}

// parseLength reads a Content-Length: digits, and nothing else.
func parseLength(b []byte) (n int64, ok bool) {
	if len(b) == 0 {
		return 0, false
	}
	for _, c := range b {
		if !is(c, isDigit) || n > (math.MaxInt64-int64(c-'0'))/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
