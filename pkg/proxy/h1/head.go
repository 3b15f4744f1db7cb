package h1

// span is a range of the head's bytes.
type span struct{ from, to uint32 }

// field is one field line. hop marks what may not be passed on.
type field struct {
	line  uint32 // where the line starts; it ends with the CRLF after value.to and blanks
	end   uint32 // one past the line's LF
	name  span
	value span // without blanks around
	id    fieldID
	hop   bool
}

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
	// Upgrade says that the message carries Upgrade and names it in Connection.
	Upgrade bool

	buf    []byte
	fields []field
	scan   scanner
}

// scanner is how far an incomplete head has been read, so that bytes that trickle in are looked at once.
type scanner struct {
	begin   uint32 // start of the first line, behind a tolerated CRLF
	line    uint32 // start of the line that is not complete yet
	seen    uint32 // bytes already searched for the end of that line
	body    uint32 // one past the head, when it is complete
	first   uint32 // one past the first line
	gotLine bool
}

// Len is the head's length in bytes, from the start of the buffer to the first byte of the body.
func (h *Head) Len() int { return int(h.scan.body) }

// Rebase tells the head that its bytes have moved: buf starts with what the parsed buffer started with.
// It holds for an incomplete head too.
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
		if equalFold(h.at(h.fields[i].name), name) {
			return i
		}
	}
	return -1
}

func (h *Head) at(s span) []byte { return h.buf[s.from:s.to:s.to] }
