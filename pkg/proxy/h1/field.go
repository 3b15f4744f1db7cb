package h1

import "bytes"

// fieldID names a field that the codec itself looks at.
type fieldID uint8

const (
	idOther fieldID = iota
	idHost
	idConnection
	idContentLength
	idTransferEncoding
	idExpect
	idUpgrade
	idKeepAlive
	idProxyConnection
	idTE
	idTrailer
	idHTTP2Settings
)

// field is one field line.
type field struct {
	line, end   uint32 // from the first byte of the name to one past the LF
	name, value span   // the value without blanks around
	id          fieldID
	hop         bool // concerns this hop only, so it is not passed on
}

// identify finds the id of a field name. Lengths tell most names apart.
func identify(name []byte) fieldID {
	candidate, id := "", idOther
	switch len(name) {
	case 2:
		candidate, id = "te", idTE
	case 4:
		candidate, id = "host", idHost
	case 6:
		candidate, id = "expect", idExpect
	case 7:
		if lower(name[0]) == 'u' {
			candidate, id = "upgrade", idUpgrade
		} else {
			candidate, id = "trailer", idTrailer
		}
	case 10:
		if lower(name[0]) == 'c' {
			candidate, id = "connection", idConnection
		} else {
			candidate, id = "keep-alive", idKeepAlive
		}
	case 14:
		if lower(name[0]) == 'c' {
			candidate, id = "content-length", idContentLength
		} else {
			candidate, id = "http2-settings", idHTTP2Settings
		}
	case 16:
		candidate, id = "proxy-connection", idProxyConnection
	case 17:
		candidate, id = "transfer-encoding", idTransferEncoding
	}
	if id == idOther || !equalFold(name, candidate) {
		return idOther
	}
	return id
}

// oneHop says whether a field never goes further than the next hop (RFC 9110 section 7.6.1). Upgrade is passed on
// only when the caller asks for it, Transfer-Encoding as long as the body is passed on in its chunks.
func (id fieldID) oneHop() bool {
	switch id {
	case idConnection, idKeepAlive, idProxyConnection, idTE, idUpgrade, idHTTP2Settings:
		return true
	}
	return false
}

// framing says whether a field decides where a message ends or belongs, so that neither a Connection
// option nor an edit may remove it.
func (id fieldID) framing() bool {
	return id == idContentLength || id == idTransferEncoding || id == idConnection
}

// splitField finds name and value in the line b[from:to], which has no line end.
func splitField(b []byte, from, to int) (f field, why Reason) {
	if isBlank(b[from]) {
		return f, ObsFold
	}
	p := from
	for p < to && is(b[p], isToken) {
		p++
	}
	if p == to || b[p] != ':' {
		return f, nameReason(b[p:to])
	}
	if p == from {
		return f, BadFieldName
	}
	f.name = span{uint32(from), uint32(p)}
	p++
	if i := indexControl(b[p:to]); i >= 0 {
		return f, controlReason(b[p+i])
	}
	for p < to && isBlank(b[p]) {
		p++
	}
	for to > p && isBlank(b[to-1]) {
		to--
	}
	f.value = span{uint32(p), uint32(to)}
	return f, OK
}

// nameReason says what is wrong with a field line whose name stops before rest.
func nameReason(rest []byte) Reason {
	after := trim(rest)
	switch {
	case len(rest) > 0 && isControl(rest[0]):
		return controlReason(rest[0])
	case len(after) < len(rest) && len(after) > 0 && after[0] == ':':
		return SpaceBeforeColon
	case bytes.IndexByte(rest, ':') < 0:
		return NoColon
	}
	return BadFieldName
}

// nextItem cuts the first element from a comma-separated list, blanks around removed. more is false
// when list was the last.
func nextItem(list []byte) (item, rest []byte, more bool) {
	if i := bytes.IndexByte(list, ','); i >= 0 {
		return trim(list[:i]), list[i+1:], true
	}
	return trim(list), nil, false
}
