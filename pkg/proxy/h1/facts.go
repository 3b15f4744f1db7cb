package h1

// facts are what the fields that the codec looks at have said so far.
type facts struct {
	hosts                   int
	host                    span
	length                  int64
	hasLength               bool
	hasCoding, chunked      bool // Transfer-Encoding; chunked is its last coding so far
	otherCoding             bool
	close, keepAlive        bool // Connection options
	upgrade                 bool // the option `upgrade`
	hasUpgrade, upgradeToH2 bool
	webSocket               bool // Upgrade names it
	expect                  bool
}

// note takes down what a field says.
func (h *Head) note(f *field) Reason {
	if f.id == idOther {
		return OK
	}
	value := h.at(f.value)
	switch f.id {
	case idHost:
		h.facts.hosts++
		h.facts.host = f.value
		if h.facts.hosts > 1 {
			return DuplicateHost
		}
		if !validHost(value, false) {
			return BadHost
		}
	case idContentLength:
		if h.facts.hasLength {
			return DuplicateLength
		}
		n, ok := parseLength(value)
		if !ok {
			return BadLength
		}
		h.facts.length, h.facts.hasLength = n, true
	case idTransferEncoding:
		return h.facts.noteCoding(value)
	case idConnection:
		h.facts.noteConnection(value)
	case idUpgrade:
		h.facts.noteUpgrade(value)
	case idExpect:
		h.facts.expect = h.facts.expect || equalFold(value, "100-continue")
	}
	return OK
}

// noteCoding reads Transfer-Encoding (RFC 9112 section 6.1). An empty element is refused: it is how one
// implementation is made to see a coding where another sees none.
func (fa *facts) noteCoding(list []byte) Reason {
	fa.hasCoding = true
	for more := true; more; {
		var item []byte
		item, list, more = nextItem(list)
		switch {
		case len(item) == 0 || fa.chunked:
			return BadCoding // something follows chunked
		case equalFold(item, "chunked"):
			fa.chunked = true
		default:
			fa.otherCoding = true
		}
	}
	return OK
}

// noteConnection reads the options of a Connection field (RFC 9110 section 7.6.1). Fields that it names are passed on, as
// HAProxy does, against that section: otherwise a client could take away what a proxy before us has said of it, by
// `Connection: X-Forwarded-For`. The options themselves stay here, so that no server behind us is made to do it.
func (fa *facts) noteConnection(list []byte) {
	for more := true; more; {
		var item []byte
		item, list, more = nextItem(list)
		switch {
		case equalFold(item, "close"):
			fa.close = true
		case equalFold(item, "keep-alive"):
			fa.keepAlive = true
		case equalFold(item, "upgrade"):
			fa.upgrade = true
		}
	}
}

func (fa *facts) noteUpgrade(list []byte) {
	fa.hasUpgrade = true
	for more := true; more; {
		var item []byte
		item, list, more = nextItem(list)
		switch {
		case equalFold(item, "h2c"), equalFold(item, "h2"):
			fa.upgradeToH2 = true
		case equalFold(item, "websocket"):
			fa.webSocket = true
		}
	}
}

// settle draws the conclusions that requests and responses share, when all fields are known.
func (h *Head) settle() Reason {
	fa := &h.facts
	switch {
	case !fa.hasCoding:
	case h.Minor == 0:
		return CodingIn10
	case fa.hasLength:
		return LengthAndCoding
	case !fa.chunked:
		return BadCoding
	case fa.otherCoding:
		return UnknownCoding
	}
	h.KeepAlive = !fa.close && (h.Minor == 1 || fa.keepAlive)
	h.Upgrade = h.Minor == 1 && fa.upgrade && fa.hasUpgrade && !fa.upgradeToH2
	return OK
}
