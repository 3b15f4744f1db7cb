package h1

import "strings"

// Edits are changes to a head, in the order in which rules made them. Names and values are copied, so the
// arguments may be reused at once. The zero value changes nothing; a nil *Edits reads as one.
//
// Connection, Content-Length and Transfer-Encoding belong to the codec: changes to them are ignored, since
// they would make the head say something else than what is sent. Only that a rule asks for `Connection: close`
// is kept, for whoever decides that: see Closes. Control bytes in a value, by which a rule that
// copies what a client sent could forge fields, become spaces.
type Edits struct {
	text    []byte
	ops     []edit
	target  span
	method  span
	reason  span
	status  int
	removes bool // some op is not an addition
	closes  bool
}

type editKind uint8

const (
	editAdd editKind = iota
	editSet
	editDel
)

type edit struct {
	kind        editKind
	name, value span
}

// Reset forgets all changes and keeps the storage.
func (e *Edits) Reset() {
	*e = Edits{text: e.text[:0], ops: e.ops[:0]}
}

// Add appends a field behind those that are there.
func (e *Edits) Add(name, value string) { push(e, editAdd, name, value) }

// AddBytes is Add for a value in bytes.
func (e *Edits) AddBytes(name string, value []byte) { push(e, editAdd, name, value) }

// Set removes all fields called name and appends one.
func (e *Edits) Set(name, value string) { push(e, editSet, name, value) }

// SetBytes is Set for a value in bytes.
func (e *Edits) SetBytes(name string, value []byte) { push(e, editSet, name, value) }

// Del removes all fields called name.
func (e *Edits) Del(name string) { push(e, editDel, name, "") }

// SetTarget replaces the request target. Bytes that a target cannot have are percent-encoded.
func (e *Edits) SetTarget(target []byte) {
	from := len(e.text)
	e.text = appendTarget(e.text, target)
	e.target = span{uint32(from), uint32(len(e.text))}
}

// Target is the target that SetTarget has set, nil for none.
func (e *Edits) Target() []byte {
	if e.target == (span{}) {
		return nil
	}
	return e.at(e.target)
}

// SetMethod replaces the method. What is no token is ignored, and so is a change that would make the response
// have a body where the client expects none or the other way round: to or from HEAD, and to CONNECT.
func (e *Edits) SetMethod(r *Request, method []byte) {
	m := MethodOf(method)
	if len(method) == 0 || !all(method, isToken) || m == MethodConnect || (m == MethodHead) != (r.Method == MethodHead) {
		return
	}
	from := len(e.text)
	e.text = append(e.text, method...)
	e.method = span{uint32(from), uint32(len(e.text))}
}

// Method is the method that SetMethod has set, nil for none.
func (e *Edits) Method() []byte {
	if e.method == (span{}) {
		return nil
	}
	return e.at(e.method)
}

// SetStatus replaces the status of a response and its reason phrase; "" is the status's own. It reports
// whether it did: a change between a status that has a body and one that has none is ignored.
func (e *Edits) SetStatus(r *Response, status int, reason string) bool {
	if status < 200 || status > 999 || r.Status < 200 || bodiless(status) != bodiless(r.Status) {
		return false
	}
	if reason == "" {
		reason = StatusText(status)
	}
	from := len(e.text)
	e.text = append(e.text, reason...)
	for i := from; i < len(e.text); i++ {
		if isControl(e.text[i]) {
			e.text[i] = ' '
		}
	}
	e.reason = span{uint32(from), uint32(len(e.text))}
	e.status = status
	return true
}

func bodiless(status int) bool { return status == 204 || status == 304 }

// DelMatching removes all fields whose names match, those that were added before included.
func (e *Edits) DelMatching(h *Head, match func(name []byte) bool) {
	for i := range h.fields {
		if name := h.at(h.fields[i].name); match(name) {
			push(e, editDel, string(name), "")
		}
	}
	for i, n := 0, len(e.ops); i < n; i++ {
		if op := e.ops[i]; op.kind != editDel && match(e.at(op.name)) {
			push(e, editDel, string(e.at(op.name)), "")
		}
	}
}

func push[T []byte | string](e *Edits, kind editKind, name string, value T) {
	from := len(e.text)
	e.text = append(e.text, name...)
	mid := len(e.text)
	if mid == from || !all(e.text[from:], isToken) {
		e.text = e.text[:from]
		return
	}
	if id := identify(e.text[from:]); id.framing() {
		if id == idConnection {
			e.closes = kind == editAdd && e.closes || kind != editDel && hasOption(string(value), "close")
		}
		e.text = e.text[:from]
		return
	}
	e.text = append(e.text, value...)
	for i := mid; i < len(e.text); i++ {
		if isControl(e.text[i]) {
			e.text[i] = ' '
		}
	}
	e.ops = append(e.ops, edit{
		kind:  kind,
		name:  span{uint32(from), uint32(mid)},
		value: span{uint32(mid), uint32(len(e.text))},
	})
	e.removes = e.removes || kind != editAdd
}

// Closes says whether the changes ask for `Connection: close`, so that the connection that the message is sent on has to
// be closed behind it, as HAProxy 2.6 was seen to do.
func (e *Edits) Closes() bool { return e.closes }

func hasOption(list, option string) bool {
	for word := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(word), option) {
			return true
		}
	}
	return false
}

// Header is Head.Header as it will be after the edits, for rules that look at what earlier rules changed.
func (e *Edits) Header(h *Head, name string) (value []byte) {
	e.Headers(h, name, func(v []byte) bool {
		value = v
		return false
	})
	return value
}

// Headers is Head.Headers as it will be after the edits.
func (e *Edits) Headers(h *Head, name string, fn func(value []byte) bool) {
	if e == nil || len(e.ops) == 0 {
		h.Headers(name, fn)
		return
	}
	last := e.lastRemoval(name)
	if last < 0 {
		for i := h.Next(name, 0); i >= 0; i = h.Next(name, i+1) {
			if !fn(h.at(h.fields[i].value)) {
				return
			}
		}
	}
	for i := max(last, 0); i < len(e.ops); i++ {
		op := &e.ops[i]
		if op.kind != editDel && equalFold(e.at(op.name), name) && !fn(e.at(op.value)) {
			return
		}
	}
}

func (e *Edits) at(s span) []byte { return e.text[s.from:s.to:s.to] }

// lastRemoval is the index of the last op that removes what was there before under this name, or -1.
func (e *Edits) lastRemoval(name string) int {
	for i := len(e.ops) - 1; i >= 0; i-- {
		if op := &e.ops[i]; op.kind != editAdd && equalFold(e.at(op.name), name) {
			return i
		}
	}
	return -1
}

// dropped says whether a field that came with the message is removed.
func (e *Edits) dropped(name []byte) bool {
	if e == nil || !e.removes {
		return false
	}
	for i := range e.ops {
		if op := &e.ops[i]; op.kind != editAdd && equalFold(e.at(op.name), name) {
			return true
		}
	}
	return false
}

// overtaken says whether what op i added is removed by a later op.
func (e *Edits) overtaken(i int) bool {
	for j := i + 1; e.removes && j < len(e.ops); j++ {
		if e.ops[j].kind != editAdd && equalFold(e.at(e.ops[j].name), e.at(e.ops[i].name)) {
			return true
		}
	}
	return false
}

// appendTo appends the fields that were added and stayed.
func (e *Edits) appendTo(dst []byte) []byte {
	if e == nil {
		return dst
	}
	for i := range e.ops {
		op := &e.ops[i]
		if op.kind == editDel || e.overtaken(i) {
			continue
		}
		dst = append(dst, e.at(op.name)...)
		dst = append(dst, ": "...)
		dst = append(dst, e.at(op.value)...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// appendTarget appends t with every byte percent-encoded that could end or split a line.
func appendTarget(dst, t []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range t {
		if c <= ' ' || c >= 0x7f {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}
